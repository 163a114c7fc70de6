"""Deadlines in one-second buckets: O(1) to add and to cancel, and no timer for anybody.

A deadline that moves later needs no change here: the item stays in its bucket, and whoever takes it from
there looks at the real deadline and books it again. So a client that polls a thousand times a second costs
one entry.
"""

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")

NOT_BOOKED = -1
"""In place of a bucket's second, for an item that stands in none."""


class Deadlines(Generic[T]):
    """Items by the second in which to look at them."""

    __slots__ = ("_buckets", "_seconds")

    def __init__(self) -> None:
        # Dictionaries as ordered sets: what comes due together is handled in a repeatable order.
        self._buckets: dict[int, dict[T, None]] = {}
        self._seconds: list[int] = []

    def schedule(self, item: T, due: float) -> int:
        """Has the item taken by the first `take_due` at or after `due`; returns what `cancel` needs."""
        # Rounded up, so that an item is never handed out before its time.
        second = int(-(-due // 1))
        bucket = self._buckets.get(second)
        if bucket is None:
            self._buckets[second] = {item: None}
            heapq.heappush(self._seconds, second)
        else:
            bucket[item] = None
        return second

    def cancel(self, item: T, second: int) -> None:
        """Takes an item out of the bucket that `book` named; `NOT_BOOKED` is no bucket."""
        bucket = self._buckets.get(second)
        if bucket is not None:
            bucket.pop(item, None)

    def take_due(self, now: float) -> list[T]:
        """Removes and returns the items whose second has come, in that order."""
        due: list[T] = []
        while self._seconds and self._seconds[0] <= now:
            due += self._buckets.pop(heapq.heappop(self._seconds))
        return due

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))
