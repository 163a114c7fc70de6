"""Users on their way between shards, as one of them sees it (docs: the hand-over of a user).

Who owns a user is a matter of the two maps and of what stands here (`Relocations.absent`, `adopted`, `awaited`, `closed`);
`place` is the rule. Where a map puts users is not known here; the caller says so.

Which notices a user was given is remembered for all users of the shard as one (`core/notices/deduplication.py`), as long as nobody
moves. For the others:

1. A *mover*, while a hand-over is under way, has what was given since it began under the own name (`given`).
2. A *newcomer* brings that along, and names the tables of ids that the shards before had remembered when their
   hand-over began, each from a number on: all that has stood there was given to the newcomer.
3. From the end of the hand-over on (`ArrivedUser.since`) what the shard remembers holds for newcomers as for anybody.
"""

import math
from collections.abc import Iterable
from itertools import takewhile
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from tidewire.core.errors import UserMoving
from tidewire.core.ids import UserId
from tidewire.core.notices.deduplication import RememberedId, RememberedIds, UserNoticeLog

What: TypeAlias = Literal["moving", "moved", "arriving"]

Key: TypeAlias = tuple[str, int]
"""A table of ids that another shard had remembered, and the number from which on it counts."""


class UserLocation(NamedTuple):
    """A user of whom something is or was here, and who is not this shard's now; `shard` is the other one."""

    what: What
    shard: int


class ArrivedUser(NamedTuple):
    """What holds for a user who came from another shard; `since` is None until the hand-over is over."""

    keys: tuple[Key, ...]
    since: int | None = None


class Place(NamedTuple):
    """Where to go with a user's requests; `shard` is None while that isn't settled, which doesn't take long."""

    shard: int | None


class Table:
    """The ids that another shard remembered, each with its number, oldest first."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[str, tuple[bytes, float, int]] = {}

    def add(self, first: int, ids: Iterable[RememberedId]) -> None:
        """Takes a piece; the first of it has the number `first`."""
        for number, (notice_id, digest, taken) in enumerate(ids, first):
            self._ids.setdefault(notice_id, (digest, taken, number))

    def digest(self, notice_id: str) -> bytes | None:
        """The digest of an id that is there."""
        known = self._ids.get(notice_id)
        return None if known is None else known[0]

    def holds(self, notice_id: str, first: int) -> bool:
        """Whether an id is there, under a number of at least `first`."""
        known = self._ids.get(notice_id)
        return known is not None and known[2] >= first

    def is_stale(self, before: float) -> bool:
        """Whether `forget` would find anything."""
        oldest = next(iter(self._ids.values()), None)
        return oldest is not None and oldest[1] < before

    def forget(self, before: float) -> None:
        """Drops ids that were taken before a time."""
        old = takewhile(lambda item: item[1][1] < before, self._ids.items())
        for notice_id in [notice_id for notice_id, _ in old]:
            del self._ids[notice_id]

    def ids(self) -> list[tuple[int, RememberedId]]:
        """Everything, with its numbers."""
        return [
            (number, (notice_id, digest, taken)) for notice_id, (digest, taken, number) in self._ids.items()
        ]

    def __len__(self) -> int:
        return len(self._ids)


class RelocationsImage(Struct, frozen=True, omit_defaults=True):
    """What stands in a snapshot, but for `given` and `tables`."""

    version: int = 0
    before: bytes = b""
    after: bytes = b""
    agreed: bool = False
    index: int = 0
    awaited: tuple[int, ...] = ()
    closed: int = 0
    mark: int = 0
    absent: tuple[tuple[int, str, int], ...] = ()
    adopted: tuple[int, ...] = ()
    fresh: tuple[int, ...] = ()
    hearing: tuple[int, ...] = ()
    is_first: bool = False
    newcomers: tuple[tuple[int, tuple[Key, ...], int | None], ...] = ()


class Relocations:
    """What one shard knows of users on their way.

    Attributes:
        version: of the map that it lives under; 0: of none.
        before: the map before, while a hand-over is under way; else empty.
        agreed: all other shards know of the hand-over; until then everything goes by the map before.
        after: the map that it lives under.
        index: which shard of them it is.
        awaited: the shards that have not closed yet, or split notices by the map before.
        closed: the newest version for which no mover is left here.
        mark: the number of the first id that was remembered after the hand-over began.
        absent: users of whom something is or was here, and who are not this shard's.
        adopted: users who came in this hand-over.
        fresh: users who may have got something here since it began.
        hearing: absent users who hear public messages that don't name them.
        is_first: it lives under this map from its beginning on.
    """

    __slots__ = (
        "absent",
        "adopted",
        "after",
        "agreed",
        "awaited",
        "before",
        "closed",
        "fresh",
        "given",
        "hearing",
        "index",
        "is_first",
        "mark",
        "newcomers",
        "tables",
        "version",
    )

    def __init__(self) -> None:
        self.version = 0
        self.before = b""
        self.after = b""
        self.index = 0
        self.agreed = False
        self.awaited: dict[int, None] = {}
        self.closed = 0
        self.mark = 0
        self.absent: dict[UserId, UserLocation] = {}
        self.hearing: dict[UserId, None] = {}
        self.is_first = False
        self.adopted: dict[UserId, None] = {}
        self.fresh: dict[UserId, None] = {}
        self.newcomers: dict[UserId, ArrivedUser] = {}
        self.given = UserNoticeLog()
        self.tables: dict[str, Table] = {}

    @property
    def under_way(self) -> bool:
        """Whether a relocation is under way."""
        return bool(self.before)

    def place(self, user_id: UserId, before: int, after: int) -> Place:
        """Where a user's requests go; `before` and `after` are the user's shards by the two maps."""
        absence = self.absent.get(user_id)
        if absence is not None and absence.what == "moving":
            return Place(None)
        if not self.before or before == after:
            return Place(after)
        if after == self.index:
            is_here = user_id in self.adopted or before not in self.awaited
            return Place(after if is_here else before)
        if not self.agreed:
            return Place(before)
        is_still_here = before == self.index and absence is None and self.closed < self.version
        return Place(before if is_still_here else after)

    def check_here(self, user_id: UserId) -> None:
        """Refuses what came for a user just when they moved.

        Raises:
            UserMoving: the user is not here.
        """
        if user_id in self.absent:
            raise UserMoving

    def users(self, what: What) -> dict[int, list[UserId]]:
        """The absent users of a kind, by shard."""
        found: dict[int, list[UserId]] = {}
        for user_id, absence in self.absent.items():
            if absence.what == what:
                found.setdefault(absence.shard, []).append(user_id)
        return found

    def note_fresh(self, user_id: UserId) -> None:
        """Notes that a user got something here, which may have to move."""
        if self.before:
            self.fresh[user_id] = None

    # The course of a hand-over.

    def begin(
        self, *, version: int, before: bytes, after: bytes, index: int, others: Iterable[int], mark: int
    ) -> None:
        """Takes another map; without one `before` it is simply the map from now on."""
        self.version, self.before, self.after = version, before, after
        self.agreed = not before
        self.index = index
        self.mark = mark
        self.awaited = dict.fromkeys(others) if before else {}
        self.absent, self.adopted, self.fresh, self.hearing = {}, {}, {}, {}
        self.is_first = not before
        # A shard that began with this map has closed nothing by it: it did not know of the one before.
        self.closed = min(self.closed, version - 1) if before else version

    def close(self, next_id: int) -> None:
        """No mover is left here."""
        self.closed = self.version
        self._end_if_over(next_id)

    def settle(self, shard: int, next_id: int) -> None:
        """Another shard has closed, and splits by the new map alone."""
        self.awaited.pop(shard, None)
        self._end_if_over(next_id)

    def _end_if_over(self, next_id: int) -> None:
        if not self.before or self.awaited or self.closed < self.version:
            return
        self.before = b""
        self.absent, self.adopted, self.fresh, self.hearing = {}, {}, {}, {}
        for user_id, newcomer in self.newcomers.items():
            if newcomer.since is None:
                self.newcomers[user_id] = newcomer._replace(since=next_id)

    # Which notices a user was given.

    @property
    def name(self) -> str:
        """Of the table that the own ids become for others."""
        return f"{self.index}@{self.version}"

    def keys_of(self, user_id: UserId) -> tuple[Key, ...]:
        """The tables that hold for a user who moves on: those brought along, and the own one."""
        newcomer = self.newcomers.get(user_id)
        if newcomer is None:
            return ((self.name, 0),)
        own = () if newcomer.since is None else ((self.name, newcomer.since),)
        known = tuple(key for key in newcomer.keys if key[0] in self.tables)
        return known + own

    def knows(self, notice_id: str) -> bytes | None:
        """The digest of a notice that only some users were given."""
        known = self.given.digest(notice_id)
        if known is not None:
            return known
        found = (table.digest(notice_id) for table in self.tables.values())
        return next((digest for digest in found if digest is not None), None)

    def was_given(self, user_id: UserId, notice_id: str, remembered: RememberedIds, *, aside: bool) -> bool:
        """Whether a user was given a notice.

        `aside` says that the user may have been named in another part of the notice than those that made the shard
        remember it: then what it remembered before the hand-over began counts alone.
        """
        if self.given.has(user_id, notice_id):
            return True
        since: int | None = 0
        newcomer = self.newcomers.get(user_id)
        if newcomer is not None:
            since = newcomer.since
            for name, first in newcomer.keys:
                table = self.tables.get(name)
                if table is not None and table.holds(notice_id, first):
                    return True
        number = remembered.number(notice_id)
        if number is None or since is None:
            return False
        end = math.inf if not aside else self.mark if self.before else 0
        return since <= number < end

    def is_stale(self, before: float) -> bool:
        """Whether `forget` would find anything."""
        tables = self.tables.values()
        return self.given.is_stale(before) or any(table.is_stale(before) or not table for table in tables)

    def forget(self, before: float, oldest: int) -> None:
        """Drops what was given before a time; `oldest` is the number of the oldest id that the shard remembers."""
        self.given.forget(before)
        for table in self.tables.values():
            table.forget(before)
        if any(not table for table in self.tables.values()):
            self.tables = {name: table for name, table in self.tables.items() if table}
            self.newcomers = {
                user_id: newcomer
                for user_id, newcomer in self.newcomers.items()
                if newcomer.since is None
                or newcomer.since > oldest
                or any(name in self.tables for name, _ in newcomer.keys)
            }

    # Snapshots.

    def image(self) -> RelocationsImage:
        """All but `given` and `tables`."""
        return RelocationsImage(
            version=self.version,
            before=self.before,
            after=self.after,
            agreed=self.agreed,
            index=self.index,
            awaited=tuple(self.awaited),
            closed=self.closed,
            mark=self.mark,
            absent=tuple((user_id, *absence) for user_id, absence in self.absent.items()),
            adopted=tuple(self.adopted),
            fresh=tuple(self.fresh),
            hearing=tuple(self.hearing),
            is_first=self.is_first,
            newcomers=tuple((user_id, *newcomer) for user_id, newcomer in self.newcomers.items()),
        )

    def restore(self, image: RelocationsImage) -> None:
        """Becomes what an image says."""
        self.version, self.before, self.after = image.version, image.before, image.after
        self.agreed = image.agreed
        self.index, self.closed, self.mark = image.index, image.closed, image.mark
        self.awaited = dict.fromkeys(image.awaited)
        whats: dict[str, What] = {"moving": "moving", "moved": "moved", "arriving": "arriving"}
        self.absent = {UserId(user): UserLocation(whats[what], shard) for user, what, shard in image.absent}
        self.adopted = {UserId(user): None for user in image.adopted}
        self.fresh = {UserId(user): None for user in image.fresh}
        self.hearing = {UserId(user): None for user in image.hearing}
        self.is_first = image.is_first
        self.newcomers = {UserId(user): ArrivedUser(keys, since) for user, keys, since in image.newcomers}
