"""What is refused on arrival because its type could not be delivered sensibly, and what is merely odd (D9)."""

import pytest

from support.core_rig import KeepingSlot, Rig
from support.events import Json, flags, notice
from support.messages import message
from tidewire.core.delivery.processors import CHECKS, PROCESSORS
from tidewire.core.errors import InvalidNotice
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.records import Published

REFUSED: list[tuple[Json, str]] = [
    ({"type": "delete_message"}, "`message_ids` of delete_message must be a list"),
    ({"type": "delete_message", "message_ids": "40"}, "`message_ids` of delete_message must be a list"),
    ({"type": "custom_profile_fields"}, "`fields` of custom_profile_fields must be a list"),
    ({"type": "custom_profile_fields", "fields": {}}, "`fields` of custom_profile_fields must be a list"),
    ({"type": "revoke_user"}, "`user_id` of a revoke_user event must be an integer"),
    ({"type": "revoke_user", "user_id": True}, "`user_id` of a revoke_user event must be an integer"),
    ({"type": "restore_user", "user_id": -1}, "`user_id` of a restore_user event must be an integer"),
    (
        {"type": "presence", "user_id": "31", "presence": {}},
        "`user_id` of presence must be an integer",
    ),
    (
        {"type": "presence", "user_id": True, "presence": {}},
        "`user_id` of presence must be an integer",
    ),
    ({"type": "presence", "user_id": 31}, "presence has neither `legacy_presence` nor `modern_presence`"),
    (
        {"type": "presence", "user_id": 31, "legacy_presence": []},
        "`legacy_presence` of presence must be an object",
    ),
    (
        {"type": "presence", "user_id": 31, "presence": {}, "modern_presence": 5},
        "`modern_presence` of presence must be an object",
    ),
    (
        flags("remove", "read", [7], message_details=[7]),
        "`message_details` of update_message_flags must be an object",
    ),
    (message(content=7), "the event of type message is wrong: Expected `str`, got `int`"),
    ({"type": "realm_emoji", "op": "add"}, "realm_emoji of one change needs all emoji in `realm_emoji`"),
    (
        {"type": "realm_emoji", "op": "update_one", "realm_emoji": []},
        "realm_emoji of one change needs all emoji in `realm_emoji`",
    ),
]


@pytest.mark.parametrize(("event", "why"), REFUSED, ids=str)
def test_what_can_not_be_delivered_is_refused_and_nothing_of_its_batch_is_taken(
    event: Json, why: str
) -> None:
    rig = Rig()
    queue_id = rig.register()
    journalled = len(rig.journal.written)
    with pytest.raises(InvalidNotice, match=why) as caught:
        rig.publish({"type": "deploy"}, event)
    assert caught.value.data["index"] == 1
    assert len(rig.journal.written) == journalled
    assert rig.poll(queue_id).ids == []


@pytest.mark.parametrize(
    "event",
    [
        {"type": "delete_message", "message_ids": []},
        {"type": "delete_message", "message_ids": ["x", None]},
        {"type": "presence"},
        {"type": "presence", "user_id": 31, "presence": {}},
        flags("remove", "read", [7]),
        flags("add", "read", [7], message_details=[7]),
        {"type": "realm_emoji", "op": "update", "realm_emoji": []},
        {"type": "realm_emoji"},
        {"type": "user_topic"},
        {"type": "typing", "message_type": "stream"},
        {"type": "realm_user", "op": "add", "inaccessible_user": None},
        {"type": "user_group", "op": "update", "data": None},
    ],
    ids=str,
)
def test_what_is_merely_odd_is_taken_and_breaks_nothing(event: Json) -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(event, {"type": "deploy"})
    assert rig.poll(queue_id).events[-1]["type"] == "deploy"
    assert not rig.reporter.failures


def test_a_retry_of_what_was_taken_is_not_checked_again() -> None:
    rig = Rig()
    raw = notice({"type": "delete_message"}, id="n")
    (taken,) = decode_notices(raw)
    rig.engine.shard.apply(Published(rig.clock.time, (raw,)))
    slot: KeepingSlot[int] = KeepingSlot()
    rig.engine.publish([taken], slot)
    assert slot.answered


def test_a_broken_notice_of_a_journal_fails_alone_d9() -> None:
    rig = Rig()
    queue_id = rig.register()
    notices = (notice({"type": "delete_message"}), notice({"type": "deploy"}))
    failures = rig.engine.shard.apply(Published(rig.clock.time, notices))
    assert [failure.kind for failure in failures] == ["delete_message"]
    assert rig.poll(queue_id).events == [{"type": "deploy", "id": 0}]


def test_only_types_with_a_processor_are_checked() -> None:
    assert set(CHECKS) <= set(PROCESSORS)
    assert {event["type"] for event, _ in REFUSED} == set(CHECKS)
