"""What a bus and the rest of the server ask of each other."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tidewire.core.notice import Notice


class Sharing(Protocol):
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
