"""Tombstones: who is told why a queue is gone, and for how long."""

import pytest

import tidewire.core.persistence.snapshot
import tidewire.core.queues.ended
from support.core_rig import Rig
from support.core_states import durable_form
from tidewire.core.errors import BadEventQueueId
from tidewire.core.ids import QueueId, UserId
from tidewire.core.queues.ended import Tombstones
from tidewire.core.state.limits import Limits


def reason(rig: Rig, queue_id: str, user: int = 1) -> str:
    """What a poll is told."""
    with pytest.raises(BadEventQueueId) as refused:
        rig.poll(queue_id, user=user)
    return str(refused.value.data["reason"])


def filled(count: int, *, most: int) -> Tombstones:
    tombstones = Tombstones(most=most)
    for number in range(count):
        tombstones.add(QueueId(f"queue-{number}"), UserId(1), "expired", float(number))
    return tombstones


def test_the_oldest_go_when_there_are_too_many() -> None:
    tombstones = filled(5, most=3)
    assert [tombstones.reason(f"queue-{number}", UserId(1)) for number in range(5)] == [
        "unknown",
        "unknown",
        "expired",
        "expired",
        "expired",
    ]


def test_those_before_a_time_go() -> None:
    tombstones = filled(5, most=10)
    tombstones.forget(before=3.0)
    assert len(tombstones) == 2
    assert tombstones.reason("queue-2", UserId(1)) == "unknown"
    assert tombstones.reason("queue-3", UserId(1)) == "expired"


def test_without_room_nothing_is_remembered() -> None:
    assert len(filled(5, most=0)) == 0


def test_pieces_restore_what_there_was_over_what_was_entered_since() -> None:
    before = filled(9, most=100)
    again = Tombstones(most=100)
    again.add(QueueId("queue-7"), UserId(1), "expired", 7.0)
    for piece in before.pieces():
        again.restore(piece)
    assert again.pieces() == before.pieces()


def test_the_owner_and_nobody_else_is_told_why_a_queue_is_gone() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.delete(queue_id)
    assert reason(rig, queue_id) == "deleted"
    assert reason(rig, queue_id, user=2) == "unknown"
    assert reason(rig, "never was") == "unknown"
    with pytest.raises(BadEventQueueId) as refused:
        rig.delete(queue_id)
    assert refused.value.data["reason"] == "deleted"


def test_an_expired_queue_says_so_until_the_time_is_over() -> None:
    rig = Rig(limits=Limits(tombstones_for=100))
    queue_id, other = rig.register(), rig.register()
    rig.wait(661)
    assert reason(rig, queue_id) == "expired"
    rig.register()
    rig.wait(700)
    assert reason(rig, other) == "unknown"


def test_they_survive_a_stop_and_a_crash() -> None:
    rig = Rig()
    before, after = rig.register(), rig.register()
    rig.delete(before)
    rig.engine.final_snapshot()
    rig.delete(after)
    rig.recover()
    assert [reason(rig, queue_id) for queue_id in (before, after)] == ["deleted", "deleted"]


def test_those_of_a_snapshot_in_slices_are_as_of_its_last_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewire.engine.snapshots.SLICE", 1.0)
    monkeypatch.setattr(tidewire.core.queues.ended, "PIECE", 2)
    rig = Rig()
    queue_ids = [rig.register() for _ in range(12)]
    for queue_id in queue_ids[:5]:
        rig.delete(queue_id)
    rig.engine.begin_snapshot()
    # Of those that end meanwhile some were captured, and some were not.
    while rig.soon.calls:
        if len(queue_ids) > 7:
            rig.delete(queue_ids.pop())
            rig.delete(queue_ids.pop(5))
        rig.soon.run()
    assert len(rig.journal.frames) > 5
    live = durable_form(rig.engine.shard._state)
    rig.recover()
    assert durable_form(rig.engine.shard._state) == live
