"""The life of a poll (sections 2.4, 2.5 and 6B)."""

import pytest

from support.core_rig import Rig
from support.core_states import check_indexes
from support.events import flags
from tidewire.core.errors import BadEventQueueId, BadRequest
from tidewire.core.ids import UserId

DEPLOY = {"type": "deploy"}


def test_a_poll_with_events_is_answered_at_once_r6_38() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(DEPLOY)
    assert rig.poll(queue_id, block=True).ids == [0]


def test_the_acknowledgement_comes_before_the_question_whether_to_wait() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(DEPLOY)
    rig.poll(queue_id)
    waiting = rig.poll(queue_id, 0, block=True)
    assert not waiting.answered
    rig.publish(DEPLOY)
    assert waiting.ids == [1]


def test_a_displaced_poll_gets_what_is_left_after_the_new_acknowledgement_r2_18(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tidewire.engine.delivery.FLUSH_SLICE", 1)
    rig = Rig()
    other, queue_id = rig.register(), rig.register()
    rig.poll(other, block=True)
    first = rig.poll(queue_id, block=True)
    rig.publish(DEPLOY, flags("add", "read", [1]), flags("add", "read", [2]))
    assert not first.answered
    second = rig.poll(queue_id, block=True)
    rig.soon.run()
    assert first.ids == second.ids == [0, 2]
    rig.soon.run()
    third = rig.poll(queue_id, 2, block=True)
    assert not third.answered
    check_indexes(rig.engine.shard._state)


def test_a_wrong_id_changes_neither_the_queue_nor_who_waits_d8() -> None:
    rig = Rig()
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    with pytest.raises(BadRequest):
        rig.poll(queue_id, 5, block=True)
    assert not waiting.answered
    rig.publish(DEPLOY)
    assert waiting.ids == [0]


def test_a_foreign_poll_displaces_nobody() -> None:
    rig = Rig()
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    with pytest.raises(BadEventQueueId):
        rig.poll(queue_id, user=2, block=True)
    assert not waiting.answered


def test_a_deleted_queue_answers_who_waits_with_what_is_left_r2_26() -> None:
    rig = Rig()
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    deleted = rig.delete(queue_id)
    assert deleted.answer == queue_id
    assert waiting.ids == []
    with pytest.raises(BadEventQueueId):
        rig.delete(queue_id)


def test_only_the_poll_that_waits_can_be_lost() -> None:
    rig = Rig()
    queue_id = rig.register()
    first = rig.poll(queue_id, block=True)
    second = rig.poll(queue_id, block=True)
    assert not rig.engine.poll_disconnected(queue_id, first)
    assert not rig.engine.poll_disconnected("nothing", second)
    assert rig.engine.poll_disconnected(queue_id, second)


def test_polls_of_every_kind_count_as_activity_d3_d4() -> None:
    rig = Rig()
    queue_id = rig.register()
    found = rig.engine.shard.find(queue_id)
    assert found is not None
    times = []
    rig.clock.time += 1
    rig.poll(queue_id)
    times.append(found.last_active)
    rig.clock.time += 1
    waiting = rig.poll(queue_id, block=True)
    times.append(found.last_active)
    rig.clock.time += 1
    rig.engine.poll_disconnected(queue_id, waiting)
    times.append(found.last_active)
    rig.poll(queue_id, block=True)
    rig.clock.time += 1
    rig.publish(DEPLOY)
    times.append(found.last_active)
    assert [time - times[0] for time in times] == [0, 1, 2, 3]


def test_taking_waiters_leaves_their_events_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewire.engine.delivery.FLUSH_SLICE", 0)
    rig = Rig()
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    rig.publish(DEPLOY)
    assert rig.engine.release(10) == 1
    assert waiting.ids == []
    assert rig.poll(queue_id, user=UserId(1)).ids == [0]


def test_a_poll_does_not_get_the_slice_of_the_one_it_displaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewire.engine.delivery.FLUSH_SLICE", 1)
    rig = Rig()
    other, queue_id = rig.register(), rig.register()
    rig.poll(other, block=True)
    displaced = rig.poll(queue_id, block=True)
    rig.publish(DEPLOY)
    assert rig.poll(queue_id).ids == [0]
    waiting = rig.poll(queue_id, 0, block=True)
    for _ in range(3):
        rig.soon.run()
    assert displaced.ids == [0]
    assert not waiting.answered


# Polls that displace each other without end (D-14).


def test_polls_that_displace_each_other_all_the_time_are_answered_late_and_counted_d14() -> None:
    rig = Rig()
    queue_id = rig.register()
    polls = [rig.poll(queue_id, block=True) for _ in range(20)]
    assert [poll.answered for poll in polls] == [True] * 10 + [False] * 10
    assert rig.engine.shard.statistics.displaced == 19
    assert rig.engine.shard.statistics.displaced_late == 9
    rig.wait(1)
    assert all(poll.ids == [] for poll in polls[:-1])
    assert not polls[-1].answered
    rig.publish(DEPLOY)
    assert polls[-1].ids == [0]


def test_a_client_that_comes_again_now_and_then_is_never_kept_waiting() -> None:
    rig = Rig()
    queue_id = rig.register()
    for _ in range(40):
        waiting = rig.poll(queue_id, block=True)
        rig.wait(1)
        rig.poll(queue_id, block=True)
        assert waiting.ids == []
        rig.wait(1)


def test_a_displaced_poll_that_has_something_to_be_told_is_told_at_once() -> None:
    rig = Rig()
    queue_id = rig.register()
    for _ in range(20):
        rig.poll(queue_id, block=True)
    rig.publish(DEPLOY)
    assert rig.poll(queue_id).ids == [0]
    waiting = rig.poll(queue_id, 0, block=True)
    late = rig.poll(queue_id, 0, block=True)
    rig.publish(DEPLOY)
    assert not waiting.answered
    assert late.ids == [1]


def test_a_stop_ends_those_that_are_kept_waiting_too() -> None:
    rig = Rig()
    queue_id = rig.register()
    polls = [rig.poll(queue_id, block=True) for _ in range(15)]
    assert rig.engine.waiting() == 5
    assert rig.engine.release(1) == 5
    assert all(poll.answered for poll in polls)
    assert rig.engine.waiting() == 0
