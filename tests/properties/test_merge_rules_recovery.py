"""An application's rules may fail, change or go: nothing is lost or doubled, over any number of crashes (D3, D4).

Every event adds a number of its own to a count, so that one lost or given twice shows in the sum.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.core_rig import Rig
from support.core_states import check_queue
from tidewire.core.events.coalescing import AddRemove, Counter, Event, MergeRule
from tidewire.core.persistence.snapshot import decode_snapshot, encode_snapshot
from tidewire.core.state.limits import Limits


class Broken:
    """Fails in one of its methods, or gives what can't be used."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._counter = Counter(number_field="by")

    def __repr__(self) -> str:
        return f"Broken({self._method!r})"

    def key(self, event: Event) -> str | None:
        """Fails, or not."""
        if self._method == "key":
            raise ZeroDivisionError
        return self._counter.key(event)

    def closes(self, event: Event, open_keys: Collection[str]) -> Collection[str]:
        """Fails, or not."""
        if self._method == "closes":
            raise ZeroDivisionError
        return self._counter.closes(event, open_keys)

    def merge(self, events: Sequence[Event]) -> dict[str, Any]:
        """Fails, or not."""
        merged = self._counter.merge(events)
        if self._method == "merge":
            raise ZeroDivisionError
        return {**merged, "more": object()} if self._method == "value" else merged


class Pairs(Counter):
    """Makes two events of a group."""

    def merge(self, events: Sequence[Event]) -> list[dict[str, Any]]:  # type: ignore[override]  # a rule may
        """The first, and the sum of the rest."""
        return [dict(events[0]), super().merge(events[1:])]


TABLES: tuple[Mapping[str, MergeRule], ...] = (
    {},
    {"x": Counter(number_field="by")},
    {"x": Counter(number_field="by", key_fields=("name",))},
    {"x": Pairs(number_field="by")},
    {"x": AddRemove(list_field="none")},
    *({"x": Broken(method)} for method in ("key", "closes", "merge", "value")),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("publish"), st.lists(st.sampled_from(["a", "b", "plain", "flag"]), min_size=1, max_size=4)
        ),
        st.tuples(st.just("read"), st.integers(0, 4)),
        st.tuples(st.sampled_from(["crash", "stop"]), st.integers(0, len(TABLES) - 1)),
        st.tuples(st.just("tick"), st.just(0)),
        st.tuples(st.just("keep"), st.just(0)),
    ),
    max_size=20,
)


class World:
    """A server, and a client that adds up."""

    def __init__(self, table: int, bound: int) -> None:
        self.rig = Rig(rules=TABLES[table], limits=Limits(answer_max_bytes=bound))
        self.queue_id = self.rig.register()
        self.sums = [0, 0, 0]
        self.published = [0, 0, 0]
        self.processed = -1
        self.number = 1
        self.snapshot: bytes | None = None
        self.since = 0

    def publish(self, names: list[str]) -> None:
        """Events of which each has a number that no sum of others is."""
        for name in names:
            if name == "plain":
                self.rig.publish({"type": "plain", "by": self.number})
                self.published[1] += self.number
            elif name == "flag":
                flag = {"type": "update_message_flags", "op": "add", "flag": "read"}
                self.rig.publish({**flag, "messages": [self.number]})
                self.published[2] += self.number
            else:
                self.rig.publish({"type": "x", "name": name, "by": self.number})
                self.published[0] += self.number
            self.number *= 2
            if self.number > 2**50:
                self.number = 1

    def read(self, count: int | None) -> bool:
        """Processes the first `count` events of an answer; whether there were any."""
        events = self.rig.poll(self.queue_id, self.processed).events
        for event in events[:count]:
            assert event["id"] > self.processed
            self.processed = event["id"]
            if event["type"] == "update_message_flags":
                self.sums[2] += sum(event["messages"])
            else:
                self.sums[event["type"] == "plain"] += event["by"]
        return bool(events)

    def keep(self) -> None:
        """Takes a snapshot."""
        self.snapshot, self.since = encode_snapshot(self.rig.engine.snapshot()), len(self.rig.journal.written)

    def go_on(self, table: int, *, resumed: bool) -> None:
        """Starts another server, whose rules may be others, from what was kept and the records since."""
        self.rig.rules = TABLES[table]
        image = None if self.snapshot is None else decode_snapshot(self.snapshot)
        records = self.rig.journal.records(self.since)
        self.rig.restart(image, records, resumed=resumed)


@settings(max_examples=400, deadline=None)
@given(table=st.integers(0, len(TABLES) - 1), bound=st.sampled_from([0, 0, 400]), steps=STEPS)
def test_nothing_is_lost_or_doubled_whatever_the_rules_do(
    table: int, bound: int, steps: list[tuple[str, Any]]
) -> None:
    world = World(table, bound)
    for step, argument in steps:
        if step == "publish":
            world.publish(argument)
        elif step == "read":
            world.read(argument)
        elif step == "tick":
            world.rig.wait(1)
        elif step == "keep":
            world.keep()
        else:
            if step == "stop":
                world.keep()
            world.go_on(argument, resumed=step == "crash")
        found = world.rig.engine.shard.find(world.queue_id)
        assert found is not None
        check_queue(found.queue)
    while world.read(None):
        pass
    assert world.sums == world.published
    assert not world.rig.reporter.failures
