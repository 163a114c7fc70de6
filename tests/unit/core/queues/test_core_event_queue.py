"""The event queue (section 1)."""

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from support.core_states import check_queue
from support.events import Json, decode, flags
from tidewire.core.errors import BadRequest
from tidewire.core.events.coalescing import MERGE_RULES, Event, MergeRule
from tidewire.core.events.encoding import encode_entry
from tidewire.core.events.shaped_event import Representation
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.queues.merge_group import Merge

DEPLOY: Json = {"type": "deploy"}


class Counter:
    """A rule that adds numbers up."""

    def key(self, event: Event) -> str | None:
        """All of one name."""
        return str(event["name"])

    def closes(self, event: Event, open_keys: Collection[str]) -> Collection[str]:
        """Another name."""
        return [key for key in open_keys if key != str(event["name"])]

    def merge(self, events: Sequence[Event]) -> dict[str, Any]:
        """Their sum."""
        return {**events[0], "count": sum(event["count"] for event in events)}


def filled(*events: Json, rules: dict[str, MergeRule] | None = None) -> EventQueue:
    """A queue with these events."""
    queue = EventQueue()
    for event in events:
        queue.push(Representation(event, rules or MERGE_RULES))
        check_queue(queue)
    return queue


def read(queue: EventQueue, max_bytes: int = 0) -> list[Json]:
    """What an answer would show."""
    entries, _ = queue.read(max_bytes)
    check_queue(queue)
    return [decode(encode_entry(entry)) for entry in entries]


def ids(queue: EventQueue, max_bytes: int = 0) -> list[int]:
    """The ids that an answer would show."""
    return [event["id"] for event in read(queue, max_bytes)]


def test_ids_start_at_0_and_rise_by_one_a_push_r1_3() -> None:
    queue = EventQueue()
    assert [queue.push(Representation(DEPLOY, MERGE_RULES)) for _ in range(3)] == [0, 1, 2]


def test_an_empty_queue_is_false_and_one_with_a_waiting_group_is_not_r1_19() -> None:
    assert not filled()
    assert filled(flags("add", "read", [1]))
    assert filled(DEPLOY)


def test_delivered_events_stay_until_they_are_acknowledged_r1_20() -> None:
    queue = filled(DEPLOY, DEPLOY)
    assert ids(queue) == ids(queue) == [0, 1]
    assert queue.prune(0) == 1
    assert ids(queue) == [1]


def test_reading_ends_a_merge_r1_11() -> None:
    queue = filled(flags("add", "read", [1]))
    read(queue)
    queue.push(Representation(flags("add", "read", [2]), MERGE_RULES))
    assert [event["messages"] for event in read(queue)] == [[1], [2]]


def test_a_merged_event_stands_at_its_newest_contributor_r1_12() -> None:
    queue = filled(flags("add", "read", [1]), DEPLOY, flags("add", "read", [2]), DEPLOY)
    assert [(event["id"], event["type"]) for event in read(queue)] == [
        (1, "deploy"),
        (2, "update_message_flags"),
        (3, "deploy"),
    ]


def test_a_read_says_what_must_be_journalled_only_when_events_were_merged() -> None:
    queue = filled(flags("add", "read", [1]), DEPLOY)
    assert queue.read(0)[1] is None
    for message in (2, 3):
        queue.push(Representation(flags("add", "read", [message]), MERGE_RULES))
    assert queue.read(0)[1] == Merge(placed=1, through=3)
    assert queue.read(0)[1] is None


@pytest.mark.parametrize("acknowledged", [None, 0, 1, 2])
@pytest.mark.parametrize("merged", [False, True])
def test_reading_all_at_once_is_reading_without_a_bound(acknowledged: int | None, *, merged: bool) -> None:
    """The short way of nearly every answer gives what the long way gives, and leaves what it leaves."""
    events = [flags("add", "read", [1]), flags("add", "read", [2])] if merged else [DEPLOY, DEPLOY]
    long, short = filled(*events, DEPLOY), filled(*events, DEPLOY)
    for queue in (long, short):
        queue.read(0)
        if acknowledged is not None and not (merged and acknowledged == 0):
            queue.prune(acknowledged)
        queue.push(Representation(DEPLOY, MERGE_RULES))
    entries, merge = long.read(0)
    assert (short.read_all(), merge) == (entries, None)
    assert (short.placed, short.size, short.entries) == (long.placed, long.size, long.entries)


def test_redoing_a_merge_gives_what_the_read_gave() -> None:
    live, again = filled(flags("add", "read", [1])), filled(flags("add", "read", [1]))
    read(live)
    for queue in (live, again):
        for message in (2, 3):
            queue.push(Representation(flags("add", "read", [message]), MERGE_RULES))
    entries, merge = live.read(0)
    assert merge is not None
    again.replay_merge(merge)
    check_queue(again)
    assert again.entries == entries


def test_an_answer_is_cut_before_it_is_too_large_and_has_at_least_one_event() -> None:
    queue = filled(*[DEPLOY] * 4)
    one = queue.size // 4
    assert ids(queue, 1) == [0]
    assert ids(queue, 2 * one) == [0, 1]
    assert ids(queue, 2 * one + 1) == [0, 1]
    assert ids(queue, queue.size) == [0, 1, 2, 3]


def test_a_cut_merges_what_lies_before_it_and_the_rest_goes_on_waiting() -> None:
    queue = filled(*(flags("add", "read", [message]) for message in range(4)))
    cut = queue.size // 4 * 2
    assert [(event["id"], event["messages"]) for event in read(queue, cut)] == [(1, [0, 1])]
    queue.push(Representation(flags("add", "read", [4]), MERGE_RULES))
    queue.prune(1)
    assert [(event["id"], event["messages"]) for event in read(queue)] == [(4, [2, 3, 4])]


def test_pruning_reaches_into_groups_and_takes_any_id() -> None:
    queue = filled(flags("add", "read", [1]), flags("add", "read", [2]), flags("add", "starred", [3]))
    assert queue.prune(0) == 1
    check_queue(queue)
    assert queue.prune(0) == 0
    assert queue.prune(5) == 2
    assert not queue
    assert queue.size == 0


@pytest.mark.parametrize("last", [-2, 3, 7])
def test_an_id_that_was_never_in_the_queue_is_refused_and_the_queue_is_intact_r6_41(last: int) -> None:
    queue = filled(DEPLOY, DEPLOY, DEPLOY)
    with pytest.raises(BadRequest):
        queue.check(last)
    assert ids(queue) == [0, 1, 2]


def test_the_sentences_of_r6_40() -> None:
    queue = filled(DEPLOY, DEPLOY)
    queue.prune(0)
    with pytest.raises(BadRequest, match=r"^An event newer than -1 has already been pruned!$"):
        queue.check(-1)
    with pytest.raises(BadRequest, match=r"^Event 9 was not in this queue$"):
        queue.check(9)
    queue.check(0)
    queue.check(1)


def test_a_contributor_of_a_waiting_group_is_no_valid_id_as_long_as_nobody_was_given_it() -> None:
    queue = filled(flags("add", "read", [1]), flags("add", "read", [2]))
    with pytest.raises(BadRequest):
        queue.check(0)
    read(queue)
    with pytest.raises(BadRequest):
        queue.check(0)
    queue.check(1)


def test_a_queue_from_a_dump_that_does_not_say_what_was_pruned_takes_ids_that_prune_nothing_r2_30() -> None:
    queue = filled(DEPLOY, DEPLOY)
    queue.prune(0)
    queue.newest_pruned_id = None
    queue.check(0)
    assert queue.prune(0) == 0
    assert queue.newest_pruned_id is None
    with pytest.raises(BadRequest):
        queue.check(2)
    queue.check(1)
    assert queue.prune(1) == 1
    assert queue.newest_pruned_id == 1


def test_a_suffix_is_part_of_the_entry_and_of_the_size() -> None:
    queue = EventQueue()
    queue.push(Representation(DEPLOY, MERGE_RULES), b',"flags":["read"]')
    check_queue(queue)
    assert read(queue) == [{"type": "deploy", "flags": ["read"], "id": 0}]


def test_rules_of_different_types_do_not_meet() -> None:
    """A rule is asked about groups of its own type only, and equal keys are different groups."""
    rules: dict[str, MergeRule] = {**MERGE_RULES, "count": Counter(), "other": Counter()}
    queue = filled(
        {"type": "count", "name": "x", "count": 1},
        flags("add", "read", [1]),
        {"type": "other", "name": "x", "count": 10},
        {"type": "other", "name": "y", "count": 20},
        flags("add", "read", [2]),
        {"type": "count", "name": "x", "count": 2},
        rules=rules,
    )
    shown = {event["id"]: (event["type"], event.get("count")) for event in read(queue)}
    assert shown == {
        2: ("other", 10),
        3: ("other", 20),
        4: ("update_message_flags", None),
        5: ("count", 3),
    }


def test_a_push_that_fails_leaves_the_queue_as_it_was() -> None:
    queue = filled(DEPLOY)
    with pytest.raises(KeyError):
        queue.push(Representation({"type": "count"}, {"count": Counter()}))
    check_queue(queue)
    assert (queue.next_event_id, len(queue)) == (1, 1)
