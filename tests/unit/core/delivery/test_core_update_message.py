"""Edits of messages (R4.20-R4.25)."""

from typing import Any

import pytest

from support.core_rig import Rig, spec
from support.events import Json
from support.messages import only, publish, reader
from tidewire.core.notifications.candidates import NOTIFICATION_INPUTS

EDIT: Json = {
    "type": "update_message",
    "user_id": 31,
    "edit_timestamp": 1_790_000_300,
    "message_id": 5,
    "message_ids": [5, 6],
    "rendering_only": False,
    "stream_id": 12,
    "stream_name": "ops",
    "orig_subject": "",
    "subject": "",
    "rendered_content": "<p>x</p>",
}


def test_an_edit_goes_out_without_what_is_for_the_server_alone_r4_20() -> None:
    rig = Rig()
    queue_id = rig.register(reader(empty_topic_name=True))
    private = {**{name: [1] for name in NOTIFICATION_INPUTS}, "internal_data": 1}
    publish(rig, {**EDIT, **private, "user_ids_without_access_to_sender": [1]}, [{"id": 1, **private}])
    assert only(rig, queue_id) == {**EDIT, "id": 0}


def test_what_a_notice_says_of_a_user_goes_to_that_user_r4_21() -> None:
    rig = Rig()
    queue_ids = [rig.register(reader(user, empty_topic_name=True)) for user in (1, 2, 3)]
    said: list[Json] = [
        {"flags": ["read"], "mentioned_user_group_id": None},
        {"flags": ["mentioned"]},
        {},
    ]
    publish(rig, EDIT, [{"id": user, **own} for user, own in enumerate(said, start=1)])
    events = [only(rig, queue_id, user) for user, queue_id in enumerate(queue_ids, start=1)]
    assert events == [{**EDIT, **own, "id": 0} for own in said]
    assert rig.engine.shard.statistics.encoded == 1


def test_what_is_said_of_a_user_counts_more_than_what_is_said_to_all_but_not_the_type() -> None:
    rig = Rig()
    first, second = rig.register(spec(user=1)), rig.register(spec(user=2))
    publish(rig, {**EDIT, "flags": []}, [{"id": 1, "flags": ["read"], "subject": "", "type": "x"}, 2])
    shown = {"orig_subject": "general chat", "subject": "general chat", "id": 0}
    assert only(rig, first) == {**EDIT, **shown, "flags": ["read"]}
    assert only(rig, second, 2) == {**EDIT, **shown, "flags": []}


@pytest.mark.parametrize("missing", [(), ("subject",), ("orig_subject", "subject")])
def test_clients_that_know_no_empty_topic_see_its_name_r4_23(missing: Any) -> None:
    rig = Rig()
    old, new = rig.register(reader()), rig.register(reader(empty_topic_name=True))
    edit = {name: value for name, value in EDIT.items() if name not in missing}
    publish(rig, edit)
    topics = {name for name in ("orig_subject", "subject") if name not in missing}
    assert only(rig, old) == {**edit, **dict.fromkeys(topics, "general chat"), "id": 0}
    assert only(rig, new) == {**edit, "id": 0}
    assert rig.engine.shard.statistics.encoded == 2


def test_neither_narrow_nor_firehose_matters_r4_24() -> None:
    rig = Rig()
    narrowed = rig.register(reader(narrow=(("is", "dm"),)))
    hearing = rig.register(reader(2, all_public_streams=True, may_access_public_channels=True))
    deaf = rig.register(spec(types=["message"]))
    publish(rig, {**EDIT, "realm_id": 1, "invite_only": False})
    assert rig.poll(narrowed).ids == [0]
    assert rig.poll(hearing, user=2).ids == rig.poll(deaf).ids == []


@pytest.mark.parametrize("members", [{"rendering_only": True, "user_id": None}, {}])
def test_a_new_rendering_is_delivered_like_an_edit_r4_22(members: Json) -> None:
    rig = Rig()
    queue_id = rig.register(reader(empty_topic_name=True))
    publish(rig, {**EDIT, **members})
    assert only(rig, queue_id) == {**EDIT, **members, "id": 0}
