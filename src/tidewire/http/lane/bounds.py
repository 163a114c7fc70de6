"""What a peer may cost before it has said who it is: sizes, times, and how many may come."""

from dataclasses import dataclass

from tidewire.core.errors import HeadersTooLarge, TargetTooLong, WireError
from tidewire.http.admission import host_problem
from tidewire.http.lane.head import Head


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

    def problem(self, head: Head, size: int) -> WireError | None:
        """What is wrong with a head of `size` bytes, whatever it asks for."""
        if len(head.target) > self.target_bytes:
            return TargetTooLong(self.target_bytes)
        if size > self.head_bytes or len(head.headers) > self.headers:
            return HeadersTooLarge(self.head_bytes, self.headers)
        return host_problem(len(head.values(b"host")), head.version)

    def unfinished_problem(self, received: bytes | bytearray) -> WireError | None:
        """What is wrong with the beginning of a head, as long as its end has not come."""
        if len(received) > self.target_bytes + len("DELETE  HTTP/1.1") and b"\r\n" not in received:
            return TargetTooLong(self.target_bytes)
        if len(received) > self.head_bytes:
            return HeadersTooLarge(self.head_bytes, self.headers)
        return None


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
        """Counts it out."""
        self.total -= 1
        count = self.by_address[address] - 1
        if count:
            self.by_address[address] = count
        else:
            del self.by_address[address]
