"""Compression of flag events: the compressed queue leaves a client in the state of the raw one (R1.14, R1.15)."""

from collections.abc import Collection, Mapping, Sequence

import pytest
from hypothesis import assume, find, given, settings
from hypothesis import strategies as st

from support.core_states import check_queue
from support.events import Json, decode, flags, runs_of_changes, state_of_flags
from tidewire.core.events.coalescing import MERGE_RULES, Event, FlagChanges, MergeRule
from tidewire.core.events.encoding import encode_entry
from tidewire.core.events.shaped_event import Representation
from tidewire.core.queues.event_queue import EventQueue

MESSAGES = (1, 2, 3)
LISTS = st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=3)
OPS = st.sampled_from(["add", "remove"])
FLAGS = st.sampled_from(["read", "starred"])
TIMES: st.SearchStrategy[Json] = st.sampled_from([{}, {"timestamp": 1}, {"timestamp": 22}])
CHANGES = st.one_of(
    st.builds(
        lambda op, flag, messages, time: {**flags(op, flag, messages), **time}, OPS, FLAGS, LISTS, TIMES
    ),
    st.builds(lambda op, flag: flags(op, flag, [], for_all=True), OPS, FLAGS),
    st.just({"type": "deploy"}),
)
STEPS = st.lists(st.tuples(CHANGES, st.sampled_from(["", "", "read", "cut"])), max_size=12)
"""Events, and after some of them the client reads and acknowledges: everything or a part."""


class NothingCloses(FlagChanges):
    """The original's rule: whatever came in between, events of one kind are merged (R1.14)."""

    def closes(self, event: Event, open_keys: Collection[str]) -> Collection[str]:  # noqa: ARG002 - the rule's signature
        """Never."""
        return ()


BROKEN: Mapping[str, MergeRule] = {"update_message_flags": NothingCloses()}


def follow(steps: Sequence[tuple[Json, str]], rules: Mapping[str, MergeRule]) -> list[Json]:
    """All events that a client is given which reads where the steps say so, and at the end."""
    queue = EventQueue()
    given_out: list[Json] = []
    for event, reading in [*steps, ({"type": "last"}, "read")]:
        queue.push(Representation(event, rules))
        check_queue(queue)
        if reading:
            entries, _ = queue.read(150 if reading == "cut" else 0)
            check_queue(queue)
            given_out += [decode(encode_entry(entry)) for entry in entries]
            queue.prune(entries[-1][0])
    return given_out


def states_agree(steps: Sequence[tuple[Json, str]], rules: Mapping[str, MergeRule]) -> bool:
    """Whether the client ends in the state that the raw events would have left it in."""
    raw = [event for event, _ in steps]
    return state_of_flags(follow(steps, rules), MESSAGES) == state_of_flags(raw, MESSAGES)


@given(STEPS)
def test_the_compressed_queue_gives_the_state_of_the_raw_one_r1_15(steps: list[tuple[Json, str]]) -> None:
    assert states_agree(steps, MERGE_RULES)


@given(STEPS)
def test_ids_rise_and_no_other_event_is_touched(steps: list[tuple[Json, str]]) -> None:
    given_out = follow(steps, MERGE_RULES)
    ids = [event["id"] for event in given_out]
    assert ids == sorted(set(ids))
    assert [event["type"] for event in given_out].count("deploy") == [
        event["type"] for event, _ in steps
    ].count("deploy")


@given(STEPS)
def test_every_change_reaches_the_client_once_and_never_past_an_opposite_one(
    steps: list[tuple[Json, str]],
) -> None:
    given_out = follow(steps, MERGE_RULES)
    for flag in ("read", "starred"):
        assert runs_of_changes(given_out, flag) == runs_of_changes([event for event, _ in steps], flag)


def test_a_change_of_all_may_be_passed_by_those_of_its_direction_alone() -> None:
    """As recorded of the original: whatever their order, they leave the same flags."""
    for_all = flags("add", "starred", [], for_all=True)
    same = [(flags("add", "starred", [1]), ""), (for_all, ""), (flags("add", "starred", [2]), "")]
    given_out = follow(same, MERGE_RULES)
    assert [event.get("messages") for event in given_out[:-1]] == [[], [1, 2]]
    opposite = [(flags("remove", "starred", [1]), ""), (for_all, ""), (flags("remove", "starred", [2]), "")]
    given_out = follow(opposite, MERGE_RULES)
    assert [event.get("messages") for event in given_out[:-1]] == [[1], [], [2]]


def test_without_closing_the_property_fails_so_it_can_fail_r1_14() -> None:
    steps = find(
        STEPS,
        lambda found: not states_agree(found, BROKEN),
        settings=settings(max_examples=5000, database=None, derandomize=True),
    )
    assert states_agree(steps, MERGE_RULES)
    assert len(steps) == 3


@pytest.mark.parametrize(("op", "flag"), [("remove", "starred"), ("add", "starred"), ("remove", "read")])
def test_each_conflict_that_r1_14_names_fails_without_closing(op: str, flag: str) -> None:
    other = "add" if op == "remove" else "remove"
    if flag == "read":
        op, other = other, op
    steps = [(flags(op, flag, [1]), ""), (flags(other, flag, [1]), ""), (flags(op, flag, [2]), "")]
    assert states_agree(steps, MERGE_RULES)
    assert not states_agree(steps, BROKEN)


@given(
    st.lists(
        st.builds(lambda messages, time: {**flags("add", "read", messages), **time}, LISTS, TIMES), min_size=2
    )
)
def test_a_merge_has_all_messages_the_newest_time_and_the_rest_of_the_first_r1_9(events: list[Json]) -> None:
    merged = FlagChanges().merge(events)
    assert merged["messages"] == [message for event in events for message in event["messages"]]
    times = [event["timestamp"] for event in events if "timestamp" in event]
    assert merged.get("timestamp") == (times[-1] if times else None)
    for key in ("type", "op", "operation", "flag", "all"):
        assert merged[key] == events[0][key]


@given(st.lists(CHANGES, max_size=6))
def test_merging_changes_no_event_that_others_share_r1_10(events: list[Json]) -> None:
    queue = EventQueue()
    other = EventQueue()
    for event in events:
        shared = Representation(event, MERGE_RULES)
        queue.push(shared)
        other.push(shared)
    first, _ = queue.read(0)
    assume(first)
    assert other.read(0)[0] == first
