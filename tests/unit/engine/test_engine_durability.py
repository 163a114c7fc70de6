"""The engine and its journal: what waits for it, and what happens while it fails."""

import pytest

import tidewire.engine.delivery
from support.core_rig import KeepingSlot, Poll, Rig, spec
from support.events import flags, notice
from tidewire.core.errors import Unavailable
from tidewire.core.ids import UserId
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.persistence.snapshot import encode_snapshot
from tidewire.core.records import Sealed
from tidewire.core.state.limits import Limits
from tidewire.core.state.state import Batch
from tidewire.engine.timing import EngineTiming

DEPLOY = {"type": "deploy"}


def everything(rig: Rig) -> bytes:
    """The durable state, to see that nothing changed."""
    return encode_snapshot(rig.engine.shard.snapshot(now=0.0))


# The gate.


def test_every_answer_waits_for_the_journal_and_leaves_in_order() -> None:
    rig = Rig()
    queue_id, doomed = rig.register(), rig.register()
    rig.journal.lags = True
    order: list[str] = []

    class Noting(KeepingSlot[object]):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def complete(self, answer: object) -> None:
            super().complete(answer)
            order.append(self.name)

    rig.engine.register(spec(), Noting("register"))
    rig.engine.publish(decode_notices(notice(DEPLOY)), Noting("publish"))
    rig.engine.poll(queue_id, user_id=UserId(1), last_event_id=-1, block=False, waiter=Noting("poll"))
    rig.engine.delete(doomed, user_id=UserId(1), waiter=Noting("delete"))
    assert order == []
    rig.journal.sync(1)
    rig.engine.durable_moved()
    assert order == ["register"]
    rig.journal.sync()
    assert order == ["register"]
    rig.engine.durable_moved()
    assert order == ["register", "publish", "poll", "delete"]


def test_an_answer_that_shows_nothing_new_leaves_at_once() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.journal.lags = True
    assert rig.poll(queue_id).answered


def test_a_repeated_notice_is_confirmed_only_when_the_first_is_durable() -> None:
    rig = Rig()
    rig.journal.lags = True
    slots: list[KeepingSlot[int]] = [KeepingSlot(), KeepingSlot()]
    for slot in slots:
        rig.engine.publish(decode_notices(notice(DEPLOY, id="a")), slot)
    assert not any(slot.answered for slot in slots)
    rig.journal.sync()
    rig.engine.durable_moved()
    assert all(slot.answered for slot in slots)


def test_an_answer_with_merged_events_waits_for_the_record_of_the_merge() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(flags("add", "read", [1]), flags("add", "read", [2]))
    rig.journal.lags = True
    answer = rig.poll(queue_id)
    assert isinstance(rig.journal.records()[-1], Sealed)
    assert not answer.answered
    rig.journal.sync()
    rig.engine.durable_moved()
    assert answer.events[0]["messages"] == [1, 2]


def test_a_slot_that_raises_keeps_nobody_from_their_answer() -> None:
    rig = Rig()

    class Broken(Poll):
        def complete(self, answer: Batch) -> None:
            super().complete(answer)
            raise ConnectionError

    queue_id = rig.register()
    broken = Broken()
    rig.engine.poll(queue_id, user_id=UserId(1), last_event_id=-1, block=True, waiter=broken)
    waiting = rig.poll(rig.register(), block=True)
    rig.publish(DEPLOY)
    assert waiting.ids == [0]
    assert [type(error) for error in rig.reporter.answer_errors] == [ConnectionError]
    assert rig.poll(queue_id).ids == [0]


# A journal that fails.


def test_what_cannot_be_journalled_has_not_happened() -> None:
    rig = Rig()
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    rig.journal.fails = True
    before = everything(rig)
    with pytest.raises(Unavailable):
        rig.publish(DEPLOY)
    with pytest.raises(Unavailable):
        rig.register()
    with pytest.raises(Unavailable):
        rig.delete(queue_id)
    assert everything(rig) == before
    assert not waiting.answered
    rig.journal.fails = False
    rig.publish(DEPLOY)
    assert waiting.ids == [0]


def test_a_notice_id_is_not_remembered_when_its_record_failed() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.journal.fails = True
    with pytest.raises(Unavailable):
        rig.engine.publish(decode_notices(notice(DEPLOY, id="a")), KeepingSlot[int]())
    rig.journal.fails = False
    rig.engine.publish(decode_notices(notice(DEPLOY, id="a")), KeepingSlot[int]())
    assert rig.poll(queue_id).ids == [0]


def test_a_heartbeat_that_cannot_be_journalled_is_an_empty_answer_that_takes_no_id_d5() -> None:
    rig = Rig()
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    rig.journal.fails = True
    rig.wait(60)
    assert waiting.ids == []
    assert len(rig.reporter.journal_errors) == 1
    waiting = rig.poll(queue_id, block=True)
    rig.wait(30)
    rig.journal.fails = False
    rig.wait(30)
    assert [(event["type"], event["id"]) for event in waiting.events] == [("heartbeat", 0)]


def test_an_expiry_that_cannot_be_journalled_is_tried_again_by_the_next_collection() -> None:
    rig = Rig(limits=Limits(offline_after=0), timing=EngineTiming(collect_every=0))
    queue_id = rig.register(spec(idle=60))
    rig.clock.time += 60
    rig.journal.fails = True
    assert rig.engine.collect() == ()
    rig.journal.fails = False
    rig.clock.time += 2
    assert rig.engine.collect() == (queue_id,)


def test_the_record_of_a_merge_is_retried_before_anything_else_is_written() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(flags("add", "read", [1]), flags("add", "read", [2]))
    rig.journal.fails = True
    answer = rig.poll(queue_id, block=True)
    assert not answer.answered
    with pytest.raises(Unavailable):
        rig.publish(DEPLOY)
    rig.journal.fails = False
    rig.publish(DEPLOY)
    assert [type(record).__name__ for record in rig.journal.records()[-2:]] == ["Sealed", "Published"]
    assert answer.ids == [1]


def test_the_record_of_a_merge_is_retried_by_a_tick_that_has_nothing_else_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tidewire.engine.delivery, "FLUSH_SLICE", 1)
    rig = Rig()
    queue_ids = [rig.register() for _ in range(2)]
    waiting = [rig.poll(queue_id, block=True) for queue_id in queue_ids]
    rig.publish(flags("add", "read", [1]), flags("add", "read", [2]))
    rig.engine.tick()
    rig.journal.room = 1
    assert rig.delete(queue_ids[1]).answer == queue_ids[1]
    rig.soon.run()
    rig.engine.tick()
    assert not waiting[1].answered
    rig.journal.room = None
    rig.engine.tick()
    assert waiting[1].ids == [1]


def test_clients_get_what_is_durable_one_by_one_while_no_merge_can_be_written() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(flags("add", "read", [1]), DEPLOY, flags("add", "read", [2]), flags("add", "read", [3]))
    rig.journal.fails = True
    with pytest.raises(Unavailable):
        rig.publish(DEPLOY)
    assert rig.poll(queue_id).ids == [0, 1]
    assert rig.poll(queue_id, 1).ids == [2]
    assert rig.poll(queue_id, 2, block=True).ids == [3]
    rig.journal.fails = False
    rig.engine.tick()
    rig.publish(flags("add", "read", [4]), flags("add", "read", [5]))
    assert rig.poll(queue_id, 3).ids == [5]


def test_a_merge_made_before_the_failure_was_noticed_holds_up_its_own_queue_alone() -> None:
    rig = Rig()
    merged, other = rig.register(), rig.register()
    rig.publish(flags("add", "read", [1]), flags("add", "read", [2]))
    rig.journal.fails = True
    held = rig.poll(merged, block=True)
    assert rig.poll(other).ids == [0]
    rig.wait(9)
    assert not held.answered
    rig.wait(2)
    assert held.ids == []
    again = rig.poll(merged, block=True)
    rig.journal.fails = False
    rig.wait(1)
    assert again.ids == [1]
    assert again.events[0]["messages"] == [1, 2]


def test_whoever_runs_the_engine_is_told_once_when_the_journal_fails_and_once_when_it_works() -> None:
    rig = Rig()
    rig.register()
    rig.engine.tick()
    rig.journal.fails = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            rig.publish(DEPLOY)
        rig.wait(1)
    assert rig.failing == [True]
    assert len(rig.reporter.journal_errors) == 1
    rig.journal.fails = False
    rig.wait(1)
    assert rig.failing == [True, False]
    assert rig.reporter.journal_works_again == 1
    rig.publish(DEPLOY)


def test_polls_that_end_for_the_servers_sake_show_nothing_and_so_need_not_wait() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.journal.lags = True
    rig.engine.register(spec(), KeepingSlot())
    waiting = rig.poll(queue_id, block=True)
    rig.engine.release(10)
    assert waiting.ids == []
