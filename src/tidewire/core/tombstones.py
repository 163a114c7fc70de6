"""Tombstones: why queues ended, remembered for a while so that their owners can be told (issue 5, D-13).

Bounded in time and in number; the oldest go first. What goes by time is dropped when a record is applied, by
that record's time, so that recovery arrives at the same table.
"""

from collections.abc import Container, Iterable
from itertools import takewhile
from math import inf
from sys import getsizeof
from typing import TypeAlias

from tidewire.core.ids import QueueId, UserId

Tombstone: TypeAlias = tuple[str, int, str, float]
"""The queue's id, its owner's, the reason, and when it ended."""

UNKNOWN = "unknown"
"""The reason given for a queue that never was, is another user's, or ended too long ago."""

PIECE = 5000
"""Tombstones of one slice of a snapshot: copied and encoded in a few milliseconds."""


TOMBSTONE = 180
"""Bytes of a tombstone beside the queue's id; measured by making 100,000."""


class Tombstones:
    """Queues that ended, oldest first.

    Attributes:
        size: bytes of memory that they take.
    """

    __slots__ = ("_ended", "_most", "_most_bytes", "size")

    def __init__(self, *, most: int, most_bytes: float = inf) -> None:
        """Makes an empty table of up to `most` tombstones, which take up to `most_bytes`; 0: it remembers nothing."""
        self._most = most
        self._most_bytes = most_bytes
        self.size = 0
        self._ended: dict[str, tuple[UserId, str, float]] = {}

    def add(self, queue_id: QueueId, user_id: UserId, reason: str, now: float) -> None:
        """Remembers the end of a queue; one that is known already stays as it is."""
        if queue_id in self._ended or not self._most:
            return
        self._ended[queue_id] = (user_id, reason, now)
        self.size += TOMBSTONE + getsizeof(queue_id)
        while len(self._ended) > self._most or self.size > self._most_bytes:
            self._drop(next(iter(self._ended)))

    def _drop(self, queue_id: str) -> None:
        if self._ended.pop(queue_id, None) is not None:
            self.size -= TOMBSTONE + getsizeof(queue_id)

    def reason(self, queue_id: str, user_id: UserId) -> str:
        """Why this user's queue ended; `unknown` to everybody else."""
        known = self._ended.get(queue_id)
        return UNKNOWN if known is None or known[0] != user_id else known[1]

    def end_of(self, queue_id: str) -> tuple[str, float] | None:
        """Why and when a queue ended, whoever owned it: for operators."""
        known = self._ended.get(queue_id)
        return None if known is None else known[1:]

    def owners(self) -> set[UserId]:
        """Whose queues they were."""
        return {user_id for user_id, _, _ in self._ended.values()}

    def of(self, user_ids: Container[UserId]) -> list[Tombstone]:
        """The ends of these users' queues."""
        return [(queue_id, *end) for queue_id, end in self._ended.items() if end[0] in user_ids]

    def forget(self, before: float) -> None:
        """Drops the queues that ended before a time."""
        old = takewhile(lambda item: item[1][2] < before, self._ended.items())
        for queue_id in [queue_id for queue_id, _ in old]:
            self._drop(queue_id)

    def pieces(self) -> list[tuple[Tombstone, ...]]:
        """Everything that is remembered now, in pieces that are each for one slice."""
        known = [(queue_id, *tombstone) for queue_id, tombstone in self._ended.items()]
        return [tuple(known[first : first + PIECE]) for first in range(0, len(known), PIECE)]

    def restore(self, tombstones: Iterable[Tombstone]) -> None:
        """Puts a piece of a snapshot behind what is there: its order is that in which the queues ended."""
        for queue_id, user_id, reason, now in tombstones:
            self._drop(queue_id)
            self.add(QueueId(queue_id), UserId(user_id), reason, now)

    def __len__(self) -> int:
        return len(self._ended)
