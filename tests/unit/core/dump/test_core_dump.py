"""Dumps: every older form, every kind of damage, and what is kept of a queue (R2.29-R2.33, R5.33, D-1)."""

import json
from typing import Any

import pytest

from support.dumps import QUEUE_ID, descriptor, dump, pair, read, stored_queue, written
from support.events import Json, flags
from tidewire.core.dump import Unreadable, read_pair, split_dump
from tidewire.core.errors import BadRequest
from tidewire.core.events.capabilities import CAPABILITY_NAMES
from tidewire.core.events.coalescing import MERGE_RULES
from tidewire.core.events.encoding import decode_body, encode_entry
from tidewire.core.events.shaped_event import Representation
from tidewire.core.notifications.decisions import PendingNotification
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.queues.merge_group import Pushable

CAPABILITIES: Json = {name: name != "slim_presence" for name in CAPABILITY_NAMES}


def events(queue: EventQueue) -> list[Json]:
    """What a read gives."""
    return [json.loads(encode_entry(entry)) for entry in queue.read(0)[0]]


def shaped(event: Json) -> Pushable:
    return Representation(event, MERGE_RULES)


def message(number: int, *, sender: int = 8, **members: Any) -> Json:
    content = {"id": number, "sender_id": sender, "type": "stream", "content": "x"}
    return {"type": "message", "flags": [], "message": content, **members}


def test_a_current_descriptor_is_read_whole_and_written_as_it_was_r2_29() -> None:
    event_queue = stored_queue({"type": "deploy"}, next_event_id=3)
    whole = descriptor(
        event_queue,
        narrow=[["channel", "ops"]],
        event_types=["message", "deploy"],
        offline=True,
        may_access_public_channels=True,
        all_public_streams=True,
        queue_timeout=43200,
        last_connection_time=1790000123.42,
        **CAPABILITIES | {"apply_markdown": False},
    )
    assert written(read(QUEUE_ID, whole)) == whole


MIGRATIONS: list[tuple[Json, tuple[str, ...], Json]] = [
    ({"client_type": "ZulipElectron"}, ("client_type_name",), {"client_type_name": "ZulipElectron"}),
    ({"client_type": "a", "client_type_name": "b"}, (), {"client_type_name": "a"}),
    ({"queue_timeout": 0}, (), {"queue_timeout": 600}),
    ({}, ("client_gravatar",), {"client_gravatar": False}),
    ({}, ("slim_presence",), {"slim_presence": False}),
    ({}, ("narrow",), {"narrow": []}),
    *(
        ({}, (name,), {name: False})
        for name in CAPABILITY_NAMES
        if name not in ("apply_markdown", "pronouns_field_type_supported")
    ),
    ({}, ("pronouns_field_type_supported",), {"pronouns_field_type_supported": True}),
    ({}, ("offline",), {"offline": False}),
    ({}, ("may_access_public_channels",), {"may_access_public_channels": False}),
    ({"a_later_release": {"has": "more"}}, (), {}),
]


@pytest.mark.parametrize(("changed", "missing", "meant"), MIGRATIONS)
def test_older_forms_mean_what_they_meant_r2_30(changed: Json, missing: tuple[str, ...], meant: Json) -> None:
    rest = {**CAPABILITIES, "narrow": [], "offline": True, "may_access_public_channels": True}
    older = {**descriptor(**rest), **changed}
    for name in missing:
        older.pop(name, None)
    expected = {**descriptor(**rest), **meant}
    expected["event_queue"] = written(read(QUEUE_ID, older))["event_queue"]
    assert written(read(QUEUE_ID, older)) == expected


def test_a_queue_of_the_oldest_form_has_neither_virtual_events_nor_a_newest_pruned_id() -> None:
    oldest = stored_queue({"type": "deploy", "id": 4})
    del oldest["virtual_events"], oldest["newest_pruned_id"]
    dumped = read(QUEUE_ID, descriptor(oldest))
    assert dumped.queue.newest_pruned_id is None
    assert dumped.queue.open == {}
    assert "newest_pruned_id" not in written(dumped)["event_queue"]
    dumped.queue.check(2)  # unknown: nothing is refused before the first pruning (R2.30)


def test_pending_changes_go_on_merging_and_are_delivered_in_their_place_r1_12() -> None:
    pending = {
        "flags/add/read": {**flags("add", "read", [7, 8]), "id": 3},
        "flags/add/starred": {**flags("add", "starred", [7]), "id": 1},
    }
    queue = read(QUEUE_ID, descriptor(stored_queue({"type": "a", "id": 0}, virtual=pending))).queue
    queue.push(shaped(flags("add", "read", [9])))
    assert [(event["id"], event.get("messages")) for event in events(queue)] == [
        (0, None),
        (1, [7]),
        (4, [7, 8, 9]),
    ]


def test_a_group_of_either_direction_of_a_flag_waits_no_longer_than_until_the_other_r1_15() -> None:
    """The original merged across a change in the opposite direction (R1.14)."""
    pending = {
        "flags/add/starred": {**flags("add", "starred", [5]), "id": 0},
        "flags/remove/starred": {**flags("remove", "starred", [5]), "id": 1},
    }
    queue = read(QUEUE_ID, descriptor(stored_queue(virtual=pending))).queue
    queue.push(shaped(flags("add", "starred", [6])))
    assert [(event["op"], event["messages"]) for event in events(queue)] == [
        ("add", [5]),
        ("remove", [5]),
        ("add", [6]),
    ]


def test_a_removal_of_read_in_the_queue_ends_what_was_pending_before_it_r1_15() -> None:
    pending = {"flags/add/read": {**flags("add", "read", [5]), "id": 0}}
    removal = {**flags("remove", "read", [5]), "id": 1}
    queue = read(QUEUE_ID, descriptor(stored_queue(removal, virtual=pending))).queue
    queue.push(shaped(flags("add", "read", [6])))
    assert [(event["op"], event["messages"]) for event in events(queue)] == [
        ("add", [5]),
        ("remove", [5]),
        ("add", [6]),
    ]


def test_a_pending_event_that_nothing_merges_with_is_an_event_like_any_other() -> None:
    pending = {"x": {"type": "deploy", "id": 1}, "y": {**flags("remove", "read", [5]), "id": 2}}
    queue = read(QUEUE_ID, descriptor(stored_queue(virtual=pending))).queue
    assert queue.groups() == []
    assert [event["id"] for event in events(queue)] == [1, 2]


def test_what_waits_is_written_merged_under_its_key_and_the_queue_stays_as_it_is_r1_17() -> None:
    dumped = read(QUEUE_ID, descriptor())
    for change in (flags("add", "read", [1]), flags("add", "read", [2]), flags("add", "starred", [3])):
        dumped.queue.push(shaped(change))
    stored = written(dumped)["event_queue"]
    assert stored["queue"] == []
    assert stored["virtual_events"] == {
        "flags/add/read": {**flags("add", "read", [1, 2]), "id": 1},
        "flags/add/starred": {**flags("add", "starred", [3]), "id": 2},
    }
    assert len(dumped.queue) == 3


def test_a_closed_group_is_written_as_the_event_that_it_becomes() -> None:
    dumped = read(QUEUE_ID, descriptor())
    for change in (
        flags("add", "starred", [1]),
        flags("add", "starred", [2]),
        flags("remove", "starred", [1]),
    ):
        dumped.queue.push(shaped(change))
    stored = written(dumped)["event_queue"]
    assert stored["queue"] == [{**flags("add", "starred", [1, 2]), "id": 1}]
    assert list(stored["virtual_events"]) == ["flags/remove/starred"]


class _Breaks:
    """A rule of an application that has a fault."""

    def key(self, _event: Any) -> str:
        return "one"

    def closes(self, _event: Any, _keys: Any) -> tuple[str, ...]:
        return ()

    def merge(self, _events: Any) -> Any:
        raise ValueError("broken")


def test_no_event_is_lost_where_an_application_s_rule_fails() -> None:
    dumped = read(QUEUE_ID, descriptor())
    for number in range(2):
        dumped.queue.push(Representation({"type": "t", "number": number}, {"t": _Breaks()}))
    assert [event["number"] for event in written(dumped)["event_queue"]["queue"]] == [0, 1]


def test_internal_data_stands_beside_the_event_and_is_written_again_r10_10() -> None:
    internal = {"mention_push_notify": True, "dm_email_notify": True, "mentioned_user_group_id": 3}
    stored = stored_queue(message(5, internal_data={**internal, "email_notified": True}))
    dumped = read(QUEUE_ID, descriptor(stored))
    assert dumped.queue.missed == {
        0: PendingNotification(5, 8, "mentioned", "direct_message", 3, email_notified=True)
    }
    assert "internal_data" not in events(dumped.queue)[0]
    (again,) = written(dumped)["event_queue"]["queue"]
    assert again == {**message(5), "id": 0, "internal_data": {**internal, "email_notified": True}}


@pytest.mark.parametrize(
    ("internal", "push", "email"),
    [
        ({"pm_push_notify": True}, "direct_message", None),
        ({"pm_email_notify": True}, None, "direct_message"),
        ({"wildcard_mention_push_notify": True}, "stream_wildcard_mentioned", None),
        ({"wildcard_mention_email_notify": True}, None, "stream_wildcard_mentioned"),
        ({"pm_push_notify": True, "dm_push_notify": False, "stream_email_notify": True}, None, "stream"),
    ],
)
def test_old_names_in_internal_data_are_understood_and_the_new_ones_win_r5_33(
    internal: Json, push: str | None, email: str | None
) -> None:
    queue = read(QUEUE_ID, descriptor(stored_queue(message(5, internal_data=internal)))).queue
    assert queue.missed is not None
    missed = queue.missed[0]
    assert missed.push == push
    assert missed.email == (f"{email}_email_notify" if email == "stream" else email)


@pytest.mark.parametrize("internal", [None, {}, {"sender_is_muted": True, "dm_push_notify": True}])
def test_nobody_misses_what_says_nothing_r2_32(internal: Json | None) -> None:
    one = message(5) if internal is None else message(5, internal_data=internal)
    assert read(QUEUE_ID, descriptor(stored_queue(one))).queue.missed is None


def test_nobody_misses_their_own_message_r5_6() -> None:
    own = message(5, sender=1, internal_data={"dm_push_notify": True})
    assert read(QUEUE_ID, descriptor(stored_queue(own))).queue.missed is None


def test_queues_that_hold_the_same_event_share_its_bytes() -> None:
    shared: dict[bytes, bytes] = {}
    first, second = (
        read_pair(json.dumps(pair(name, stored_queue(one))).encode(), shared).queue
        for name, one in (("a", message(5, flags=["read"])), ("b", message(5, flags=[])))
    )
    assert first.entries[0][1] is second.entries[0][1]
    assert first.entries[0][2] != second.entries[0][2]
    assert decode_body(first.entries[0][1])["message"]["id"] == 5


def test_a_queue_after_a_crash_stays_one_that_takes_ids_it_no_longer_shows() -> None:
    resumed = read(QUEUE_ID, descriptor(stored_queue({"type": "a", "id": 4}, resumed=True)))
    resumed.queue.check(2)
    assert written(resumed)["event_queue"]["resumed"] is True
    plain = read(QUEUE_ID, descriptor(stored_queue({"type": "a", "id": 4})))
    with pytest.raises(BadRequest):
        plain.queue.check(2)


def without(name: str, of: Json | None = None) -> Json:
    return {key: value for key, value in (of or descriptor()).items() if key != name}


DEEP: Any = []
for _ in range(150):
    DEEP = [DEEP]

BAD: list[tuple[Any, str]] = [
    (7, "Expected `object`"),
    (without("user_profile_id"), "user_profile_id"),
    (without("realm_id"), "realm_id"),
    (without("event_queue"), "event_queue"),
    (without("event_types"), "event_types"),
    (without("apply_markdown"), "apply_markdown"),
    (without("all_public_streams"), "all_public_streams"),
    (without("queue_timeout"), "queue_timeout"),
    (without("last_connection_time"), "last_connection_time"),
    (without("client_type_name"), "client_type_name"),
    (descriptor(user_profile_id="1"), "user_profile_id"),
    (descriptor(user_profile_id=2**63), "user_profile_id"),
    (descriptor(queue_timeout=-1), "queue_timeout"),
    (descriptor(narrow=[["near", "1"]]), "Operator near not supported."),
    (descriptor(narrow=[["is", "followed"]]), "Operand followed not supported."),
    (descriptor(narrow=[["channel"]]), "narrow"),
    (descriptor(event_types=[1]), "event_types"),
    (descriptor(stored_queue(id="another")), "event_queue.id"),
    (descriptor(without("next_event_id", stored_queue())), "next_event_id"),
    (descriptor(stored_queue({"id": 3, "type": "a"}, next_event_id=3)), "next_event_id"),
    (descriptor(stored_queue({"id": 3, "type": "a"}, {"id": 2, "type": "a"})), "must rise"),
    (descriptor(stored_queue({"type": "a"}, newest_pruned_id=0)), "newest_pruned_id"),
    (descriptor(stored_queue(newest_pruned_id=5)), "newest_pruned_id"),
    (
        descriptor(stored_queue({"type": "a"}, virtual={"k": {**flags("add", "read", [1]), "id": 0}})),
        "same id",
    ),
    (descriptor(stored_queue({})), "`event_queue.queue[0]` has no `type`"),
    (descriptor(stored_queue({"type": "a"}, {"type": 7})), "`event_queue.queue[1]` has no `type`"),
    (descriptor(stored_queue({"id": True, "type": "a"}, next_event_id=5)), "`id`"),
    (descriptor(stored_queue(virtual={"k": {"id": 0}})), '`event_queue.virtual_events["k"]` has no `type`'),
    (descriptor(stored_queue({"type": "a", "n": 2**64})), "beyond 64 bits"),
    (descriptor(stored_queue({"type": "a", "deep": DEEP})), "levels"),
    (descriptor(stored_queue(message(5, internal_data=[]))), "internal_data"),
    (descriptor(stored_queue(message(2**63, internal_data={}))), "sender_id"),
    (
        descriptor(stored_queue(message(5, internal_data={"mentioned_user_group_id": "x"}))),
        "mentioned_user_group_id",
    ),
]


@pytest.mark.parametrize(("of", "said"), BAD)
def test_a_bad_descriptor_is_refused_with_what_is_wrong_and_the_queue_s_id(of: Any, said: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(QUEUE_ID, of)
    assert said in caught.value.message
    assert caught.value.queue_id == QUEUE_ID


@pytest.mark.parametrize(
    "raw", [b"7", b"[]", b'["a"]', b"[1, {}]", b'["a", {}, 1]', b'{"a": 1}', b'["\xff", {}]']
)
def test_what_is_no_pair_is_refused(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_pair(raw, {})


@pytest.mark.parametrize("queue_id", ["", "x" * 1001])
def test_an_id_of_no_length_or_too_much_is_refused(queue_id: str) -> None:
    with pytest.raises(Unreadable, match="characters"):
        read(queue_id, descriptor(stored_queue(queue_id=queue_id)))


@pytest.mark.parametrize("data", [b"", b"[", b"{}", b"nothing", b"[1,]", b"[" * 100_000])
def test_what_is_no_json_array_is_no_dump_r10_5(data: bytes) -> None:
    with pytest.raises(BadRequest, match="This is no dump"):
        split_dump(data)


def test_a_dump_is_split_without_reading_its_queues() -> None:
    assert len(split_dump(dump(pair("a"), pair("b")))) == 2
    assert len(split_dump(b'[1, ["a"], "b"]')) == 3
