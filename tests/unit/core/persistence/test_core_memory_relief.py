"""A state that is larger than the budget: who gives way while it is loaded, what is told, and what it takes meanwhile."""

import tracemalloc
from dataclasses import replace

import pytest

from support.core_rig import KeepingSlot, Rig, spec
from support.core_states import check_indexes
from support.events import notice
from support.whole_messages import message_event, recipient
from tidewire.core.errors import BadEventQueueId
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.notifications.outbox import OutboxPage
from tidewire.core.records import Removed
from tidewire.core.state.limits import Limits

TEXT_BYTES = 10_000
UNBOUNDED = Limits(explain_bytes=0)


def publish_text(rig: Rig, *users: int, number: int = 0) -> None:
    """An event of ten thousand bytes, unlike others."""
    rig.publish({"type": "deploy", "text": f"{number:010}" + "x" * TEXT_BYTES}, users=users)


def reasons(rig: Rig) -> dict[str, str]:
    """Which queues records ended, and why."""
    return {one.queue_id: one.reason for one in rig.journal.records() if isinstance(one, Removed)}


def full(queues: int, *, kept: bool, tail: bool = False) -> tuple[Rig, list[str]]:
    """A rig whose queues hold an event each, those of earlier users for longer."""
    rig = Rig(limits=UNBOUNDED)
    queue_ids: list[str] = [rig.register(spec(user=user)) for user in range(queues)]
    for user, queue_id in enumerate(queue_ids):
        rig.wait(2)
        rig.poll(queue_id, user=user)
        publish_text(rig, user, number=user)
    rig.wait(2)
    if kept:
        rig.engine.final_snapshot()
    if tail:
        for user in range(queues):
            publish_text(rig, user, number=1000 + user)
    return rig, queue_ids


@pytest.mark.parametrize("kept", [True, False], ids=["snapshot", "records"])
def test_the_queues_that_wait_for_longest_give_way_while_the_state_is_loaded(kept: bool) -> None:
    rig, queue_ids = full(10, kept=kept)
    rig.limits = replace(UNBOUNDED, memory_budget=70_000)
    report = rig.recover()
    gone = {removed.queue_id for removed in report.gave_way}
    assert gone == set(queue_ids[: len(gone)])
    assert 4 <= len(gone) <= 7
    assert reasons(rig) == dict.fromkeys(gone, "memory")
    check_indexes(rig.engine.shard._state)
    for user, queue_id in enumerate(queue_ids):
        if queue_id not in gone:
            assert rig.poll(queue_id, user=user).ids == [0]
            continue
        with pytest.raises(BadEventQueueId) as told:
            rig.poll(queue_id, user=user)
        assert told.value.data["reason"] == "memory"


def test_what_gave_way_stays_ended_when_the_budget_is_raised_again() -> None:
    rig, _ = full(10, kept=True, tail=True)
    rig.limits = replace(UNBOUNDED, memory_budget=70_000)
    gone = {removed.queue_id for removed in rig.recover().gave_way}
    rig.limits = UNBOUNDED
    assert not rig.recover().gave_way
    assert rig.engine.shard.queues() == 10 - len(gone)
    assert set(reasons(rig)) == gone


def test_a_body_that_a_later_queue_shares_may_be_gone_and_then_that_queue_gives_way_too() -> None:
    rig = Rig(limits=UNBOUNDED)
    queue_ids = [rig.register(spec(user=user)) for user in range(300)]
    for number in range(30):
        publish_text(rig, *range(300), number=number)
    rig.engine.final_snapshot()
    assert len(rig.journal.frames) > 1
    rig.limits = replace(UNBOUNDED, memory_budget=100_000)
    gone = rig.recover().gave_way
    assert {removed.queue_id for removed in gone} == set(queue_ids)
    assert rig.engine.shard.queues() == 0
    with pytest.raises(BadEventQueueId) as told:
        rig.poll(queue_ids[-1], user=299)
    assert told.value.data["reason"] == "memory"


def test_a_state_of_many_times_the_budget_is_never_in_memory() -> None:
    rig = Rig(limits=UNBOUNDED)
    for user in range(1000):
        rig.register(spec(user=user))
        publish_text(rig, user, number=user)
    rig.engine.final_snapshot()
    budget = 1_000_000
    rig.limits = replace(UNBOUNDED, memory_budget=budget)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        report = rig.recover()
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    # A slice of 5,000 us of effort has some 300 bodies of 10 kB, encoded, decoded, and in the list; so the peak has a
    # floor that the budget of a server is far above.
    assert len(report.gave_way) > 800
    assert peak < 9_000_000


def test_who_is_to_be_told_of_missed_messages_is_told_once_however_often_it_is_recovered() -> None:
    rig = Rig(limits=UNBOUNDED)
    rig.register(spec(user=12))
    rig.poll("queue-1", user=12)
    event = message_event(1, direct=True)
    event["message_dict"]["content"] = "x" * 20_000
    raw = notice(event, [recipient(12)])
    rig.engine.publish(decode_notices(raw), KeepingSlot[int]())
    rig.engine.final_snapshot()
    rig.limits = replace(UNBOUNDED, memory_budget=10_000)
    assert rig.recover().gave_way
    waiting = outbox(rig)
    rig.recover()
    assert outbox(rig) == waiting


def outbox(rig: Rig) -> int:
    """How many notifications wait."""
    count = 0
    for name in rig.engine.shard.outbox_queues():
        slot: KeepingSlot[OutboxPage] = KeepingSlot()
        rig.engine.read_outbox(name, after=0, limit=10, waiter=slot)
        count += slot.answer.waiting
    return count
