"""The ids of notices that were taken, so that a publisher may repeat a notice safely (D4).

Each remembered id has a number, one more than the id before it. What is forgotten is said by number, so
that forgetting again changes nothing; and a million ids can be copied piece by piece while others come and
go, because a number always stands for the same id.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from math import inf
from sys import getsizeof
from typing import NamedTuple, TypeAlias

from tidewire.core.errors import NoticeIdReused

DIGEST_SIZE = 16
"""Bytes of a notice's digest: two notices that share an id by accident are told apart for certain enough."""

PIECE = 1000
"""Ids of one piece; copying one takes well under a millisecond."""

RememberedId: TypeAlias = tuple[str, bytes, float]
"""An id, the digest of what was published under it, and when that was."""


def reused(notice_id: str, **data: object) -> NoticeIdReused:
    """What is said of an id that stands for another notice already; `data` goes with it."""
    return NoticeIdReused(
        f"The notice id '{notice_id}' was used before for another notice", id=notice_id, **data
    )


class Piece(NamedTuple):
    """Ids with consecutive numbers, as many as there were when it was asked for."""

    first: int
    ids: list[str]
    size: int


REMEMBERED = 220
"""Bytes of an id beside its text: digest, time, number, and its places; measured by remembering 200,000."""


class RememberedIds:
    """Notice ids with the digest of what was published under them, oldest first.

    Attributes:
        size: bytes of memory that they take.
    """

    __slots__ = ("_base", "_ids", "_pieces", "oldest", "size")

    def __init__(self) -> None:
        self.size = 0
        self._ids: dict[str, tuple[bytes, float, int]] = {}
        # The same ids by number, in full pieces but for the last. A dictionary alone would have to be walked
        # from its beginning, past everything that was taken out there.
        self._pieces: deque[list[str]] = deque()
        self._base = 0
        """Number of the first id in the first piece, which may be forgotten already."""
        self.oldest = 0
        """Number of the oldest id that is remembered."""

    @property
    def next(self) -> int:
        """Number of the next id."""
        return self.oldest + len(self._ids)

    def digest(self, notice_id: str) -> bytes | None:
        """The digest remembered for the id, or None when the id is new."""
        known = self._ids.get(notice_id)
        return None if known is None else known[0]

    def __contains__(self, notice_id: str) -> bool:
        return notice_id in self._ids

    def number(self, notice_id: str) -> int | None:
        """The number of an id, or None when it is new."""
        known = self._ids.get(notice_id)
        return None if known is None else known[2]

    def add(self, notice_id: str, digest: bytes, now: float) -> None:
        """Remembers an id; one that is known already keeps its number."""
        known = self._ids.get(notice_id)
        self._ids[notice_id] = (digest, now, self.next if known is None else known[2])
        if known is not None:
            return
        self.size += REMEMBERED + getsizeof(notice_id)
        if not self._pieces or len(self._pieces[-1]) == PIECE:
            self._pieces.append([])
        self._pieces[-1].append(notice_id)

    def surplus(self, *, before: float, keep: int, most_bytes: float = inf) -> int:
        """The number below which ids were taken before a time, are beyond `keep` (0: no bound), or take too much.

        0 when there is none to forget. What is beyond `most_bytes` is told by the average size of an id.
        """
        end = self.next
        if self.size > most_bytes:
            fitting = int(most_bytes * len(self._ids) / self.size)
            keep = min(keep, fitting) if keep else fitting
            number = max(self.oldest, end - keep)
        else:
            number = max(self.oldest, end - keep) if keep else self.oldest
        while number < end and self._taken(number) < before:
            number += 1
        return number if number > self.oldest else 0

    def _taken(self, number: int) -> float:
        piece, offset = divmod(number - self._base, PIECE)
        return self._ids[self._pieces[piece][offset]][1]

    def forget(self, below: int) -> None:
        """Drops the ids whose number is below this."""
        end = min(below, self.next)
        while self.oldest < end:
            piece = self._pieces[0]
            offset = self.oldest - self._base
            count = min(end - self.oldest, len(piece) - offset)
            for notice_id in piece[offset : offset + count]:
                del self._ids[notice_id]
                self.size -= REMEMBERED + getsizeof(notice_id)
            self.oldest += count
            if offset + count == len(piece):
                self._pieces.popleft()
                self._base += len(piece)

    def newest_first(self) -> Iterator[tuple[str, bytes]]:
        """Ids with their digests."""
        return ((notice_id, self._ids[notice_id][0]) for notice_id in reversed(self._ids))

    # For snapshots.

    def pieces(self) -> list[Piece]:
        """Everything that is remembered now, to be looked up piece by piece later."""
        found: list[Piece] = []
        first = self._base
        for ids in self._pieces:
            found.append(Piece(first, ids, len(ids)))
            first += len(ids)
        return found

    def look_up(self, piece: Piece) -> tuple[int, list[RememberedId]]:
        """What of a piece is still remembered, with the number of its first id."""
        gone = min(max(0, self.oldest - piece.first), piece.size)
        ids = piece.ids[gone : piece.size]
        return piece.first + gone, [(notice_id, *self._ids[notice_id][:2]) for notice_id in ids]

    def restore(self, first: int, remembered: Iterable[RememberedId]) -> None:
        """Adds what a snapshot holds; ids numbered between those that are there and `first` are forgotten."""
        if first > self.next:
            self.forget(self.next)
            self._base = self.oldest = first
        for notice_id, digest, taken in remembered:
            self.add(notice_id, digest, taken)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[RememberedId]:
        return ((notice_id, digest, taken) for notice_id, (digest, taken, _) in self._ids.items())
