"""What the server asks of a bus, and the one that needs nothing: notices over HTTP or from within the process."""

from typing import Protocol

from tidewire.bus_port import BusState


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
        """Nothing to begin."""

    async def stop_consuming(self) -> None:
        """Nothing to stop: the server itself refuses requests."""

    async def close(self) -> None:
        """Nothing to end."""

    def state(self) -> BusState:
        """Always there; whoever publishes is answered once it is done."""
        return BusState(connected=True, waiting=0, lag=0.0)
