"""Whose user somebody is: by the map, and by how far a hand-over is (D7)."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from tidewire._amqp.names import inbound_queue
from tidewire.core.errors import UserMoving
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notices.notice import Notice
from tidewire.core.notices.split import meeting, parts_of, public_realm
from tidewire.core.relocation.relocations import Relocations
from tidewire.core.users import Realm, User
from tidewire.sharding.shard_map import ShardAddress, ShardMap, among

HOLD_WITHIN = 15.0
"""Seconds that what comes for users who are just moving is held; nearly always it is some milliseconds."""


class Directory(Protocol):
    """Who is in which realm: as much of an `Authenticator` as it takes to find a user's shard."""

    def user(self, user_id: UserId) -> User | None:
        """A user by id."""
        ...

    def realm(self, realm_id: RealmId) -> Realm | None:
        """A realm by id."""
        ...


class UserLocator:
    """One shard's view of where users are.

    Attributes:
        generation: rises with each map that is taken over, and when all shards have agreed to one.
        unsure: this shard began with a map of which it does not know yet whether it is in force; nobody is anywhere then.
        own: where this shard listens; it may be in the map no more, and then has nobody.
    """

    def __init__(
        self, shard_map: ShardMap, *, index: int, directory: Directory, relocations: Relocations | None
    ) -> None:
        self._map = shard_map
        self._before: ShardMap | None = None
        self._relocations = relocations or Relocations()
        self._index = index
        self.unsure = False
        self.own = shard_map.address(index)
        self._directory = directory
        self.generation = 0
        self._changed: asyncio.Future[None] | None = None
        self._splitting: Counter[int] = Counter()
        """Requests whose notices are split by the map of a generation, and not answered yet."""
        self._of_host: dict[tuple[bool, str], tuple[int, ...]] = {}
        """Memory of `ShardMap.shards_of_realm`: patterns would be searched for each poll."""

    @property
    def map(self) -> ShardMap:
        """The shard map in use."""
        return self._map

    @property
    def index(self) -> int:
        """Which shard this one is."""
        return self._index

    @property
    def before(self) -> ShardMap | None:
        """The map before, while users are handed over from it."""
        return self._before

    def problem_with(self, newer: ShardMap) -> str | None:
        """Why another map can't take the place of the one in force, if it can't."""
        old = self._map
        if newer.version <= old.version:
            return f"its version is {newer.version}; a changed map needs a version above {old.version}"
        common = min(len(newer.shards), len(old.shards))
        if newer.shards[:common] != old.shards[:common]:
            return "the shards that stay must be the first in it, with their host and port as they were"
        return None

    def adopt(self, newer: ShardMap) -> str | None:
        """Takes over another map, unless there is a reason not to, which is returned; the map stays then."""
        if newer == self._map:
            return None
        problem = self.problem_with(newer)
        if problem is None:
            self.use_map(newer, None)
        return problem

    def use_map(self, shard_map: ShardMap, before: ShardMap | None) -> None:
        """Goes by a map from here on, and by `before` for those who have not been handed over."""
        self._map, self._before, self.unsure = shard_map, before, False
        self._of_host.clear()
        self.generation += 1
        self.changed()

    def agreed(self) -> None:
        """All shards know both maps: from here on this one goes by the newer."""
        self.generation += 1
        self.changed()

    def others(self) -> list[int]:
        """The other shards, of both maps."""
        count = max(len(self._map.shards), 0 if self._before is None else len(self._before.shards))
        return [shard for shard in range(count) if shard != self._index]

    def address(self, shard: int) -> ShardAddress:
        """Where a shard listens, by the map or the one before."""
        known = self._map if shard < len(self._map.shards) or self._before is None else self._before
        return known.shards[shard]

    # Who is where.

    def shard_of(self, user_id: UserId, realm_id: RealmId | None) -> int:
        """The shard of a user of a realm by the map, whoever has the user now."""
        return among(self._shards_of(realm_id), user_id)

    def old_and_new_shard(self, user_id: UserId, realm_id: RealmId | None) -> tuple[int, int]:
        """The shards of a user by the map before and by the one in force."""
        after = self.shard_of(user_id, realm_id)
        if self._before is None:
            return after, after
        return among(self._shards_of(realm_id, before=True), user_id), after

    def place(self, user_id: UserId, realm_id: RealmId | None) -> int | None:
        """The shard to go to with what a user asks, or what is for the user; None while that changes."""
        if self.unsure:
            return None
        if not self._relocations.under_way:
            return self.shard_of(user_id, realm_id)
        return self._relocations.place(user_id, *self.old_and_new_shard(user_id, realm_id)).shard

    async def locate(self, user_id: UserId, realm_id: RealmId | None) -> int:
        """Locates a user once a relocation under way, if there is one, is settled.

        Raises:
            UserMoving: that takes too long.
        """
        deadline = asyncio.get_running_loop().time() + HOLD_WITHIN
        while (shard := self.place(user_id, realm_id)) is None:
            await self._change(deadline)
        return shard

    async def wait_until_settled(self, notices: Sequence[Notice]) -> None:
        """Returns when nobody whom notices concern is just moving.

        Raises:
            UserMoving: that takes too long.
        """
        if not (self.unsure or self._relocations.under_way):
            return
        deadline = asyncio.get_running_loop().time() + HOLD_WITHIN
        while self.unsure or any(map(self._is_moving, notices)):
            await self._change(deadline)

    def _is_moving(self, notice: Notice) -> bool:
        absent = self._relocations.absent
        found: Collection[UserId] = absent.keys() & notice.users.keys()
        if public_realm(notice) is not None:
            found = [*found, *self._relocations.hearing]
        return any(absent[user_id].what == "moving" for user_id in found if user_id in absent)

    def changed(self) -> None:
        """Users have moved: whoever waits for that looks again."""
        waiting, self._changed = self._changed, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def _change(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        if self._changed is None:
            self._changed = loop.create_future()
        await asyncio.wait([self._changed], timeout=max(0.0, deadline - loop.time()))
        if loop.time() >= deadline:
            raise UserMoving

    def serves(self, user: User) -> bool:
        """Whether a user is this shard's."""
        return self.place(user.id, user.realm_id) == self._index

    def serves_all(self, notices: Sequence[Notice]) -> bool:
        """Whether nobody else need hear of any of them, and nobody of theirs is on the way."""
        if self.unsure or self._relocations.under_way:
            return False
        return all(self.parts(notice).keys() == {self._index} for notice in notices)

    def parts(self, notice: Notice, *, sent_on: bool = False) -> dict[int, bytes]:
        """A notice as each shard is to get it; `sent_on` says that another shard has seen to its realm.

        A publisher that split it has seen to the realm too, by the map that it knows.
        """
        public = public_realm(notice)
        also = [] if public is None else self._hearing(notice, public, sent_on=sent_on)
        if self._relocations.under_way:
            return self._parts_under_way(notice, public, also)
        given = notice.realm_id
        if given is not None or self._map.is_uniform:
            shards = self._shards_of(given)
            return parts_of(notice, shard_of=lambda user: among(shards, user), also=also, nobody=self._index)
        return parts_of(notice, shard_of=self._shard_of_known, also=also, nobody=self._index)

    def _hearing(self, notice: Notice, realm_id: RealmId, *, sent_on: bool) -> list[int]:
        """The shards that get a public message of a realm from here, whomever it names."""
        parted = notice.parted
        if parted is None and sent_on:
            return [self._index] if self._relocations.under_way or notice.hearers is not None else []
        groups = [self._shards_of(realm_id)]
        if self._relocations.under_way:
            groups.append(self._shards_of(realm_id, before=True))
        if notice.hearers is not None:
            return [shard for group in groups for shard in meeting(group, notice.hearers)]
        shards = [shard for group in groups for shard in group]
        if parted is None:
            return shards
        # Its publisher may have had another map, and have left somebody out.
        missing = (shard for shard in shards if inbound_queue(self.address(shard).port) not in parted)
        return [self._index, *missing]

    def _parts_under_way(self, notice: Notice, public: RealmId | None, also: list[int]) -> dict[int, bytes]:
        """The shards that need a notice, and the part for each, while users are being relocated."""
        if public is not None:
            # Who hears a realm's messages and was handed over may have been there too late for this one.
            also += [
                self._relocations.absent[user].shard
                for user in self._relocations.hearing
                if user in self._relocations.absent
            ]

        def shard_of(user_id: UserId) -> int:
            shard = self.place(user_id, self.realm_of(user_id, notice.realm_id))
            if shard is None:
                raise UserMoving
            return shard

        return parts_of(notice, shard_of=shard_of, also=also, nobody=self._index)

    def relocating_recipients(self, notice: Notice) -> frozenset[UserId]:
        """Those of a notice's users whom the map gives to another shard than the one before did."""
        if self._before is None:
            return frozenset()

        def moves(user_id: UserId) -> bool:
            before, after = self.old_and_new_shard(user_id, self.realm_of(user_id, notice.realm_id))
            return before != after

        return frozenset(filter(moves, notice.users))

    def host_of(self, realm_id: RealmId) -> str | None:
        """The host of a realm, if it is known."""
        realm = self._directory.realm(realm_id)
        return None if realm is None else realm.host

    def realm_of(self, user_id: UserId, given: RealmId | None) -> RealmId | None:
        """A user's realm, if it is known or given."""
        if given is not None:
            return given
        user = self._directory.user(user_id)
        return None if user is None else user.realm_id

    def _shard_of_known(self, user_id: UserId) -> int:
        return self.shard_of(user_id, self.realm_of(user_id, None))

    def _shards_of(self, realm_id: RealmId | None, *, before: bool = False) -> tuple[int, ...]:
        shard_map = self._before if before and self._before is not None else self._map
        if realm_id is None or shard_map.is_uniform:
            return shard_map.default
        realm = self._directory.realm(realm_id)
        if realm is None:
            return shard_map.default
        known = self._of_host.get((before, realm.host))
        if known is None:
            known = self._of_host[before, realm.host] = shard_map.shards_of_realm(realm.host)
        return known

    @contextmanager
    def splitting(self) -> Iterator[None]:
        """Counts a request whose notices are split by the map in force, until all their parts are where they belong."""
        generation = self.generation
        self._splitting[generation] += 1
        try:
            yield
        finally:
            self._splitting[generation] -= 1
            if not self._splitting[generation]:
                del self._splitting[generation]

    @property
    def splits_by_this_map_alone(self) -> bool:
        """Whether no part of a notice is under way that was made by an older map."""
        return all(generation == self.generation for generation in self._splitting)
