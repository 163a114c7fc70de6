"""The engine: decide, journal, apply, answer; what waits for the journal, and what a failure reaches."""

from typing import Any

import pytest

import tidewire.engine.delivery
from support.core_rig import KeepingSlot, Rig, spec
from support.events import notice
from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.errors import BadRequest, NoticeIdReused, Unavailable
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.persistence.snapshot import encode_snapshot
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.records import Ticked
from tidewire.core.state.limits import Limits
from tidewire.engine.engine import Engine

DEPLOY = {"type": "deploy"}


def everything(rig: Rig) -> bytes:
    """The durable state, to see that nothing changed."""
    return encode_snapshot(rig.engine.shard.snapshot(now=0.0))


# Answers.


def test_a_waiter_gets_all_events_of_one_batch_in_one_answer_d31() -> None:
    rig = Rig()
    waiting = rig.poll(rig.register(), block=True)
    rig.publish(DEPLOY, DEPLOY, DEPLOY)
    assert waiting.ids == [0, 1, 2]


def test_a_waiter_on_several_queues_of_one_user_is_answered_each() -> None:
    rig = Rig()
    waiting = [rig.poll(rig.register(), block=True) for _ in range(3)]
    rig.publish(DEPLOY)
    assert [poll.ids for poll in waiting] == [[0], [0], [0]]


def test_publish_answers_with_how_many_were_taken_repeats_included() -> None:
    rig = Rig()
    body = notice(DEPLOY, id="a")
    for _ in range(2):
        slot: KeepingSlot[int] = KeepingSlot()
        rig.engine.publish(decode_notices(body), slot)
        assert slot.answer == 1
    assert len(rig.journal.written) == 1


def test_a_repeated_notice_is_counted_even_when_nothing_else_came_with_it() -> None:
    rig = Rig()
    for _ in range(2):
        rig.engine.publish(decode_notices(notice(DEPLOY, id="a")), KeepingSlot[int]())
    assert rig.engine.shard.statistics.repeated == 1


def test_a_reused_notice_id_refuses_the_batch_before_anything_is_journalled() -> None:
    rig = Rig()
    rig.register()
    before = everything(rig)
    batch = decode_notices(notice(DEPLOY, id="a") + b"\n" + notice({"type": "other"}, id="a"))
    with pytest.raises(NoticeIdReused) as caught:
        rig.engine.publish(batch, KeepingSlot[int]())
    assert caught.value.data["index"] == 1
    assert everything(rig) == before
    assert len(rig.journal.written) == 1


def test_an_unsupported_narrow_is_refused_before_anything_is_journalled() -> None:
    rig = Rig()
    wanted = QueueSpec(user_id=UserId(1), realm_id=spec().realm_id, narrow=(("near", "1"),))
    with pytest.raises(BadRequest):
        rig.engine.register(wanted, KeepingSlot[QueueId]())
    assert not rig.journal.written
    assert rig.engine.shard._state.acceptances() == 0


def test_a_lost_connection_frees_its_queue_and_an_answered_one_is_said_to_be_gone() -> None:
    rig = Rig()
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    assert rig.engine.poll_disconnected(queue_id, waiting)
    assert not rig.engine.poll_disconnected(queue_id, waiting)
    rig.publish(DEPLOY)
    assert not waiting.answered
    assert rig.poll(queue_id).ids == [0]


def test_release_ends_waiting_polls_with_an_empty_answer_that_takes_no_id() -> None:
    rig = Rig()
    queue_ids = [rig.register() for _ in range(3)]
    waiting = [rig.poll(queue_id, block=True) for queue_id in queue_ids]
    assert rig.engine.release(2) == 2
    assert [poll.answered for poll in waiting] == [True, True, False]
    assert waiting[0].ids == []
    rig.publish(DEPLOY)
    assert rig.poll(queue_ids[0]).ids == [0]


def test_restart_and_reload_events_reach_the_queues_that_accept_them_r1_23_r1_26() -> None:
    rig = Rig()
    queue_id, other = rig.register(), rig.register(spec(types=["deploy"]))
    rig.restart(rig.engine.snapshot(), [], resumed=False)
    new = rig.register()
    rig.engine.announce_restart({"type": "restart", "server_generation": 7})
    assert rig.engine.reload_clients(immediate=False, count=1) == 1
    assert rig.engine.reload_clients(immediate=True, count=None) == 0
    kinds = {queue: [event["type"] for event in rig.poll(queue).events] for queue in (queue_id, other, new)}
    assert kinds == {queue_id: ["restart", "web_reload_client"], other: [], new: ["restart"]}


# Flushing in slices.


def test_more_waiters_than_a_slice_are_answered_through_call_soon_and_later_events_join(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tidewire.engine.delivery, "FLUSH_SLICE", 2)
    rig = Rig()
    waiting = [rig.poll(rig.register(), block=True) for _ in range(5)]
    rig.publish(DEPLOY)
    assert not any(poll.answered for poll in waiting)
    rig.soon.run()
    assert [poll.answered for poll in waiting] == [True, True, False, False, False]
    rig.publish(DEPLOY)
    assert [poll.answered for poll in waiting] == [True, True, False, False, False]
    assert len(rig.soon.calls) == 1
    rig.soon.run()
    rig.soon.run()
    assert [poll.ids for poll in waiting] == [[0], [0], [0, 1], [0, 1], [0, 1]]


def test_no_more_waiters_than_a_slice_are_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidewire.engine.delivery, "FLUSH_SLICE", 2)
    rig = Rig()
    waiting = [rig.poll(rig.register(), block=True) for _ in range(2)]
    rig.publish(DEPLOY)
    assert [poll.ids for poll in waiting] == [[0], [0]]
    assert not rig.soon.calls
    assert not rig.soon.calls


def test_a_waiter_that_leaves_before_its_slice_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidewire.engine.delivery, "FLUSH_SLICE", 1)
    rig = Rig()
    queue_ids = [rig.register() for _ in range(2)]
    waiting = [rig.poll(queue_id, block=True) for queue_id in queue_ids]
    rig.publish(DEPLOY)
    assert rig.engine.poll_disconnected(queue_ids[1], waiting[1])
    rig.soon.run()
    assert not waiting[1].answered
    assert rig.poll(queue_ids[1]).ids == [0]


# Failures reach no further than they must (D9).


def test_a_queue_whose_rules_raise_keeps_no_other_queue_from_its_event() -> None:
    rig = Rig()
    broken, healthy = rig.register(), rig.register()
    descriptor = rig.engine.shard.find(broken)
    assert descriptor is not None
    descriptor.acceptance = None  # type: ignore[assignment]  # breaks this one queue
    rig.publish(DEPLOY)
    assert rig.poll(healthy).ids == [0]
    assert [failure.queue_id for failure in rig.reporter.failures] == [broken]
    assert rig.engine.shard.statistics.broken == 1


def test_a_failure_to_deliver_an_event_of_the_shards_own_is_reported_too() -> None:
    rig = Rig()
    broken, healthy = rig.register(), rig.register()
    descriptor = rig.engine.shard.find(broken)
    assert descriptor is not None
    descriptor.acceptance = None  # type: ignore[assignment]  # breaks this one queue
    rig.engine.announce_restart({"type": "restart"})
    assert rig.poll(healthy).ids == [0]
    assert [failure.queue_id for failure in rig.reporter.failures] == [broken]


def test_a_notice_whose_processor_raises_keeps_no_other_notice_from_its_queues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    queue_id = rig.register()
    represent = Dispatch.represent

    def fails_once(self: Dispatch[object], event: dict[str, object], **how: Any) -> object:
        if event["type"] == "broken":
            raise ValueError
        return represent(self, event, **how)

    monkeypatch.setattr(Dispatch, "represent", fails_once)
    rig.publish({"type": "broken"}, DEPLOY)
    assert rig.poll(queue_id).ids == [0]
    (failure,) = rig.reporter.failures
    assert (failure.kind, failure.queue_id, type(failure.error)) == ("broken", None, ValueError)


# Time.


def test_a_skip_of_the_clock_is_reported_even_when_a_request_noticed_it_first() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.engine.tick()

    def skip() -> float:
        rig.clock.skipped = 59.0
        return rig.clock.time

    rig.clock.now = skip  # type: ignore[method-assign]  # the reading of the poll notices
    rig.poll(queue_id)
    rig.engine.tick()
    rig.engine.tick()
    assert rig.reporter.skips == [59.0]


def test_a_skip_of_the_clock_that_the_tick_notices_is_reported() -> None:
    rig = Rig()

    def skip() -> float:
        rig.clock.skipped += 5.0
        return rig.clock.time

    rig.clock.tick = skip  # type: ignore[method-assign]  # noticed by the tick's own reading
    rig.engine.tick()
    assert rig.reporter.skips == [5.0]


def test_the_collector_runs_at_its_pace_and_says_what_it_did() -> None:
    rig = Rig(limits=Limits(offline_after=0))
    rig.register(spec(idle=60))
    rig.register(spec(idle=1000))
    rig.wait(59)
    assert rig.reporter.collections == []
    rig.wait(1)
    assert rig.reporter.collections == [(1, 1)]


def test_a_quiet_tick_writes_nothing() -> None:
    rig = Rig()
    rig.register()
    rig.wait(30)
    assert len(rig.journal.written) == 1


def test_what_polls_changed_is_written_once_by_the_next_tick() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(DEPLOY)
    rig.poll(queue_id)
    rig.poll(queue_id, 0)
    rig.wait(2)
    ticks = [record for record in rig.journal.records() if isinstance(record, Ticked)]
    assert [(seen.queue_id, seen.pruned) for tick in ticks for seen in tick.seen] == [(queue_id, 0)]


def test_two_engines_in_one_process_share_nothing() -> None:
    one, two = Rig(), Rig()
    queue_id = one.register()
    one.publish(DEPLOY)
    assert isinstance(two.engine, Engine)
    assert two.engine.shard.queues() == 0
    assert two.register() == queue_id
    assert two.poll(queue_id).ids == []


# The end.


def test_once_the_state_is_another_process_s_nothing_changes_and_polls_end_with_nothing_r9_15() -> None:
    rig = Rig()
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    unread = rig.register(spec(user=2))
    rig.publish(DEPLOY, users=[2])
    rig.engine.close()
    before = everything(rig)

    with pytest.raises(Unavailable):
        rig.publish(DEPLOY)
    with pytest.raises(Unavailable):
        rig.register()
    with pytest.raises(Unavailable):
        rig.delete(queue_id)
    # One that was made by that process is as good: whoever asks comes back to it.
    for asked, user in ((unread, 2), ("made-since", 1)):
        poll = rig.poll(asked, user=user, block=True)
        assert (poll.ids, poll.answer.queue_id) == ([], asked)
    with pytest.raises(Unavailable):
        rig.delete("made-since")
    assert not waiting.answered
    assert rig.engine.release(10) == 1
    assert waiting.ids == []
    assert everything(rig) == before
