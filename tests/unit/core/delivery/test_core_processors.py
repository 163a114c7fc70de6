"""What each kind of client gets of each kind of notice (sections 4.3-4.12); C11 is here, capability by capability."""

from typing import NamedTuple

import pytest

from support.core_rig import Rig, spec
from support.events import Json, flags, state_of_flags
from support.naive_shaping import registration
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.shard import Shard
from tidewire.engine.engine import PollWaiter


def received(event: Json, **capabilities: bool) -> list[Json]:
    """What a client with these capabilities gets, without ids."""
    rig = Rig()
    queue_id = rig.register(registration(Capabilities(**capabilities)))
    rig.publish(event)
    assert not rig.reporter.failures
    return [{key: value for key, value in got.items() if key != "id"} for got in rig.poll(queue_id).events]


def refused(event: Json, **capabilities: bool) -> dict[str, int]:
    """By which rules it is refused to a client with these capabilities."""
    rig = Rig()
    queue_id = rig.register(registration(Capabilities(**capabilities)))
    rig.publish(event)
    assert rig.poll(queue_id).events == []
    return dict(rig.engine.shard.statistics.refused)


def encoded(event: Json, *clients: Capabilities) -> int:
    """How many bodies are encoded for these clients, each of them there three times."""
    shard: Shard[PollWaiter] = Shard()
    rig = Rig(shard=shard)
    for client in clients * 3:
        rig.register(registration(client))
    rig.publish(event)
    return shard.statistics.encoded


OLD = Capabilities()


DELETED: Json = {
    "type": "delete_message",
    "message_ids": [40, 41],
    "message_type": "stream",
    "stream_id": 12,
}


def test_capable_clients_get_one_event_r4_28() -> None:
    event = {**DELETED, "topic": "deploy"}
    assert received(event, bulk_message_deletion=True) == [event]


def test_others_get_one_for_each_message_in_order_r4_28() -> None:
    rest = {"type": "delete_message", "message_type": "stream", "stream_id": 12, "topic": "deploy"}
    wanted = [{**rest, "message_id": 40}, {**rest, "message_id": 41}]
    assert received({**DELETED, "topic": "deploy"}) == wanted


@pytest.mark.parametrize("bulk", [True, False])
def test_an_empty_topic_is_named_for_who_does_not_know_it_r4_28(bulk: bool) -> None:
    event = {**DELETED, "topic": ""}
    old, new = (
        received(event, bulk_message_deletion=bulk, empty_topic_name=knows)[0]["topic"]
        for knows in (False, True)
    )
    assert (old, new) == ("general chat", "")


def test_a_waiting_client_gets_all_of_them_in_one_answer_d_31() -> None:
    rig = Rig()
    waiting = rig.poll(rig.register(), block=True)
    rig.publish(DELETED)
    assert waiting.ids == [0, 1]


def test_no_more_is_encoded_than_there_are_forms_d1() -> None:
    four = [
        Capabilities(bulk_message_deletion=bulk, empty_topic_name=knows)
        for bulk in (True, False)
        for knows in (True, False)
    ]
    assert encoded({**DELETED, "topic": ""}, *four) == 2 + 2 * 2
    assert encoded({**DELETED, "topic": "deploy"}, *four) == 1 + 2


RECORD: Json = {"website": {"client": "website", "status": "active", "timestamp": 5, "pushable": False}}
WHO: Json = {"type": "presence", "user_id": 31, "server_timestamp": 6.5}
PRESENT: Json = {
    **WHO,
    "email": "user31@chat.example",
    "legacy_presence": RECORD,
    "modern_presence": {"active_timestamp": 5, "idle_timestamp": 6},
}


@pytest.mark.parametrize("slim", [True, False])
def test_the_newest_form_goes_before_the_slim_one_r4_30(slim: bool) -> None:
    wanted = {"type": "presence", "presences": {"31": {"active_timestamp": 5, "idle_timestamp": 6}}}
    assert received(PRESENT, simplified_presence_events=True, slim_presence=slim) == [wanted]


def test_the_older_form_comes_with_or_without_the_address_r4_30() -> None:
    slim = {**WHO, "presence": RECORD}
    assert received(PRESENT, slim_presence=True) == [slim]
    assert received(PRESENT) == [{**slim, "email": "user31@chat.example"}]


def test_the_older_name_of_the_record_is_understood_r4_29() -> None:
    event = {**WHO, "email": "e@e", "presence": RECORD}
    assert received(event) == [event]
    assert refused(event, simplified_presence_events=True) == {"presence_form": 1}


def test_a_notice_with_the_newest_record_alone_serves_who_reads_it() -> None:
    event = {**WHO, "modern_presence": {}}
    assert received(event, simplified_presence_events=True) == [{"type": "presence", "presences": {"31": {}}}]
    assert refused(event) == {"presence_form": 1}


@pytest.mark.parametrize("members", [{}, {"user_id": None}])
def test_a_notice_without_user_id_is_dropped_and_counted_r4_32_d_19(members: Json) -> None:
    event = {"type": "presence", "email": "e@e", "presence": RECORD, **members}
    assert refused(event) == {"presence_without_user_id": 1}


def test_the_filter_asks_for_the_type_alone_r4_31() -> None:
    rig = Rig()
    wants, other = rig.register(spec(types=["presence"])), rig.register(spec(types=["typing"]))
    rig.publish(PRESENT)
    assert (rig.poll(wants).ids, rig.poll(other).ids) == ([0], [])
    assert rig.engine.shard.statistics.refused == {"event_types": 1}


def test_three_forms_are_encoded_for_all_clients_d1() -> None:
    modern = Capabilities(simplified_presence_events=True)
    assert encoded(PRESENT, OLD, Capabilities(slim_presence=True), modern) == 3


FIELDS: Json = {
    "type": "custom_profile_fields",
    "fields": [{"id": 1, "type": 8}, {"id": 2, "type": 4}],
    "x": 1,
}


def test_pronouns_become_short_text_in_a_copy_of_nothing_but_the_fields_r4_34() -> None:
    wanted = {"type": "custom_profile_fields", "fields": [{"id": 1, "type": 1}, {"id": 2, "type": 4}]}
    assert received(FIELDS, pronouns_field_type_supported=False) == [wanted]


def test_others_get_them_as_published_r4_34() -> None:
    assert received(FIELDS) == [FIELDS]


def test_the_copy_is_made_once_r4_35() -> None:
    assert encoded(FIELDS, OLD, Capabilities(pronouns_field_type_supported=False)) == 2


def test_odd_fields_go_through() -> None:
    event = {"type": "custom_profile_fields", "fields": ["x", {}, {"type": [8]}]}
    assert received(event, pronouns_field_type_supported=False) == [event]


class Marked(NamedTuple):
    """A marker, an event that may carry it, and who is skipped: who has the capability, or who has not."""

    marker: str
    event: Json
    capability: str
    skips: bool


GROUP_UPDATE: Json = {"type": "user_group", "op": "update", "group_id": 7, "data": {"name": "leads"}}
DEACTIVATED_GROUPS = "include_deactivated_groups"
MARKED = (
    Marked(
        "inaccessible_user", {"type": "realm_user", "op": "add", "person": {}}, "user_list_incomplete", True
    ),
    Marked("deactivated", GROUP_UPDATE, DEACTIVATED_GROUPS, False),
    Marked("for_reactivation", {"type": "user_group", "op": "add", "group": {}}, DEACTIVATED_GROUPS, True),
    Marked("for_unarchiving", {"type": "stream", "op": "create", "streams": []}, "archived_channels", True),
    Marked(
        "for_archiving", {"type": "stream", "op": "delete", "stream_ids": [12]}, "archived_channels", True
    ),
)
"""R4.36-R4.38, R4.41, R4.42, R4.47."""

each_marker = pytest.mark.parametrize("case", MARKED, ids=lambda case: case.marker)


@each_marker
def test_c11_a_marked_event_is_kept_from_one_kind_of_client_and_the_rule_counted(case: Marked) -> None:
    marked = {**case.event, case.marker: True}
    assert refused(marked, **{case.capability: case.skips}) == {case.marker: 1}


@each_marker
def test_c11_the_other_kind_gets_it_without_the_marker(case: Marked) -> None:
    assert received({**case.event, case.marker: True}, **{case.capability: not case.skips}) == [case.event]


@each_marker
@pytest.mark.parametrize("has", [True, False])
def test_c11_an_unmarked_event_goes_to_all_without_the_marker(case: Marked, *, has: bool) -> None:
    for unmarked in (case.event, {**case.event, case.marker: False}):
        assert received(unmarked, **{case.capability: has}) == [case.event]
        assert encoded(unmarked, OLD, Capabilities(**{case.capability: True})) == 1


@each_marker
def test_who_did_not_ask_for_the_type_is_refused_by_that_rule_first(case: Marked) -> None:
    rig = Rig()
    rig.register(spec(types=["deploy"]))
    rig.publish({**case.event, case.marker: True})
    assert rig.engine.shard.statistics.refused == {"event_types": 1}


@pytest.mark.parametrize(
    "event",
    [
        {"type": "realm_user", "op": "update", "person": {"user_id": 44}},
        {"type": "realm_user", "op": "remove", "person": {"user_id": 44}},
        {"type": "user_group", "op": "add_members", "group_id": 7, "user_ids": [1]},
        {"type": "user_group", "op": "update", "group_id": 7, "data": {"description": ""}},
        {"type": "stream", "op": "update", "property": "name", "value": ""},
        {"type": "typing", "op": "start", "message_type": "direct", "topic": ""},
        {"type": "realm_emoji", "op": "update", "realm_emoji": {"3": {}}},
        {"type": "update_message_flags", "op": "add", "flag": "read", "messages": [], "message_details": 1},
        {"type": "realm_user"},
        {"type": "stream", "op": ["create"]},
        {"type": "user_group", "op": None, "data": []},
    ],
    ids=str,
)
def test_other_events_of_these_types_go_to_all_as_published_r4_39_r4_43_r4_47(event: Json) -> None:
    assert received(event) == [event]


def test_a_deactivation_is_an_update_for_some_and_a_removal_for_others_r4_40_r4_43() -> None:
    update = {"type": "user_group", "op": "update", "group_id": 7, "data": {"deactivated": True}}
    removal = {"type": "user_group", "op": "remove", "group_id": 7}
    for event, sees in ((update, True), (removal, False)):
        assert received(event, include_deactivated_groups=sees) == [event]
        assert refused(event, include_deactivated_groups=not sees) == {"include_deactivated_groups": 1}


def test_the_filter_judges_the_event_without_its_marker_r3_7() -> None:
    event = {
        "type": "user_group",
        "op": "update",
        "group_id": 7,
        "data": {"name": "x", "deactivated": True},
    }
    assert refused({**event, "deactivated": True}) == {"include_deactivated_groups": 1}


TYPING: Json = {"type": "typing", "op": "start", "message_type": "stream", "stream_id": 12, "topic": ""}
FOLLOWED: Json = {"type": "user_topic", "stream_id": 12, "topic_name": "", "visibility_policy": 3}


def test_of_a_user_topic_r4_44() -> None:
    assert received(FOLLOWED, empty_topic_name=True) == [FOLLOWED]
    assert received(FOLLOWED) == [{**FOLLOWED, "topic_name": "general chat"}]
    assert encoded(FOLLOWED, OLD, Capabilities(empty_topic_name=True)) == 2
    named = {**FOLLOWED, "topic_name": "deploy"}
    assert encoded(named, OLD, Capabilities(empty_topic_name=True)) == 1


def test_of_channel_typing_r4_45() -> None:
    hears = {"stream_typing_notifications": True}
    assert received(TYPING, empty_topic_name=True, **hears) == [TYPING]
    assert received(TYPING, **hears) == [{**TYPING, "topic": "general chat"}]
    assert refused(TYPING) == {"stream_typing_notifications": 1}


def test_of_messages_that_are_unread_again_r4_46() -> None:
    details = {
        "7": {"type": "stream", "stream_id": 12, "topic": ""},
        "8": {"type": "stream", "stream_id": 12, "topic": "deploy"},
        "9": {"type": "private", "topic": ""},
        "10": None,
    }
    event = flags("remove", "read", [7, 8, 9], message_details=details)
    named = {**details, "7": {"type": "stream", "stream_id": 12, "topic": "general chat"}}
    assert received(event, empty_topic_name=True) == [event]
    assert received(event) == [{**event, "message_details": named}]


@pytest.mark.parametrize("knows", [True, False])
def test_messages_that_are_unread_again_never_merge_and_close_open_groups_r1_6_r4_46(knows: bool) -> None:
    unread = flags("remove", "read", [5], message_details={"5": {"type": "stream", "topic": ""}})
    rig = Rig()
    queue_id = rig.register(registration(Capabilities(empty_topic_name=knows)))
    rig.publish(flags("add", "read", [5]), unread, unread, flags("add", "read", [6]))
    events = rig.poll(queue_id).events
    assert [event["op"] for event in events] == ["add", "remove", "remove", "add"]
    assert state_of_flags(events, [5, 6]) == {("read", 6)}


TABLE: Json = {"3": {"id": "3", "name": "tidal"}}


@pytest.mark.parametrize(
    "change",
    [{"op": "add", "emoji": {"id": "3"}}, {"op": "update_one", "emoji_id": "3", "data": {}}],
    ids=str,
)
def test_one_change_is_the_change_or_the_whole_table_r4_48(change: Json) -> None:
    event = {"type": "realm_emoji", **change}
    table = {"type": "realm_emoji", "op": "update", "realm_emoji": TABLE}
    assert received({**event, "realm_emoji": TABLE}, individual_emoji_changes=True) == [event]
    assert received({**event, "realm_emoji": TABLE}) == [table]


def test_older_settings_go_to_clients_without_the_object_r3_5() -> None:
    for kind in ("update_display_settings", "update_global_notifications"):
        event = {"type": kind, "setting": True}
        assert received(event) == [event]
        assert refused(event, user_settings_object=True) == {"user_settings_object": 1}


def test_archiving_is_an_update_for_who_knows_it_r3_8() -> None:
    event = {"type": "stream", "op": "update", "property": "is_archived", "value": True}
    assert received(event, archived_channels=True) == [event]
    assert refused(event) == {"archived_channels": 1}


def test_c10_who_asks_for_both_forms_of_muted_topics_gets_the_modern_one() -> None:
    rig = Rig()
    by_name, all_types = rig.register(spec(types=["user_topic", "muted_topics"])), rig.register()
    rig.publish({"type": "muted_topics", "muted_topics": []}, {"type": "user_topic", "topic_name": "deploy"})
    assert [event["type"] for event in rig.poll(by_name).events] == ["user_topic"]
    assert [event["type"] for event in rig.poll(all_types).events] == ["muted_topics", "user_topic"]
