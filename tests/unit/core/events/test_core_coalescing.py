"""Which flag events merge (R1.5, R1.6) and which end a merge (R1.15)."""

import pytest

from support.events import Json, flags
from tidewire.core.events.coalescing import MERGE_RULES, FlagChanges

RULE = FlagChanges()


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (flags("add", "read", [1]), "flags/add/read"),
        (flags("add", "starred", [1]), "flags/add/starred"),
        (flags("remove", "starred", [1]), "flags/remove/starred"),
        (flags("remove", "collapsed", [1]), "flags/remove/collapsed"),
        (flags("remove", "read", [1]), None),
        (flags("add", "read", [], for_all=True), None),
        ({"op": "add", "flag": "read", "messages": [1]}, "flags/add/read"),
        ({"operation": "add", "op": "remove", "flag": "read", "messages": [1]}, "flags/add/read"),
        ({"op": "add", "flag": "read"}, None),
        ({"op": "add", "flag": "read", "messages": 7}, None),
    ],
)
def test_the_key_of_each_change_r1_5_r1_6(event: Json, key: str | None) -> None:
    assert RULE.key(event) == key


@pytest.mark.parametrize(
    ("event", "closes"),
    [
        (flags("add", "read", [1]), False),
        (flags("remove", "read", [1]), True),
        (flags("add", "read", [], for_all=True), False),
        (flags("remove", "read", [], for_all=True), True),
        (flags("remove", "starred", [1]), False),
        (flags("remove", "starred", [], for_all=True), False),
    ],
)
def test_what_ends_an_open_merge_of_additions_to_read_r1_15(event: Json, closes: bool) -> None:
    assert RULE.closes(event, ["flags/add/read"]) == (["flags/add/read"] if closes else [])


def test_a_change_of_all_ends_the_opposite_direction_alone() -> None:
    """Those of its own direction leave the same flags before it and after it."""
    for_all = flags("add", "starred", [], for_all=True)
    open_keys = ["flags/add/starred", "flags/remove/starred"]
    assert RULE.closes(for_all, open_keys) == ["flags/remove/starred"]


def test_a_flag_may_have_a_slash_in_its_name() -> None:
    event = flags("add", "a/b", [1])
    assert RULE.key(event) == "flags/add/a/b"
    assert RULE.closes(flags("remove", "a/b", [1]), ["flags/add/a/b"]) == ["flags/add/a/b"]


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        MERGE_RULES["x"] = RULE  # type: ignore[index]  # that is the point
