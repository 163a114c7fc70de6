"""Every merge rule is proven: compressed events leave a client in the state of the raw ones (D3, R1.14, R1.15)."""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import strategies as st

from support.events import Json, flags, state_of_flags
from tidewire.core.events.coalescing import (
    AddRemove,
    Counter,
    Event,
    FlagChanges,
    LatestByKey,
    MergeRule,
    Union,
)
from tidewire.testing.rules import prove_rule

pytestmark = pytest.mark.slow

NAMES = st.sampled_from(["a", "b"])
ELEMENTS = st.lists(st.sampled_from([1, 2, 3]), max_size=3)
MESSAGES = (1, 2, 3)

FLAG_EVENTS = st.one_of(
    st.builds(flags, st.sampled_from(["add", "remove"]), st.sampled_from(["read", "starred"]), ELEMENTS),
    st.builds(lambda op, flag: flags(op, flag, [], for_all=True), st.sampled_from(["add", "remove"]), NAMES),
    st.builds(lambda op: flags(op, "read", [], for_all=True), st.sampled_from(["add", "remove"])),
)
STATES = st.builds(lambda name, at: {"type": "x", "name": name, "at": at}, NAMES, st.integers(0, 3))
LISTS = st.builds(lambda name, found: {"type": "x", "name": name, "list": found}, NAMES, ELEMENTS)
CHANGES = st.builds(
    lambda name, op, found: {"type": "x", "name": name, "op": op, "list": found},
    NAMES,
    st.sampled_from(["add", "remove"]),
    ELEMENTS,
)
NUMBERS = st.builds(lambda name, by: {"type": "x", "name": name, "by": by}, NAMES, st.integers(-9, 99))
FORGET_ALL: st.SearchStrategy[Json] = st.just({"type": "x", "all": True})
"""An event that no ready-made rule understands, and that undoes everything."""

Table = Mapping[str, Any]
NOTHING: Table = {}
NO_FLAGS: set[tuple[str, int]] = set()


def apply_flags(state: set[tuple[str, int]], event: Json) -> set[tuple[str, int]]:
    """What a client makes of a change of flags."""
    touched = MESSAGES if event.get("all") else event["messages"]
    change = {(event["flag"], message) for message in touched}
    return state | change if event["op"] == "add" else state - change


def apply_latest(state: Table, event: Json) -> Table:
    """Keeps the newest of each name."""
    return {} if "all" in event else {**state, event["name"]: event["at"]}


def apply_union(state: Table, event: Json) -> Table:
    """Appends what is new, in order."""
    if "all" in event:
        return {}
    known = state.get(event["name"], ())
    return {**state, event["name"]: tuple(dict.fromkeys([*known, *event["list"]]))}


def apply_changes(state: Table, event: Json) -> Table:
    """Adds or removes."""
    if "all" in event:
        return {}
    known, found = state.get(event["name"], frozenset()), frozenset(event["list"])
    return {**state, event["name"]: known | found if event["op"] == "add" else known - found}


def apply_number(state: Table, event: Json) -> Table:
    """Counts."""
    return {} if "all" in event else {**state, event["name"]: state.get(event["name"], 0) + event["by"]}


KEY = ("name",)


def test_the_builtin_rule_is_right_r1_15() -> None:
    prove_rule(FlagChanges(), events=FLAG_EVENTS, apply=apply_flags, initial=NO_FLAGS)


def test_the_prover_and_the_other_tests_mean_the_same_by_flags() -> None:
    events = [flags("add", "read", [1, 2]), flags("remove", "read", [2])]
    state: set[tuple[str, int]] = set()
    for event in events:
        state = apply_flags(state, event)
    assert state == state_of_flags(events, MESSAGES)


@pytest.mark.parametrize(
    ("rule", "events", "apply"),
    [
        (LatestByKey(key_fields=KEY), STATES, apply_latest),
        (Union(list_field="list", key_fields=KEY), LISTS, apply_union),
        (AddRemove(list_field="list", key_fields=KEY), CHANGES, apply_changes),
        (Counter(number_field="by", key_fields=KEY), NUMBERS, apply_number),
    ],
    ids=["latest", "union", "add-remove", "counter"],
)
def test_the_ready_made_rules_are_right(
    rule: MergeRule, events: st.SearchStrategy[Json], apply: Callable[[Table, Json], Table]
) -> None:
    # The set is not empty from the start: a removal must be told although its addition was cancelled.
    initial: Table = {"a": frozenset({1, 2})} if apply is apply_changes else {}
    prove_rule(rule, events=st.one_of(events, events, FORGET_ALL), apply=apply, initial=initial)


class NothingCloses(FlagChanges):
    """The original's rule (R1.14)."""

    def closes(self, event: Event, open_keys: Collection[str]) -> Collection[str]:  # noqa: ARG002 - the signature
        """Never."""
        return ()


class Forgetful(AddRemove):
    """Takes an addition and a removal for nothing."""

    def merge(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Tells only what was added and not removed."""
        merged = [event for event in super().merge(events) if event["op"] == "add"]
        return merged or [{**events[-1], "list": []}]


class Deaf(Counter):
    """Merges across events that it doesn't understand."""

    def closes(self, event: Event, open_keys: Collection[str]) -> Collection[str]:  # noqa: ARG002 - the signature
        """Never."""
        return ()


class Changing(Counter):
    """Changes an event that all queues share."""

    def key(self, event: Event) -> str | None:
        """Marks it."""
        event["seen"] = True  # type: ignore[index]  # that is the fault
        return super().key(event)


class Failing(Counter):
    """Fails when it merges."""

    def merge(self, events: Sequence[Event]) -> dict[str, Any]:
        """Never works."""
        raise LookupError(f"{len(events)} events")


class Renaming(Counter):
    """Gives another type."""

    def merge(self, events: Sequence[Event]) -> dict[str, Any]:
        """Of a type that nobody asked for."""
        return {**super().merge(events), "type": "y"}


@pytest.mark.parametrize(
    ("rule", "events", "apply", "words"),
    [
        (Forgetful(list_field="list", key_fields=KEY), CHANGES, apply_changes, "but the raw events give"),
        (
            Deaf(number_field="by", key_fields=KEY),
            st.one_of(NUMBERS, FORGET_ALL),
            apply_number,
            "but the raw events give",
        ),
        (Changing(number_field="by", key_fields=KEY), NUMBERS, apply_number, "the rule changed an event"),
        (Failing(number_field="by", key_fields=KEY), NUMBERS, apply_number, "LookupError('2 events')"),
        (Renaming(number_field="by", key_fields=KEY), NUMBERS, apply_number, "another type"),
        (LatestByKey(), STATES, apply_latest, "but the raw events give"),
    ],
    ids=["forgetful", "deaf", "changing", "failing", "renaming", "no-key"],
)
def test_faulty_rules_are_found(
    rule: MergeRule, events: st.SearchStrategy[Json], apply: Callable[[Table, Json], Table], words: str
) -> None:
    initial: Table = {"a": frozenset({1, 2})} if apply is apply_changes else {}
    with pytest.raises(AssertionError, match="is wrong") as caught:
        prove_rule(rule, events=events, apply=apply, initial=initial, max_examples=2000)
    assert words in str(caught.value)


def test_the_case_of_r1_14_is_found_and_told_by_its_shortest_history() -> None:
    changes = st.builds(
        flags,
        st.sampled_from(["add", "remove"]),
        st.just("read"),
        st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=2),
    )
    with pytest.raises(AssertionError) as caught:
        prove_rule(NothingCloses(), events=changes, apply=apply_flags, initial=NO_FLAGS, max_examples=2000)
    told, pushed, given = re.split(r"\n\n(?:pushed|processed by the client):\n", str(caught.value))
    assert "is wrong: the client ends with" in told
    assert [json.loads(line[5:])["op"] for line in pushed.splitlines()] == ["add", "remove", "add"]
    assert [line.split()[0] for line in given.splitlines()] == ["1", "2"]


def test_events_of_other_types_lie_between_and_belong_to_no_rule() -> None:
    """With the type named, the rule is not asked about the others."""
    events = st.one_of(NUMBERS, st.just({"type": "y", "name": "a", "by": 1}))
    rule = Counter(number_field="by", key_fields=KEY)
    prove_rule(rule, events=events, apply=apply_number, initial=NOTHING, event_type="x")
    with pytest.raises(AssertionError, match="LookupError"):
        prove_rule(
            Failing(number_field="by"), events=events, apply=apply_number, initial=NOTHING, event_type="y"
        )
