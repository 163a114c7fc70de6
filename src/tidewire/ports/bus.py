"""What a bus and the rest of the server ask of each other, and the embedded bus, which needs no broker."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tidewire.core.notices.notice import Notice


class MultiShardPublish(Protocol):
    """Sees to notices that concern other shards too (R8.5)."""

    def is_all_for_here(self, notices: Sequence[Notice]) -> bool:
        """Whether nobody else need hear of any of them, so that the engine may simply have them."""
        ...

    async def carry_out(self, notices: Sequence[Notice]) -> None:
        """Has notices carried out here and elsewhere; returns when all of it is durable. A repeat does no harm.

        Raises:
            WireError: not all were; with an `index` that one is wrong.
        """
        ...


class BusState(NamedTuple):
    """How it stands between the server and what brings it notices.

    Attributes:
        connected: notices can come.
        waiting: deliveries that were received and are not acknowledged yet.
        lag: seconds that the oldest of them has waited.
    """

    connected: bool
    waiting: int
    lag: float


class Bus(Protocol):
    """Brings notices to the engine and notifications to their workers, by itself, between start and stop."""

    def start(self) -> None:
        """Begins; called on the loop, once clients can be served."""
        ...

    async def stop_consuming(self) -> None:
        """Takes no more notices; returns when what was taken is acknowledged, as far as that is possible (R9.15)."""
        ...

    async def close(self) -> None:
        """Ends everything; the engine is not used afterwards."""
        ...

    def state(self) -> BusState:
        """How it stands with it."""
        ...


class Embedded(Bus):
    """The bus `memory:`; the HTTP routes are all there is of it."""

    def start(self) -> None:
        """Does nothing: an embedded bus has no connection."""

    async def stop_consuming(self) -> None:
        """Nothing to stop: the server itself refuses requests."""

    async def close(self) -> None:
        """Does nothing: an embedded bus has no connection."""

    def state(self) -> BusState:
        """Always there; whoever publishes is answered once it is done."""
        return BusState(connected=True, waiting=0, lag=0.0)
