"""The rules of relocation as docs/explanation/relocation.md gives them. They are what the server is to do, not what it does yet.

What the page calls a *scope* is a set of users here: the server writes it as a residue class and a range of user ids.

1. Each part of a notice says its scope. It is complete for it: it names every user of the notice in there, and is for
   every listener in there. So all that a user's queues are to get of a notice travels together.
2. A shard carries a notice out for those users of the scope who are its own, and remembers for whom. It sends the rest
   on, each user to one shard, all notices of a call together.
3. A user has one route. Everybody splits by the map before until the relocation is over, so a user's notices go to the
   shard before, which sends on those of users who have left.
4. What was remembered goes along with a user. It holds wherever it is read: it names users, by name or as "those whom
   version 2 gives to B".
5. A map is settled when all shards are through with the relocation, no publisher goes by an older map, and nothing is on
   its way that was split by one; the next is taken after that. What comes later all the same is refused by its version.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from model.checker import Step
from model.cluster import (
    NAMES,
    ORPHAN,
    SHARDS,
    USERS,
    Group,
    Item,
    Notice,
    Outcome,
    Rules,
    Scenario,
    State,
    grouped,
)

Fact: TypeAlias = tuple[str, int, int]
"""A notice was given to everybody whom a version gives to a shard; or, with version 0, to a user."""

UNSPLIT = 99
"""The version of a notice that nobody has split: newer than all."""

NOBODY: frozenset[int] = frozenset()

RELOCATION_TRANSITIONS: Mapping[tuple[str, str, str], str] = MappingProxyType(
    {
        ("shard", "settled", "MapLearned"): "relocating",
        ("shard", "relocating", "RelocationFinished"): "finished",
        ("shard", "finished", "MapSettled"): "settled",
        ("users on A", "staying", "UsersDeparting"): "departing",
        ("users on A", "departing", "UsersDeparted"): "departed",
        ("users on A", "departing", "ShardGivenUp"): "staying",
        ("users on B", "expected", "QueuesReceived"): "receiving",
        ("users on B", "receiving", "QueuesReceived"): "receiving",
        ("users on B", "receiving", "UsersArrived"): "arrived",
        ("users on B", "expected", "ShardGivenUp"): "arrived",
        ("users on B", "receiving", "ShardGivenUp"): "arrived",
    }
)
"""The states of a shard and of users who go from A to B, and the journal records that change them.

Here users are received and arrive in one step, because nothing is given to queues that have only been received.
"""


class Shard(NamedTuple):
    """What a shard's journal says.

    Attributes:
        before: the version before, during a relocation; else 0.
        departing: users who are on their way from here. Nothing of theirs changes.
        departed: users of the version before who are gone; they are where the newer version says.
        arrived: users of the newer version who have come.
        facts: who was given what.
        settled: the newest version that is.
    """

    number: int
    version: int = 1
    before: int = 0
    departing: frozenset[int] = NOBODY
    departed: frozenset[int] = NOBODY
    arrived: frozenset[int] = NOBODY
    facts: frozenset[Fact] = frozenset()
    settled: int = 1


class RelocationRules(Rules):
    """See the module."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        # What was worked out before.
        self._outcomes: dict[tuple[Shard, tuple[Item, ...], int], Outcome | str | None] = {}
        self._advances: dict[State, list[Step[State]]] = {}

    def shards(self) -> tuple[Shard, ...]:
        """All live under the first map."""
        return tuple(Shard(index) for index in range(self._scenario.shards))

    # Who is where.

    def _homes(self, shard: Shard, user: int) -> tuple[int, int]:
        home = self._scenario.home
        after = home(shard.version, user)
        return home(shard.before, user) if shard.before else after, after

    def owns(self, shard: Shard, user: int) -> bool:
        """Whether the shard answers for a user."""
        return self._place(shard, user) == shard.number and user not in shard.departing

    def _place(self, shard: Shard, user: int) -> int:
        """Where a user is, as far as the shard knows: one that has left is at the newer place, all others at the older."""
        before, after = self._homes(shard, user)
        if before == after or user in shard.departed or user in shard.arrived:
            return after
        return before

    # Notices.

    def whole(self, notice: Notice) -> Item:
        """For everybody."""
        return Item(notice.name, frozenset(USERS), by=UNSPLIT)

    def parts(self, notice: Notice, version: int) -> dict[int, Item]:
        """One for each shard that has a user by the map, unless it is for none of them."""
        found = {}
        for shard in sorted(set(self._scenario.maps[version - 1])):
            scope = frozenset(user for user in USERS if self._scenario.home(version, user) == shard)
            if notice.public or scope & set(notice.named):
                found[shard] = Item(notice.name, scope, by=version)
        return found

    def oldest_split(self, item: Item) -> int:
        """See `Item.by`."""
        return item.by

    def carry_out(self, shard: Shard, items: tuple[Item, ...], hops: int) -> Outcome | str | None:
        """Rule 2."""
        key = (shard, items, hops)
        if key not in self._outcomes:
            self._outcomes[key] = self._carry_out(shard, items, hops)
        return self._outcomes[key]

    def _carry_out(self, shard: Shard, items: Sequence[Item], hops: int) -> Outcome | str | None:
        if any(item.by < shard.settled for item in items):
            return "it was split by a map that is no longer in force"
        if hops > 3:
            return "it has been sent on too often"
        if any(self._has_to_wait(shard, item) for item in items):
            return None
        facts = set(shard.facts)
        delivered: list[tuple[str, int, str]] = []
        onward: Group = {}
        for item in items:
            own = frozenset(user for user in item.users if self._place(shard, user) == shard.number)
            for user in sorted(own):
                if not self._was_given(facts, user, item.notice):
                    delivered += self._deliveries(item.notice, user)
            facts |= self._given_now(shard, item, own)
            for dest in sorted({self._place(shard, user) for user in item.users - own}):
                scope = frozenset(user for user in item.users if self._place(shard, user) == dest)
                if any(self._is_for(item.notice, user) for user in scope):
                    by = min(item.by, shard.before or shard.version)
                    onward.setdefault(dest, []).append(Item(item.notice, scope, by=by))
        after = shard._replace(facts=frozenset(facts))
        return Outcome(after, tuple(delivered), grouped(onward))

    def _has_to_wait(self, shard: Shard, item: Item) -> bool:
        return any(self._is_for(item.notice, user) for user in item.users & shard.departing)

    def _is_for(self, name: str, user: int) -> bool:
        notice = self._scenario.notice(name)
        return notice.public or user in notice.named

    def _deliveries(self, name: str, user: int) -> Iterator[tuple[str, int, str]]:
        notice = self._scenario.notice(name)
        for owner, queue in self._queues(user):
            if notice.is_for(owner, queue):
                yield name, owner, queue

    def _queues(self, user: int) -> Iterator[tuple[int, str]]:
        yield user, "feed"
        if NAMES[user] == "Mia":
            yield user, "inbox"

    def _was_given(self, facts: set[Fact], user: int, name: str) -> bool:
        """Rule 4: a fact means the same on every shard."""
        if (name, 0, user) in facts:
            return True
        home = self._scenario.home
        return any(
            (name, version, home(version, user)) in facts
            for version in range(1, len(self._scenario.maps) + 1)
        )

    def _given_now(self, shard: Shard, item: Item, own: frozenset[int]) -> set[Fact]:
        """One fact for all, where nobody moves and the part is for everybody here; else one for each user."""
        home = self._scenario.home
        mine = {user for user in USERS if home(shard.version, user) == shard.number}
        if not shard.before and mine <= item.users:
            return {(item.notice, shard.version, shard.number)}
        return {(item.notice, 0, user) for user in own if self._is_for(item.notice, user)}

    # Relocation.

    def relocating(self, state: State) -> Iterator[Step[State]]:
        """What each shard may do next, and the command that looks on."""
        # The first rests on the shards alone, of which there are fewer different ones than states.
        alone = State(state.shards, (), newest=state.newest, ended=state.ended)
        if alone not in self._advances:
            self._advances[alone] = list(self._advance(alone))
        for label, after, _ in self._advances[alone]:
            yield Step(label, state._replace(shards=after.shards, newest=after.newest))
        yield from self._settle(state)

    def _advance(self, state: State) -> Iterator[Step[State]]:
        for shard in state.shards:
            yield from self._learn(state, shard)
            if shard.before:
                for user in USERS:
                    yield from self._move(state, shard, user)
                yield from self._end(state, shard)

    def _with(self, state: State, *changed: Shard) -> State:
        shards = list(state.shards)
        for shard in changed:
            shards[shard.number] = shard
        return state._replace(shards=tuple(shards))

    def _learn(self, state: State, shard: Shard) -> Iterator[Step[State]]:
        version = shard.version + 1
        if version <= len(self._scenario.maps) and state.ended == shard.version:
            learned = shard._replace(version=version, before=shard.version)
            after = self._with(state, learned)._replace(newest=max(version, state.newest))
            yield Step(f"{SHARDS[shard.number]} learns version {version} (MapLearned)", after)

    def _move(self, state: State, source: Shard, user: int) -> Iterator[Step[State]]:
        before, after = self._homes(source, user)
        if before != source.number or before == after or user in source.departed:
            return
        target: Shard = state.shards[after]
        names = f"{SHARDS[source.number]} -> {SHARDS[after]}, {NAMES[user]}"
        if user not in source.departing:
            if target.version == source.version:
                held = source._replace(departing=source.departing | {user})
                yield Step(f"{names}: UsersDeparting", self._with(state, held))
        elif user not in target.arrived:
            facts = target.facts | self._brought(source, user)
            came = target._replace(arrived=target.arrived | {user}, facts=facts)
            yield Step(f"{names}: UsersArrived", self._with(state, came))
        else:
            gone = source._replace(
                departing=source.departing - {user},
                departed=source.departed | {user},
                facts=frozenset(fact for fact in source.facts if fact[1] or fact[2] != user),
            )
            yield Step(f"{names}: UsersDeparted", self._with(state, gone))

    def _brought(self, source: Shard, user: int) -> set[Fact]:
        """What goes along: all short facts, whomever they are about, and those that name the user."""
        return {fact for fact in source.facts if fact[1] or fact[2] == user}

    def _end(self, state: State, shard: Shard) -> Iterator[Step[State]]:
        """A shard is through when nobody has to leave any shard any more: it asks the others for that."""
        movers = [user for user in USERS if self._homes(shard, user)[0] != self._homes(shard, user)[1]]
        for source in state.shards:
            through = source.version == shard.version and not source.before
            mine = {user for user in movers if self._homes(shard, user)[0] == source.number}
            if not through and (source.version != shard.version or not mine <= source.departed):
                return
        over = shard._replace(before=0, departed=NOBODY, arrived=NOBODY)
        yield Step(
            f"{SHARDS[shard.number]} is through with version {shard.version} (RelocationFinished)",
            self._with(state, over),
        )

    def _settle(self, state: State) -> Iterator[Step[State]]:
        """Rule 5."""
        version = state.newest
        if state.ended == version or self.waits_for(state):
            return
        for shard in state.shards:
            if shard.settled < version:
                after = self._with(state, shard._replace(settled=version))
                yield Step(
                    f"{SHARDS[shard.number]} takes nothing older than version {version} (MapSettled)", after
                )
                return
        if all(shard.settled == version for shard in state.shards):
            # What would be refused whenever it arrives need not be looked at any more.
            calls = frozenset(call for call in state.calls if all(item.by >= version for item in call.items))
            after = state._replace(ended=version, calls=calls)
            yield Step(f"`apply` ends: version {version} is in force", after)

    def waits_for(self, state: State) -> str | None:
        """What the command says that it waits for."""
        version = state.newest
        for shard in state.shards:
            if shard.version < version or shard.before:
                return f"shard {SHARDS[shard.number]} is not through with users"
        if self._scenario.by_bus and state.publishes_by < version:
            return "a publisher goes by an older map"
        for index, queue in enumerate(state.bus):
            if any(item.by < version for item in queue):
                return f"the bus queue of {SHARDS[index]} is not through"
        for call in state.calls:
            if call.root != ORPHAN and any(item.by < version for item in call.items):
                return "a shard waits for what it has split by an older map"
        return None
