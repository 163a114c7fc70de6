"""Recognises notices that were already taken, so that a publisher can safely repeat one.

`RememberedIds` holds the ids of a shard's notices for as long as the settings say. `Given` holds, for users who are moving
between shards, which notices each of them already has.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import takewhile
from math import inf
from sys import getsizeof
from typing import NamedTuple, TypeAlias

from tidewire.core.errors import NoticeIdReused
from tidewire.core.ids import UserId

DIGEST_SIZE = 16
"""Bytes of a notice's digest: two notices that share an id by accident are told apart for certain enough."""


PIECE = 1000
"""Ids of one piece; copying one takes well under a millisecond."""


LOST = "\0lost "
"""How the names begin that stand in for ids which can't be read any more."""


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
        """Adds what a snapshot holds.

        Ids numbered between those that are there and `first` were forgotten, or are lost; something stands in for them
        that no publisher sends, so that those before them keep their numbers.
        """
        self.reach(first)
        for notice_id, digest, taken in remembered:
            self.add(notice_id, digest, taken)

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[RememberedId]:
        return ((notice_id, digest, taken) for notice_id, (digest, taken, _) in self._ids.items())

    def reach(self, number: int) -> None:
        """Has the next id get at least this number; those that are missing until then are stood in for."""
        if not self._ids:
            self._base = self.oldest = max(number, self.next)
            return
        taken_at = self._taken(self.next - 1)
        for missing in range(self.next, number):
            self.add(f"{LOST}{missing}", b"", taken_at)


UserNoticeLogImage: TypeAlias = tuple[str, bytes, float, tuple[int, ...]]
"""A notice's id, its digest, when it was taken, and the users it was given to."""


class _Notice(NamedTuple):
    digest: bytes
    taken: float
    users: dict[UserId, None]


class UserNoticeLog:
    """Notices by id, in the order in which they were first given to anybody here; nobody else's are in it."""

    __slots__ = ("_notices", "_of_user")

    def __init__(self) -> None:
        self._notices: dict[str, _Notice] = {}
        self._of_user: dict[UserId, dict[str, None]] = {}

    def digest(self, notice_id: str) -> bytes | None:
        """The digest of a notice that somebody was given."""
        known = self._notices.get(notice_id)
        return None if known is None else known.digest

    def has(self, user_id: UserId, notice_id: str) -> bool:
        """Whether the user was given it."""
        known = self._notices.get(notice_id)
        return known is not None and user_id in known.users

    def add(self, notice_id: str, digest: bytes, taken: float, users: Iterable[UserId]) -> None:
        """Notes that users were given a notice."""
        known = self._notices.get(notice_id)
        if known is None:
            known = self._notices[notice_id] = _Notice(digest, taken, {})
        for user_id in users:
            known.users[user_id] = None
            self._of_user.setdefault(user_id, {})[notice_id] = None

    def of(self, users: Iterable[UserId]) -> list[UserNoticeLogImage]:
        """What these users were given."""
        found: dict[str, list[int]] = {}
        for user_id in users:
            for notice_id in self._of_user.get(user_id, ()):
                found.setdefault(notice_id, []).append(user_id)
        return [
            (notice_id, *self._notices[notice_id][:2], tuple(users_of))
            for notice_id, users_of in found.items()
        ]

    def drop(self, user_id: UserId) -> None:
        """Drops the log of a user."""
        for notice_id in self._of_user.pop(user_id, ()):
            users = self._notices[notice_id].users
            del users[user_id]
            if not users:
                del self._notices[notice_id]

    def is_stale(self, before: float) -> bool:
        """Whether `forget` would find anything."""
        oldest = next(iter(self._notices.values()), None)
        return oldest is not None and oldest.taken < before

    def forget(self, before: float) -> None:
        """Drops notices that were taken before a time."""
        old = takewhile(lambda item: item[1].taken < before, self._notices.items())
        for notice_id, notice in list(old):
            for user_id in notice.users:
                ids = self._of_user[user_id]
                del ids[notice_id]
                if not ids:
                    del self._of_user[user_id]
            del self._notices[notice_id]

    def images(self) -> list[UserNoticeLogImage]:
        """All users' notice logs, for a snapshot."""
        return [(notice_id, *notice[:2], tuple(notice.users)) for notice_id, notice in self._notices.items()]

    def __len__(self) -> int:
        return len(self._notices)
