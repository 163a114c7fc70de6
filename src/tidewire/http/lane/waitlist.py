"""Deadlines of connections without a timer for each: all on one list have the same time, so it is sorted by itself."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

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
