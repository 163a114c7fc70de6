"""The ids of notices that were taken, so that a publisher may repeat a notice safely (D4)."""

from collections.abc import Iterator
from itertools import islice

DIGEST_SIZE = 16
"""Bytes of a notice's digest: two notices that share an id by accident are told apart for certain enough."""


class RememberedIds:
    """Notice ids with the digest of what was published under them, oldest first."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[str, tuple[bytes, float]] = {}

    def digest(self, notice_id: str) -> bytes | None:
        """The digest remembered for the id, or None when the id is new."""
        known = self._ids.get(notice_id)
        return None if known is None else known[0]

    def add(self, notice_id: str, digest: bytes, now: float) -> None:
        """Remembers an id that was not known."""
        self._ids[notice_id] = (digest, now)

    def surplus(self, *, before: float, keep: int) -> int:
        """How many of the oldest were taken before a time or are beyond `keep` (0: no bound)."""
        least = len(self._ids) - keep if keep else 0
        count = 0
        for _, taken in self._ids.values():
            if taken >= before and count >= least:
                break
            count += 1
        return count

    def forget(self, count: int) -> None:
        """Drops the `count` oldest."""
        for notice_id in list(islice(self._ids, count)):
            del self._ids[notice_id]

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[tuple[str, bytes, float]]:
        return ((notice_id, digest, taken) for notice_id, (digest, taken) in self._ids.items())
