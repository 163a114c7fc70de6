"""A cluster small enough to try everything that can happen to it, whatever the rules are by which users are relocated.

There are two shards, A and B, with users (C has none and only passes on what comes in by it); two users, of whom Mia has
a queue that hears all public messages and an ordinary one, and Stan one that hears public messages; up to three notices
of one publisher; and maps that follow each other. The publisher has no map and goes in by any shard, or splits notices by
the map that it knows and puts the parts in the shards' bus queues.

What is sent from shard to shard may be late as long as it likes. A shard may be killed at any moment and goes on where
its journal says: all that it was waiting for, or that others were waiting for from it, is then as good as sent by
nobody. It stays on its way for ever and may arrive any number of times, and whoever waited tries again.

The rules (`earlier_rules`, `relocation_rules`) say what a shard knows and does. What must hold is said here: nobody loses
an event, gets one twice, out of order or that was somebody else's, nobody is ever two shards' or given anything by a
shard whose they are not, everything comes to its end, and after a relocation has been declared over nothing arrives that was made under the map before.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from model.checker import Step

STAN, MIA = 1, 2
USERS = (STAN, MIA)
NAMES = {STAN: "Stan", MIA: "Mia"}
SHARDS = "ABC"

QUEUES = ((MIA, "feed"), (MIA, "inbox"), (STAN, "feed"))
"""A feed hears public messages that don't name its owner; an inbox doesn't."""

ORPHAN = -1
"""The root of a call that nobody waits for any more."""

PUBLISHER = -2
"""The root of calls that the publisher waits for; those of a shard's bus queue have the shard's number."""


class Notice(NamedTuple):
    """A notice; the others know it by its name."""

    name: str
    public: bool
    named: tuple[int, ...]

    def is_for(self, user: int, queue: str) -> bool:
        """Whether a queue is to get it."""
        return user in self.named or (self.public and queue == "feed")


class Item(NamedTuple):
    """A notice, or a part of one, on its way; what else stands in it is a matter of the rules."""

    notice: str
    users: frozenset[int]
    extra: Any = None
    by: int = 0


class Call(NamedTuple):
    """Items on their way to a shard. `path` are the shards that wait for the answer, with what they say of their map."""

    root: int
    path: tuple[tuple[int, Any], ...]
    dest: int
    hops: int
    items: tuple[Item, ...]


class Outcome(NamedTuple):
    """What a shard does with items: its state after it, what it delivers, and what it sends on."""

    shard: Any
    delivered: tuple[tuple[str, int, str], ...]
    onward: tuple[tuple[int, tuple[Item, ...]], ...]
    generation: Any = None


class State(NamedTuple):
    """Everything that differs from one state to another."""

    shards: tuple[Any, ...]
    queues: tuple[tuple[str, ...], ...]
    calls: frozenset[Call] = frozenset()
    bus: tuple[tuple[Item, ...], ...] = ((), ())
    next: int = 0
    sent: bool = False
    publishes_by: int = 1
    newest: int = 1
    ended: int = 1
    kills: int = 0
    repeats: int = 0


class Scenario(NamedTuple):
    """What there is and what may happen.

    Attributes:
        notices: in the order in which they are published.
        requests: how many of them go together.
        maps: of each version, the shards of the realm; a user's is at the user's id modulo their number.
        by_bus: the publisher splits notices itself.
        doors: the shards by which it goes in otherwise.
        kills: how many of them there may be.
        repeats: how often the publisher may publish again what it has published last, by the map that it has then.
    """

    notices: tuple[Notice, ...]
    requests: tuple[int, ...]
    maps: tuple[tuple[int, ...], ...]
    by_bus: bool = False
    doors: tuple[int, ...] = (0, 1)
    kills: int = 0
    repeats: int = 0

    @property
    def shards(self) -> int:
        """How many there are."""
        return 3 if 2 in self.doors else 2

    def home(self, version: int, user: int) -> int:
        """A user's shard by a map."""
        group = self.maps[version - 1]
        return group[user % len(group)]

    def notice(self, name: str) -> Notice:
        """A notice by its name."""
        return next(notice for notice in self.notices if notice.name == name)

    def request(self, number: int) -> tuple[Notice, ...]:
        """The notices of a request."""
        first = sum(self.requests[:number])
        return self.notices[first : first + self.requests[number]]


class Rules(Protocol):
    """How shards relocate users, and what they do with notices meanwhile."""

    def shards(self) -> tuple[Any, ...]:
        """The shards when nothing has happened."""
        ...

    def relocating(self, state: State) -> Iterator[Step[State]]:
        """Steps of a relocation."""
        ...

    def whole(self, notice: Notice) -> Item:
        """A notice that nobody has split."""
        ...

    def parts(self, notice: Notice, version: int) -> dict[int, Item]:
        """A notice as a publisher with this map splits it, by shard."""
        ...

    def carry_out(self, shard: Any, items: tuple[Item, ...], hops: int) -> Outcome | str | None:
        """What a shard does with items; a sentence when it refuses them, and None when they have to wait."""
        ...

    def owns(self, shard: Any, user: int) -> bool:
        """Whether a user is this shard's."""
        ...

    def oldest_split(self, item: Item) -> int:
        """The oldest map that an item was made by; the newest there may be when nobody has split it."""
        ...


Group: TypeAlias = dict[int, list[Item]]


def grouped(found: Group) -> tuple[tuple[int, tuple[Item, ...]], ...]:
    """Items by shard, as they stand in an outcome."""
    return tuple((shard, tuple(items)) for shard, items in sorted(found.items()))


class Cluster:
    """The steps of a scenario under some rules, and what is wrong with a state."""

    def __init__(self, scenario: Scenario, rules: Rules) -> None:
        self._scenario = scenario
        self._rules = rules
        self._order = {notice.name: place for place, notice in enumerate(scenario.notices)}
        self._owned_twice: dict[tuple[Any, ...], str | None] = {}

    def first(self) -> State:
        """Before anything has happened."""
        scenario = self._scenario
        return State(
            self._rules.shards(),
            tuple(() for _ in QUEUES),
            bus=tuple(() for _ in range(2)),
            kills=scenario.kills,
            repeats=scenario.repeats,
        )

    def steps(self, state: State) -> Iterator[Step[State]]:
        """Everything that can happen."""
        progress = [*self._publishing(state), *self._carrying(state), *self._rules.relocating(state)]
        if not progress and not self.is_over(state):
            yield Step("nothing can happen any more", state, "stuck: something waits for ever")
        yield from progress
        if state.kills:
            yield from self._killing(state)

    def is_over(self, state: State) -> bool:
        """Whether all has been published and carried out, and the last map is in force."""
        return self._is_quiet(state) and state.ended == len(self._scenario.maps)

    def _is_quiet(self, state: State) -> bool:
        live = any(call.root != ORPHAN for call in state.calls)
        return state.next == len(self._scenario.requests) and not (state.sent or live or any(state.bus))

    def fault(self, state: State) -> str | None:
        """What is wrong with a state."""
        if state.shards not in self._owned_twice:
            self._owned_twice[state.shards] = self._fault_of_shards(state.shards)
        if self._owned_twice[state.shards] is not None:
            return self._owned_twice[state.shards]
        if self._is_quiet(state):
            for (user, queue), got in zip(QUEUES, state.queues, strict=True):
                for notice in self._scenario.notices:
                    if notice.is_for(user, queue) and notice.name not in got:
                        return f"lost: {NAMES[user]}'s {queue} never gets {notice.name}"
        late = self._late(state)
        return (
            None
            if late is None
            else f"late: {late} although version {state.ended} has been declared in force"
        )

    def _fault_of_shards(self, shards: tuple[Any, ...]) -> str | None:
        for user in USERS:
            owners = [SHARDS[index] for index, shard in enumerate(shards) if self._rules.owns(shard, user)]
            if len(owners) > 1:
                return f"two owners: {NAMES[user]} is served by {' and '.join(owners)}"
        return None

    def _late(self, state: State) -> str | None:
        if state.ended == 1:
            return None
        oldest = self._rules.oldest_split
        on_bus = [item for queue in state.bus for item in queue]
        live = [item for call in state.calls if call.root != ORPHAN for item in call.items]
        for item in [*on_bus, *live]:
            if oldest(item) < state.ended:
                return f"a part of {item.notice} made by version {oldest(item)} is still on its way"
        return None

    # Publishing.

    def _publishing(self, state: State) -> Iterator[Step[State]]:
        scenario = self._scenario
        by = state.publishes_by
        if scenario.by_bus and by < state.newest and not self._is_on_bus(state, by):
            after = state._replace(publishes_by=state.newest)
            yield Step(f"the publisher's fences are answered: it goes by version {state.newest}", after)
        if state.next < len(scenario.requests) and not state.sent:
            request = scenario.request(state.next)
            if scenario.by_bus:
                yield self._put(state, request, "puts")
            else:
                yield from self._send(state, request)
        if state.repeats and state.next and not state.sent and scenario.by_bus:
            request = scenario.request(state.next - 1)
            repeat = state._replace(next=state.next - 1, repeats=state.repeats - 1)
            yield self._put(repeat, request, "is not sure, and puts once more")

    def _is_on_bus(self, state: State, version: int) -> bool:
        return any(item.by <= version for queue in state.bus for item in queue)

    def _put(self, state: State, request: Sequence[Notice], how: str) -> Step[State]:
        bus = [list(queue) for queue in state.bus]
        told = []
        for notice in request:
            parts = self._rules.parts(notice, state.publishes_by)
            for shard, item in parts.items():
                bus[shard].append(item)
            told.append(f"{notice.name} for {', '.join(SHARDS[shard] for shard in sorted(parts))}")
        label = f"the publisher {how} on the bus, by version {state.publishes_by}: {'; '.join(told)}"
        return Step(label, state._replace(next=state.next + 1, bus=tuple(map(tuple, bus))))

    def _send(self, state: State, request: Sequence[Notice]) -> Iterator[Step[State]]:
        items = tuple(map(self._rules.whole, request))
        for door in self._scenario.doors:
            call = Call(PUBLISHER, (), door, 0, items)
            label = f"the publisher sends [{', '.join(notice.name for notice in request)}] to {SHARDS[door]}"
            yield Step(label, state._replace(sent=True, calls=state.calls | {call}))

    # Carrying out.

    def _carrying(self, state: State) -> Iterator[Step[State]]:
        for call in state.calls:
            yield from self._carry(state, call, state.calls if call.root == ORPHAN else state.calls - {call})
        for shard, queue in enumerate(state.bus):
            if queue and not any(call.root == shard for call in state.calls):
                # What its publisher has split counts as sent on once.
                yield from self._carry(state, Call(shard, (), shard, 1, queue[:1]), state.calls)

    def _carry(self, state: State, call: Call, left: frozenset[Call]) -> Iterator[Step[State]]:
        outcome = self._rules.carry_out(state.shards[call.dest], call.items, call.hops)
        if outcome is None:
            return
        name = SHARDS[call.dest]
        what = ", ".join(item.notice for item in call.items)
        if isinstance(outcome, str):
            if call.root != ORPHAN:
                yield Step(f"{name} refuses {what}: {outcome}", self._failed(state, {call.root}, left))
            return
        path = (*call.path, (call.dest, outcome.generation)) if call.root != ORPHAN else ()
        onward = {Call(call.root, path, dest, call.hops + 1, items) for dest, items in outcome.onward}
        shards = (*state.shards[: call.dest], outcome.shard, *state.shards[call.dest + 1 :])
        after = state._replace(shards=shards, calls=left | onward)
        after, fault = self._delivered(after, outcome.delivered)
        after = self._finished(after, call.root)
        for notice, user, queue in outcome.delivered:
            if not self._rules.owns(state.shards[call.dest], user):
                fault = f"not its own: {name} gives {notice} to {NAMES[user]}'s {queue}"
        yield Step(_told(name, what, call, outcome), after, fault)

    def _delivered(self, state: State, delivered: Sequence[tuple[str, int, str]]) -> tuple[State, str | None]:
        queues = list(state.queues)
        fault = None
        for name, user, queue in delivered:
            place = QUEUES.index((user, queue))
            whose = f"{NAMES[user]}'s {queue}"
            if not self._scenario.notice(name).is_for(user, queue):
                fault = f"somebody else's: {whose} gets {name}"
            elif name in queues[place]:
                fault = f"doubled: {whose} gets {name} again"
            elif any(self._order[known] > self._order[name] for known in queues[place]):
                fault = f"out of order: {whose} gets {name} after {queues[place][-1]}"
            queues[place] = (*queues[place], name)
        return state._replace(queues=tuple(queues)), fault

    def _finished(self, state: State, root: int) -> State:
        """The same, if somebody waited for this call alone."""
        if root == ORPHAN or any(call.root == root for call in state.calls):
            return state
        if root == PUBLISHER:
            return state._replace(sent=False, next=state.next + 1)
        bus = list(state.bus)
        bus[root] = bus[root][1:]
        return state._replace(bus=tuple(bus))

    # Kills.

    def _killing(self, state: State) -> Iterator[Step[State]]:
        """Only those that change something: a shard knows nothing that is not in its journal."""
        for shard in range(len(state.shards)):
            roots = {
                call.root
                for call in state.calls
                if call.root != ORPHAN and shard in {call.dest, *(one for one, _ in call.path)}
            }
            if roots:
                after = self._failed(state, roots, state.calls)._replace(kills=state.kills - 1)
                yield Step(f"{SHARDS[shard]} is killed, and comes back", after)

    def _failed(self, state: State, roots: set[int], calls: frozenset[Call]) -> State:
        """Whoever waited has to try again; what is on its way stays so, and nobody waits for it."""
        left = frozenset(
            call._replace(root=ORPHAN, path=()) if call.root in roots else call for call in calls
        )
        return state._replace(calls=left, sent=state.sent and PUBLISHER not in roots)


def _told(name: str, what: str, call: Call, outcome: Outcome) -> str:
    how = " (nobody waits for it)" if call.root == ORPHAN else ""
    got = ", ".join(f"{NAMES[user]}'s {queue} gets {notice}" for notice, user, queue in outcome.delivered)
    sent = "; ".join(
        f"sends [{', '.join(item.notice for item in items)}] on to {SHARDS[dest]}"
        for dest, items in outcome.onward
    )
    return f"{name} takes {what}{how}: {'; '.join(filter(None, [got, sent])) or 'nothing is left to do'}"
