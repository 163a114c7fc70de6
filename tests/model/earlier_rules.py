"""The rules by which the server relocated users at first, kept because windows were found in them.

A model that finds nothing wrong is worth something only if it would have found what was. So the rules are written down
here as they were in the code, without improvement, and a test has the checker find each of the windows.

What they have that `relocation_rules` does not: listeners get a part of their own, by a way of their own; what a user was
given is put together from five sources (the shard's memory, its mark, names, tables and newcomers); and the end of a
relocation takes no account of what is still in the bus queues.
"""

from collections.abc import Iterator
from math import gcd, inf
from typing import Any, NamedTuple

from model.checker import Step
from model.cluster import (
    MIA,
    NAMES,
    ORPHAN,
    SHARDS,
    USERS,
    Item,
    Notice,
    Outcome,
    Rules,
    Scenario,
    State,
    grouped,
)

NOBODY: frozenset[int] = frozenset()


class Extra(NamedTuple):
    """What a part says beside its users: for which listeners it is, and which shards got a part from the publisher."""

    hearers: tuple[int, int] | None = None
    parted: frozenset[int] | None = None


class Newcomer(NamedTuple):
    """A user who came: the tables that hold for the user, and from which number on the shard's own memory does."""

    keys: tuple[tuple[str, int], ...]
    since: int | None = None


class Split(NamedTuple):
    """Whom a part still names, and who of those it concerns is remembered by name or passed by."""

    users: frozenset[int]
    listeners: frozenset[int]
    aside: frozenset[int]
    passed: frozenset[int]
    is_detour: bool


class Shard(NamedTuple):
    """What a shard's journal says; `version` to `hearing` as in `Relocations`, the rest as it was elsewhere in the state."""

    number: int
    version: int = 1
    before: int = 0
    agreed: bool = True
    awaited: frozenset[int] = NOBODY
    closed: int = 1
    mark: int = 0
    absent: frozenset[tuple[int, str, int]] = frozenset()
    adopted: frozenset[int] = NOBODY
    hearing: frozenset[int] = NOBODY
    newcomers: frozenset[tuple[int, Newcomer]] = frozenset()
    given: frozenset[tuple[str, int]] = frozenset()
    tables: frozenset[tuple[str, str, int]] = frozenset()
    remembered: tuple[str, ...] = ()
    present: frozenset[int] = NOBODY

    def absence(self, user: int) -> tuple[str, int] | None:
        """What stands of a user who is not here, and the other shard."""
        return next(((what, shard) for one, what, shard in self.absent if one == user), None)

    def newcomer(self, user: int) -> Newcomer | None:
        """What holds for a user who came."""
        return dict(self.newcomers).get(user)


class EarlierRules(Rules):
    """See the module."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario

    def shards(self) -> tuple[Shard, ...]:
        """All live under the first map."""
        home = self._scenario.home
        return tuple(
            Shard(index, present=frozenset(user for user in USERS if home(1, user) == index))
            for index in range(self._scenario.shards)
        )

    # Who is where.

    def _homes(self, shard: Shard, user: int) -> tuple[int, int]:
        after = self._scenario.home(shard.version, user)
        return self._scenario.home(shard.before, user) if shard.before else after, after

    def _place(self, shard: Shard, user: int) -> int | None:
        before, after = self._homes(shard, user)
        absence = shard.absence(user)
        if absence is not None and absence[0] == "moving":
            return None
        if not shard.before or before == after:
            return after
        if after == shard.number:
            return after if user in shard.adopted or before not in shard.awaited else before
        if not shard.agreed:
            return before
        is_still_here = before == shard.number and absence is None and shard.closed < shard.version
        return before if is_still_here else after

    def owns(self, shard: Shard, user: int) -> bool:
        """Whether a user's requests are answered here."""
        return self._place(shard, user) == shard.number

    # How notices are split.

    def whole(self, notice: Notice) -> Item:
        """As it was published."""
        return Item(notice.name, frozenset(notice.named), Extra())

    def parts(self, notice: Notice, version: int) -> dict[int, Item]:
        """As publishers with a map made them."""
        group = self._scenario.maps[version - 1]
        home = self._scenario.home
        wanted = {home(version, user) for user in notice.named} | (set(group) if notice.public else set())
        found = {}
        for shard in sorted(wanted):
            users = frozenset(user for user in notice.named if home(version, user) == shard)
            hearers = (group.index(shard), len(group)) if notice.public else None
            found[shard] = Item(notice.name, users, Extra(hearers, frozenset(wanted)), version)
        return found

    def oldest_split(self, item: Item) -> int:
        """Only what a publisher split said so."""
        return item.by or 99

    def _is_public(self, name: str) -> bool:
        return self._scenario.notice(name).public

    def _spread(self, shard: Shard, item: Item, hops: int) -> dict[int, Item]:
        """`UserLocator.parts`."""
        also: list[int] = []
        if self._is_public(item.notice):
            also = self._hearing_shards(shard, item.extra, sent_on=hops > 0)
            if shard.before:
                also += [absence[1] for user in shard.hearing if (absence := shard.absence(user))]
        places = {user: self._place(shard, user) for user in item.users}
        wanted = {place for place in [*places.values(), *also] if place is not None} or {shard.number}
        return {
            dest: Item(
                item.notice,
                frozenset(user for user in item.users if places[user] == dest),
                item.extra._replace(parted=None),
                item.by,
            )
            for dest in sorted(wanted)
        }

    def _hearing_shards(self, shard: Shard, extra: Extra, *, sent_on: bool) -> list[int]:
        """`UserLocator._hearing`."""
        if extra.parted is None and sent_on:
            return [shard.number] if shard.before or extra.hearers is not None else []
        maps = self._scenario.maps
        groups = [maps[shard.version - 1], *([maps[shard.before - 1]] if shard.before else [])]
        if extra.hearers is not None:
            return [one for group in groups for one in _meeting(group, extra.hearers)]
        shards = [one for group in groups for one in group]
        return shards if extra.parted is None else [shard.number, *(set(shards) - extra.parted)]

    # Carrying out.

    def carry_out(self, shard: Shard, items: tuple[Item, ...], hops: int) -> Outcome | str | None:
        """`publish_everywhere`, and `decide_publish` with what it rests on."""
        if any(self._has_to_wait(shard, item) for item in items):
            return None
        delivered: list[tuple[str, int, str]] = []
        onward: dict[int, list[Item]] = {}
        spread = [self._spread(shard, item, hops) for item in items]
        if hops + 1 > 3 and any(set(parts) - {shard.number} for parts in spread):
            return "it has been sent on too often"
        after = shard
        for parts in spread:
            for dest, part in parts.items():
                if dest == shard.number:
                    # All of a request was decided before any of it was applied; that makes no difference here.
                    after, got = self._publish(after, part, is_detour=hops > 1)
                    delivered += got
                else:
                    onward.setdefault(dest, []).append(part)
        return Outcome(
            after, tuple(delivered), grouped(onward), (shard.version, shard.agreed, bool(shard.before))
        )

    def _has_to_wait(self, shard: Shard, item: Item) -> bool:
        """`UserLocator.wait_until_settled`."""
        concerned = item.users | (shard.hearing if self._is_public(item.notice) else NOBODY)
        return bool(shard.before) and any((shard.absence(user) or ("",))[0] == "moving" for user in concerned)

    def _publish(
        self, shard: Shard, item: Item, *, is_detour: bool
    ) -> tuple[Shard, list[tuple[str, int, str]]]:
        name = item.notice
        has_others = is_detour and item.extra.hearers is not None
        movers = {user for user in item.users if len(set(self._homes(shard, user))) > 1}
        aside = item.users if is_detour else frozenset(movers)
        listeners = self._listeners(shard, item)
        known = name in shard.remembered
        passed: frozenset[int] = NOBODY
        if (
            known
            or any(name == one for one, _ in shard.given)
            or any(name == one for _, one, _ in shard.tables)
        ):
            if known and not (has_others or aside or shard.newcomers or shard.before):
                return shard, []
            passed = frozenset(
                user
                for user in item.users | listeners
                if self._was_given(
                    shard,
                    user,
                    name,
                    aside=user in aside or ((has_others or bool(shard.before)) and user not in item.users),
                )
            )
            everybody = item.users | listeners
            if passed == everybody and (everybody or known):
                return shard, []
        users = item.users - passed
        hears = self._listeners(shard, item) - passed - users - {user for user, _, _ in shard.absent}
        delivered = [(name, user, "feed") for user in sorted(hears)]
        for user in sorted(users & shard.present):
            delivered += [(name, user, "feed"), *([(name, user, "inbox")] if user == MIA else [])]
        split = Split(users, listeners - passed, aside, passed, is_detour)
        return self._note(shard, name, split), delivered

    def _note(self, shard: Shard, name: str, split: Split) -> Shard:
        """`decide_aside` and `record_delivery`."""
        users, listeners, aside, passed, is_detour = split
        if is_detour or aside or passed or shard.before or shard.newcomers:
            again = name in shard.remembered
            named = users if again else users & aside
            if again or aside or is_detour or shard.before:
                named |= listeners
            shard = shard._replace(given=shard.given | {(name, user) for user in named})
            if (named or passed or is_detour) and (is_detour or (users and users <= named)):
                return shard
        if name in shard.remembered:
            return shard
        return shard._replace(remembered=(*shard.remembered, name))

    def _listeners(self, shard: Shard, item: Item) -> frozenset[int]:
        if not self._is_public(item.notice):
            return NOBODY
        hearers = item.extra.hearers
        return frozenset(user for user in shard.present if hearers is None or user % hearers[1] == hearers[0])

    def _was_given(self, shard: Shard, user: int, name: str, *, aside: bool) -> bool:
        """`Relocations.was_given`."""
        if (name, user) in shard.given:
            return True
        since: int | None = 0
        newcomer = shard.newcomer(user)
        if newcomer is not None:
            since = newcomer.since
            for table, first in newcomer.keys:
                if any(
                    one == table and known == name and number >= first for one, known, number in shard.tables
                ):
                    return True
        if name not in shard.remembered or since is None:
            return False
        end = inf if not aside else shard.mark if shard.before else 0
        return since <= shard.remembered.index(name) < end

    # Relocation.

    def relocating(self, state: State) -> Iterator[Step[State]]:
        """The records of both sides, each a step."""
        for shard in state.shards:
            version = shard.version + 1
            if version <= len(self._scenario.maps) and state.ended == shard.version:
                yield self._learn(state, shard, version)
            if not shard.before:
                continue
            if not shard.agreed and all(one.version == shard.version for one in state.shards):
                yield Step(f"{SHARDS[shard.number]} agrees", _with(state, shard._replace(agreed=True)))
            if shard.agreed:
                for user in USERS:
                    yield from self._move(state, shard, user)
                yield from self._close(state, shard)
                yield from self._settle(state, shard)
        if state.ended < state.newest and all(
            shard.version == state.newest and not shard.before for shard in state.shards
        ):
            yield Step(
                f"`apply` ends: version {state.newest} is in force", state._replace(ended=state.newest)
            )

    def _learn(self, state: State, shard: Shard, version: int) -> Step[State]:
        learned = shard._replace(
            version=version,
            before=shard.version,
            agreed=False,
            awaited=frozenset(range(self._scenario.shards)) - {shard.number},
            mark=len(shard.remembered),
            absent=frozenset(),
            adopted=NOBODY,
            hearing=NOBODY,
        )
        after = _with(state, learned)._replace(newest=max(version, state.newest))
        return Step(f"{SHARDS[shard.number]} learns version {version}", after)

    def _move(self, state: State, source: Shard, user: int) -> Iterator[Step[State]]:
        before, after = self._homes(source, user)
        if before != source.number or before == after:
            return
        target: Shard = state.shards[after]
        names = f"{SHARDS[source.number]} -> {SHARDS[after]}, {NAMES[user]}"
        absence = source.absence(user)
        if absence is None:
            moving = source._replace(
                absent=source.absent | {(user, "moving", after)}, hearing=source.hearing | {user}
            )
            yield Step(f"{names}: moving", _with(state, moving))
        elif absence[0] == "moving" and user not in target.adopted:
            if target.absence(user) is None:
                arriving = (user, "arriving", source.number)
                came = target._replace(absent=target.absent | {arriving}, present=target.present | {user})
                yield Step(f"{names}: arrived", _with(state, came))
            else:
                yield Step(f"{names}: adopted", _with(state, self._adopt(source, target, user)))
        elif absence[0] == "moving":
            gone = source._replace(
                absent=source.absent - {(user, "moving", after)} | {(user, "moved", after)},
                present=source.present - {user},
                newcomers=frozenset(one for one in source.newcomers if one[0] != user),
                given=frozenset(one for one in source.given if one[1] != user),
            )
            yield Step(f"{names}: moved", _with(state, gone))

    def _adopt(self, source: Shard, target: Shard, user: int) -> Shard:
        name = f"{source.number}@{source.version}"
        newcomer = source.newcomer(user)
        keys: tuple[tuple[str, int], ...] = ((name, 0),)
        if newcomer is not None:
            own = () if newcomer.since is None else ((name, newcomer.since),)
            keys = newcomer.keys + own
        table = {(name, notice, number) for number, notice in enumerate(source.remembered[: source.mark])}
        return target._replace(
            absent=frozenset(one for one in target.absent if one[0] != user),
            adopted=target.adopted | {user},
            newcomers=target.newcomers | {(user, Newcomer(keys))},
            given=target.given | {one for one in source.given if one[1] == user},
            tables=target.tables | source.tables | table,
        )

    def _close(self, state: State, shard: Shard) -> Iterator[Step[State]]:
        if shard.closed == shard.version:
            return
        for user in USERS:
            before, after = self._homes(shard, user)
            if before == shard.number != after and (shard.absence(user) or ("",))[0] != "moved":
                return
        closed = _over_if_all(shard._replace(closed=shard.version))
        yield Step(f"{SHARDS[shard.number]} closes{_told(closed)}", _with(state, closed))

    def _settle(self, state: State, shard: Shard) -> Iterator[Step[State]]:
        for other in shard.awaited:
            theirs = state.shards[other]
            splits_by_it_alone = theirs.agreed and all(
                said == (theirs.version, theirs.agreed, bool(theirs.before))
                for call in state.calls
                if call.root != ORPHAN
                for one, said in call.path
                if one == other
            )
            if theirs.closed >= shard.version and splits_by_it_alone:
                settled = _over_if_all(shard._replace(awaited=shard.awaited - {other}))
                label = f"{SHARDS[shard.number]} knows that {SHARDS[other]} is done{_told(settled)}"
                yield Step(label, _with(state, settled))


def _told(shard: Shard) -> str:
    return "" if shard.before else ", and is through"


def _over_if_all(shard: Shard) -> Shard:
    if shard.awaited or shard.closed < shard.version:
        return shard
    since = len(shard.remembered)
    newcomers = {
        (user, one._replace(since=since) if one.since is None else one) for user, one in shard.newcomers
    }
    return shard._replace(
        before=0, absent=frozenset(), adopted=NOBODY, hearing=NOBODY, newcomers=frozenset(newcomers)
    )


def _meeting(group: tuple[int, ...], hearers: tuple[int, int]) -> list[int]:
    index, count = hearers
    common = gcd(count, len(group))
    return [shard for place, shard in enumerate(group) if place % common == index % common]


def _with(state: State, shard: Any) -> State:
    shards = list(state.shards)
    shards[shard.number] = shard
    return state._replace(shards=tuple(shards))
