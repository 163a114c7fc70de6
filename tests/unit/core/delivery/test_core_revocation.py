"""Revocation by notices: what a user loses, for how long, and that it survives everything (D11)."""

import pytest

from support.core_rig import KeepingSlot, Rig, spec
from support.core_states import check_indexes
from support.events import Json, notice
from support.whole_messages import message_event, recipient
from tidewire.core.errors import BadEventQueueId, UserDeactivated
from tidewire.core.ids import UserId
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.records import Published

DEPLOY = {"type": "deploy"}


def revoke(user: int = 1) -> Json:
    return {"type": "revoke_user", "user_id": user}


def restore(user: int = 1) -> Json:
    return {"type": "restore_user", "user_id": user}


def active(user: int, *, is_active: object) -> Json:
    return {"type": "realm_user", "op": "update", "person": {"user_id": user, "is_active": is_active}}


def published(rig: Rig, *events: Json) -> None:
    """Publishes internal notices, which are for nobody."""
    rig.publish(*events, users=[])


def is_revoked(rig: Rig, user: int = 1) -> bool:
    try:
        rig.register(spec(user=user))
    except UserDeactivated:
        return True
    return False


@pytest.mark.parametrize("event", [revoke(), active(1, is_active=False)], ids=["notice", "realm_user"])
def test_queues_end_waiting_polls_with_them_and_what_is_queued_is_purged(event: Json) -> None:
    rig = Rig()
    waits, holds, other = rig.register(), rig.register(), rig.register(spec(user=2))
    waiting = rig.poll(waits, block=True)
    rig.publish(DEPLOY)
    assert waiting.ids == [0]
    waiting = rig.poll(waits, 0, block=True)
    published(rig, event)
    assert waiting.ids == []
    assert rig.poll(other, user=2).ids == []
    assert rig.engine.shard.queues() == 1
    for queue_id in (waits, holds):
        with pytest.raises(UserDeactivated):
            rig.poll(queue_id, 0)
    assert is_revoked(rig)
    assert not is_revoked(rig, user=2)
    check_indexes(rig.engine.shard._state)


def test_a_poll_that_became_ready_in_the_same_batch_gets_nothing() -> None:
    rig = Rig()
    waiting = rig.poll(rig.register(), block=True)
    body = notice(DEPLOY) + b"\n" + notice(revoke(), [])
    rig.engine.publish(decode_notices(body), KeepingSlot[int]())
    assert waiting.ids == []


@pytest.mark.parametrize("event", [restore(), active(1, is_active=True)], ids=["notice", "realm_user"])
def test_a_restored_user_registers_again_and_is_told_why_the_old_queue_is_gone(event: Json) -> None:
    rig = Rig()
    queue_id = rig.register()
    published(rig, revoke())
    published(rig, event)
    assert not is_revoked(rig)
    with pytest.raises(BadEventQueueId) as refused:
        rig.poll(queue_id)
    assert refused.value.data["reason"] == "revoked"


def test_other_changes_of_a_user_take_no_rights() -> None:
    rig = Rig()
    rig.register()
    for is_active in (None, 0, "false"):
        published(rig, active(1, is_active=is_active))
    published(rig, {**active(1, is_active=False), "op": "add"})
    published(rig, {"type": "realm_user", "op": "update", "person": {"user_id": "1", "is_active": False}})
    assert rig.engine.shard.queues() == 1


def test_those_who_see_the_user_are_told_of_the_deactivation_the_user_is_not() -> None:
    rig = Rig()
    own, other = rig.register(), rig.register(spec(user=2))
    rig.publish(active(1, is_active=False), users=[1, 2])
    assert [event["type"] for event in rig.poll(other, user=2).events] == ["realm_user"]
    with pytest.raises(UserDeactivated):
        rig.poll(own)


@pytest.mark.parametrize("kept", [False, True], ids=["crash", "stop"])
def test_it_survives_a_crash_and_a_stop(kept: bool) -> None:
    rig = Rig()
    rig.register()
    published(rig, revoke(), revoke(2), restore(2))
    if kept:
        assert rig.engine.final_snapshot()
    rig.recover()
    assert rig.engine.shard.queues() == 0
    assert is_revoked(rig)
    assert not is_revoked(rig, user=2)


def test_the_revoked_are_notified_of_nothing() -> None:
    rig = Rig()
    published(rig, revoke())
    body = notice(message_event(1, direct=True), [recipient(1), recipient(2)])
    rig.engine.publish(decode_notices(body), KeepingSlot[int]())
    (record,) = [one for one in rig.journal.records() if isinstance(one, Published) and one.outcomes]
    assert {one.user_id for one in record.outcomes[0].notified} == {UserId(2)}


def test_a_message_behind_a_revocation_is_decided_on_when_it_is_done() -> None:
    rig = Rig()
    rig.register()
    body = notice(revoke(), []) + b"\n" + notice(message_event(1, direct=True), [recipient(1)])
    rig.engine.publish(decode_notices(body), KeepingSlot[int]())
    assert [bool(one.outcomes) for one in rig.journal.records() if isinstance(one, Published)] == [
        False,
        False,
    ]
