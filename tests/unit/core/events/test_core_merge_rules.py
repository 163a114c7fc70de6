"""The ready-made merge rules, case by case."""

from collections.abc import Callable
from typing import Any

import pytest

from tidewire.core.events.coalescing import (
    AddRemove,
    Counter,
    LatestByKey,
    Union,
    describe_rule,
    describe_rules,
    merge_table,
)

MEMBERS = AddRemove(list_field="members", key_fields=("group",))


def change(op: str, *members: Any, **more: Any) -> dict[str, Any]:
    """A change of group 1."""
    return {"type": "group", "group": 1, "op": op, "members": list(members), **more}


def test_the_newest_of_a_key_is_kept_whole() -> None:
    rule = LatestByKey(key_fields=("user_id",))
    events = [{"type": "status", "user_id": 7, "text": "a", "old": 1}, {"type": "status", "user_id": 7}]
    assert rule.merge(events) == events[-1]


def test_a_key_knows_values_of_different_json_types_apart() -> None:
    rule = LatestByKey(key_fields=("of",))
    keys = {rule.key({"of": value}) for value in (1, "1", True, None, [1], {"a": 1})}
    assert len(keys) == 6
    assert rule.key({"of": {"a": 1, "b": 2}}) == rule.key({"of": {"b": 2, "a": 1}})


def test_a_union_has_each_element_once_in_the_order_of_coming() -> None:
    rule = Union(list_field="list")
    events: list[dict[str, Any]] = [
        {"type": "x", "list": [3, {"id": 1}], "at": 1},
        {"type": "x", "list": [{"id": 1}, 2, 3], "at": 2},
    ]
    assert rule.merge(events) == {"type": "x", "list": [3, {"id": 1}, 2], "at": 2}


def test_an_addition_that_was_undone_is_told_as_a_removal() -> None:
    """The client may have had the element before the addition; nothing at all would leave it there."""
    assert MEMBERS.merge([change("add", 5), change("remove", 5)]) == [change("remove", 5)]
    assert MEMBERS.merge([change("remove", 5), change("add", 5)]) == [change("add", 5)]


def test_a_group_becomes_two_changes_at_most_each_with_the_newest_other_members() -> None:
    events = [
        change("add", 1, 2, at=1),
        change("remove", 2, 3, at=2),
        change("add", 3, at=3),
        change("remove", 4, at=4),
    ]
    assert MEMBERS.merge(events) == [change("remove", 2, 4, at=4), change("add", 1, 3, at=3)]


def test_changes_of_nothing_are_told_as_one() -> None:
    assert MEMBERS.merge([change("add"), change("remove")]) == [change("remove")]


def test_a_count_is_the_sum() -> None:
    rule = Counter(number_field="by", key_fields=("name",))
    assert rule.merge([{"type": "x", "name": "a", "by": 2}, {"type": "x", "name": "a", "by": -3}]) == {
        "type": "x",
        "name": "a",
        "by": -1,
    }


@pytest.mark.parametrize(
    ("rule", "event"),
    [
        (LatestByKey(key_fields=("name",)), {}),
        (Union(list_field="list"), {"list": "abc"}),
        (Union(list_field="list", key_fields=("name",)), {"list": []}),
        (MEMBERS, {"group": 1, "op": "add"}),
        (MEMBERS, {"group": 1, "op": "clear", "members": []}),
        (MEMBERS, {"group": 1, "op": ["add"], "members": []}),
        (MEMBERS, {"op": "add", "members": []}),
        (Counter(number_field="by"), {"by": 1.5}),
        (Counter(number_field="by"), {"by": True}),
        (Counter(number_field="by", key_fields=("name",)), {"by": 1}),
    ],
)
def test_what_is_not_understood_stands_alone_and_closes_everything(
    rule: LatestByKey | Union | AddRemove | Counter, event: dict[str, Any]
) -> None:
    assert rule.key(event) is None
    assert list(rule.closes(event, ["a", "b"])) == ["a", "b"]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LatestByKey(key_fields="user_id"), TypeError, "key_fields must be a tuple"),  # type: ignore[arg-type]  # the slip meant
        (lambda: LatestByKey(key_fields=("",)), ValueError, "key_fields must not be empty"),
        (lambda: Union(list_field=""), ValueError, "list_field must not be empty"),
        (lambda: Union(list_field="list", key_fields=(1,)), TypeError, "key_fields must be a string"),  # type: ignore[arg-type]  # the slip meant
        (lambda: Counter(number_field=None), TypeError, "number_field must be a string"),  # type: ignore[arg-type]  # the slip meant
        (lambda: AddRemove(list_field="m", add="x", remove="x"), ValueError, "must differ"),
        (lambda: AddRemove(list_field="op"), ValueError, "different members"),
        (lambda: AddRemove(list_field="m", key_fields=("m",)), ValueError, "different members"),
    ],
)
def test_wrong_parameters_are_refused_when_a_rule_is_made(
    make: Callable[[], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make()


def test_a_builtin_rule_can_not_be_replaced() -> None:
    with pytest.raises(ValueError, match="'update_message_flags' has a built-in merge rule"):
        merge_table({"update_message_flags": LatestByKey()})


def test_a_rule_is_described_by_what_it_does() -> None:
    class Own(LatestByKey):
        """With a version."""

        version = 3

    assert describe_rule(LatestByKey()) == describe_rule(LatestByKey()) != describe_rule(MEMBERS)
    assert describe_rule(LatestByKey(key_fields=("a",))) != describe_rule(LatestByKey(key_fields=("b",)))
    assert describe_rule(Own()).endswith("version 3")
    assert describe_rules(merge_table({"x": MEMBERS})) == {"x": describe_rule(MEMBERS)}
