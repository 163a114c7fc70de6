"""What an unknown peer may cost: the size of a request, the number of connections, and the time for each step."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """Sizes in bytes, times in seconds; 0 turns a time or a number of connections off.

    Attributes:
        header_deadline: from a request's first byte, on a new connection from its beginning, to its head's end.
        request_deadline: from the end of the head to the end of the body.
        keep_alive: between two requests.
        write_deadline: for a peer that does not read what it asked for.
        head_bytes: of a request's head.
        headers: how many there may be.
        target_bytes: of the path with its query.
        connections: in all.
        connections_per_address: from one address.
    """

    header_deadline: float = 10.0
    request_deadline: float = 60.0
    keep_alive: float = 75.0
    write_deadline: float = 60.0
    head_bytes: int = 16_384
    headers: int = 100
    target_bytes: int = 8_192
    connections: int = 0
    connections_per_address: int = 0


class Admission:
    """Counts connections, in all and by address."""

    __slots__ = ("_bounds", "by_address", "total")

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self.by_address: dict[str, int] = {}
        self.total = 0

    def enter(self, address: str) -> bool:
        """Counts a connection; whether it is within the bounds. Either way it must `leave`."""
        count = self.by_address.get(address, 0) + 1
        self.by_address[address] = count
        self.total += 1
        most, most_of_one = self._bounds.connections, self._bounds.connections_per_address
        return not (most and self.total > most) and not (most_of_one and count > most_of_one)

    def leave(self, address: str) -> None:
        """Counts a closed connection out."""
        self.total -= 1
        count = self.by_address[address] - 1
        if count:
            self.by_address[address] = count
        else:
            del self.by_address[address]


C = TypeVar("C")


class Waitlist(Generic[C]):
    """Connections in the order in which they began to wait, and what becomes of those that do so for too long.

    The time is the lane's, which moves once a second; a deadline is acted on up to two seconds late.
    """

    __slots__ = ("_expire", "_since", "seconds")

    def __init__(self, seconds: float, expire: Callable[[C], None]) -> None:
        """Takes how long each may wait (0: for ever), and what is done with those that took longer."""
        self.seconds = seconds
        self._expire = expire
        self._since: dict[C, float] = {}

    def add(self, connection: C, now: float) -> None:
        """The connection begins to wait; one that waits already goes on."""
        self._since.setdefault(connection, now)

    def discard(self, connection: C) -> None:
        """It waits no longer; nothing happens when it did not wait."""
        self._since.pop(connection, None)

    def sweep(self, now: float) -> int:
        """Ends those that waited for too long; returns how many."""
        if not self.seconds:
            return 0
        ended = 0
        for connection in [*self._late(now - self.seconds)]:
            # What ends one may take others off the list.
            if self._since.pop(connection, None) is not None:
                self._expire(connection)
                ended += 1
        return ended

    def _late(self, before: float) -> Iterator[C]:
        for connection, since in self._since.items():
            if since > before:
                return
            yield connection

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, connection: object) -> bool:
        return connection in self._since
