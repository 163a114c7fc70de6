"""A merge rule that fails: its events are delivered singly, and it is counted and reported (`core/queues/event_queue.py`, rule 7)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from support.core_rig import Rig, spec
from support.events import flags
from tidewire.core.events.coalescing import Counter, Event, MergeRule
from tidewire.core.persistence.snapshot import decode_snapshot, encode_snapshot
from tidewire.core.records import Sealed

BY = Counter(number_field="by")


class Moody:
    """A counter that does with some events what a rule mustn't."""

    def key(self, event: Event) -> str | None:
        """Fails on events that say so."""
        if "key" in event:
            raise AttributeError("key")
        key: str | None = event.get("as", BY.key(event))
        return key

    def closes(self, event: Event, open_keys: Collection[str]) -> Collection[str]:
        """Fails on events that say so, or gives what they say."""
        if "closes" in event:
            raise LookupError("closes")
        ended: Collection[str] = event.get("ends", BY.closes(event, open_keys))
        return ended

    def merge(self, events: Sequence[Event]) -> Any:
        """Gives what the newest event says, else the sum."""
        outcome = events[-1].get("outcome", "sum")
        if outcome == "raise":
            raise ValueError("merge")
        if outcome == "grow":
            return count(1, text="x" * 200)
        return BY.merge(events) if outcome == "sum" else outcome


RULES: Mapping[str, MergeRule] = {"x": Moody()}


def count(by: int, **members: Any) -> dict[str, Any]:
    """An event to add up."""
    return {"type": "x", "by": by, **members}


def numbers(rig: Rig, queue_id: str) -> list[tuple[int, int]]:
    """The ids and numbers that a poll gives."""
    return [(event["id"], event["by"]) for event in rig.poll(queue_id).events]


@pytest.mark.parametrize(
    "fault", [{"key": 1}, {"closes": 1}, {"as": 7}, {"ends": 5}, {"ends": [[]]}, {"ends": "abc"}]
)
def test_an_event_whose_rule_fails_stands_alone_and_nothing_merges_across_it(fault: dict[str, Any]) -> None:
    rig = Rig(rules=RULES)
    queue_id = rig.register()
    rig.publish(count(1), count(2), count(4, **fault), count(8), count(16))
    assert numbers(rig, queue_id) == [(1, 3), (2, 4), (4, 24)]
    assert rig.engine.shard.statistics.rule_failures == {"x": 1}
    assert rig.engine.shard.statistics.broken == 0


@pytest.mark.parametrize(
    "outcome",
    ["raise", None, 7, [], {"by": 3}, {"type": "y", "by": 3}, [count(1)] * 3, "grow"],
)
def test_contributors_that_can_not_be_merged_are_given_singly(outcome: Any) -> None:
    rig = Rig(rules=RULES)
    queue_id = rig.register()
    rig.publish(count(1), {"type": "deploy", "by": 0}, count(2, outcome=outcome))
    expected = [(0, 1), (1, 0), (2, 2)]
    assert numbers(rig, queue_id) == expected
    assert numbers(rig, queue_id) == expected
    assert rig.engine.shard.statistics.rule_failures == {"x": 1}
    assert not [record for record in rig.journal.records() if isinstance(record, Sealed)]


def test_other_groups_of_the_same_answer_are_merged_all_the_same_and_recovery_agrees() -> None:
    rig = Rig(rules=RULES)
    queue_id = rig.register()
    rig.publish(count(1), flags("add", "read", [1]), count(2, outcome="raise"), flags("add", "read", [2]))
    before = rig.poll(queue_id).events
    assert [event["id"] for event in before] == [0, 2, 3]
    rig.restart(None, rig.journal.records(), resumed=True)
    assert rig.poll(queue_id).events == before


def test_what_a_rule_gave_is_kept_although_it_fails_in_recovery() -> None:
    """A client that processed the event in between and not yet the merged one must not lose the older part."""
    rig = Rig(rules={"x": BY})
    queue_id = rig.register()
    rig.publish(count(1), {"type": "deploy", "by": 0}, count(2))
    assert numbers(rig, queue_id) == [(1, 0), (2, 3)]
    for rules in ({"x": Moody()}, {}):
        rig.rules = rules
        rig.restart(None, rig.journal.records(), resumed=True)
        assert [(event["id"], event["by"]) for event in rig.poll(queue_id, 1).events] == [(2, 3)]


def test_failures_are_reported_once_a_second_however_many_queues_they_happen_in() -> None:
    rig = Rig(rules=RULES)
    for user in range(5):
        rig.register(spec(user=user))
    rig.publish(count(1, key=1), users=range(5))
    rig.wait(3)
    ((kind, times, error),) = rig.reporter.rule_failures
    assert (kind, times, str(error)) == ("x", 5, "key")
    assert not rig.reporter.failures


def test_groups_of_a_rule_that_has_changed_are_not_merged_by_the_new_one() -> None:
    rig = Rig(rules={"x": BY})
    queue_id = rig.register()
    rig.publish(count(1), count(2))
    snapshot = encode_snapshot(rig.engine.snapshot())
    shown = []
    for rules in ({"x": BY}, {"x": Counter(number_field="by", key_fields=("name",))}, {}):
        rig.rules = rules
        rig.restart(decode_snapshot(snapshot), [], resumed=False)
        shown.append(numbers(rig, queue_id))
    assert shown == [[(1, 3)], [(0, 1), (1, 2)], [(0, 1), (1, 2)]]


def test_a_merge_sees_what_the_queue_adds_to_an_event() -> None:
    rig = Rig(rules={"x": BY})
    queue_id = rig.register()
    found = rig.engine.shard.find(queue_id)
    assert found is not None
    rig.publish(count(1), count(2))
    group = found.queue.groups()[0]
    group.contributors[1] = (1, group.contributors[1][1], b',"flags":["read"]')
    (event,) = rig.poll(queue_id).events
    assert event == {"type": "x", "by": 3, "flags": ["read"], "id": 1}
