"""Bounds: what ends when a queue, a user or the shard has too much, and who is told (D8, D-13)."""

from dataclasses import replace
from typing import Any

import pytest

from support.core_rig import KeepingSlot, Poll, Rig, spec
from support.core_states import check_indexes
from support.events import flags, notice
from support.whole_messages import message_event, recipient
from tidewire.core.errors import BadEventQueueId, BadRequest, Unavailable
from tidewire.core.memory import BODY, ENTRY, QUEUE
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.records import Removed
from tidewire.core.shard import Shard
from tidewire.core.state.limits import Limits
from tidewire.core.transitions import removal

DEPLOY = {"type": "deploy"}


def reasons(rig: Rig) -> list[tuple[str, str]]:
    """The queues that records ended, and why."""
    return [(one.queue_id, one.reason) for one in rig.journal.records() if isinstance(one, Removed)]


def gone(rig: Rig, queue_id: str, user: int = 1) -> str:
    """Why a queue is gone."""
    with pytest.raises(BadEventQueueId) as refused:
        rig.poll(queue_id, user=user)
    return str(refused.value.data["reason"])


# One queue.


def test_a_queue_ends_with_the_event_that_is_one_too_many() -> None:
    rig = Rig(limits=Limits(max_events=3))
    queue_id = rig.register()
    rig.publish(DEPLOY, DEPLOY, DEPLOY)
    assert rig.poll(queue_id).ids == [0, 1, 2]
    rig.publish(DEPLOY)
    assert gone(rig, queue_id) == "overflow"
    assert reasons(rig) == [(queue_id, "overflow")]
    assert rig.engine.shard.statistics.removed["overflow"] == 1
    check_indexes(rig.engine.shard._state)


def test_what_is_acknowledged_does_not_count_nor_what_a_read_has_merged() -> None:
    rig = Rig(limits=Limits(max_events=4))
    queue_id = rig.register()
    for first in range(0, 30, 3):
        rig.publish(*(flags("add", "read", [first + number]) for number in range(3)))
        assert len(rig.poll(queue_id, first - 1).ids) == 1
    assert not reasons(rig)


def test_bytes_are_those_that_would_be_sent() -> None:
    rig = Rig(limits=Limits(max_bytes=1000))
    queue_id = rig.register()
    rig.publish({"type": "deploy", "text": "x" * 900})
    assert rig.poll(queue_id).ids == [0]
    rig.publish({"type": "deploy", "text": "x" * 50})
    assert gone(rig, queue_id) == "overflow"


def test_without_bounds_a_queue_takes_everything() -> None:
    rig = Rig(limits=Limits(max_bytes=0, max_events=0))
    queue_id = rig.register()
    rig.publish(*[DEPLOY] * 200)
    assert len(rig.poll(queue_id).ids) == 200


def test_only_the_queue_that_has_too_much_ends() -> None:
    rig = Rig(limits=Limits(max_events=2))
    reads, sleeps = rig.register(), rig.register()
    for number in range(4):
        rig.publish(DEPLOY)
        rig.poll(reads, number)
    assert reasons(rig) == [(sleeps, "overflow")]


def test_a_waiting_poll_gets_what_there_is_r2_26() -> None:
    rig = Rig(limits=Limits(max_events=2))
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    rig.publish(DEPLOY, DEPLOY, DEPLOY)
    assert waiting.ids == [0, 1, 2]
    assert gone(rig, queue_id) == "overflow"


def test_the_owner_is_notified_of_the_messages_that_are_lost_with_it_d13() -> None:
    rig = Rig(limits=Limits(max_events=1))
    rig.register()
    body = notice(message_event(1, direct=True), [recipient(1)])
    rig.engine.publish(decode_notices(body), KeepingSlot[int]())
    rig.publish(DEPLOY)
    (record,) = [one for one in rig.journal.records() if isinstance(one, Removed)]
    assert [one.message_id for one in record.notified] == [1]


def test_the_end_is_tried_again_when_it_could_not_be_written() -> None:
    rig = Rig(limits=Limits(max_events=1))
    queue_id = rig.register()
    rig.journal.room = 1
    rig.publish(DEPLOY, DEPLOY)
    assert not reasons(rig)
    rig.journal.room = None
    rig.wait(1)
    assert reasons(rig) == [(queue_id, "overflow")]


def test_a_lower_bound_ends_what_is_beyond_it_at_the_next_start() -> None:
    rig = Rig()
    long, short = rig.register(), rig.register(spec(user=2))
    rig.publish(DEPLOY, DEPLOY)
    rig.limits = Limits(max_events=1)
    rig.recover()
    assert reasons(rig) == [(long, "overflow")]
    assert rig.poll(short, user=2).ids == []


# One user.


def test_at_the_bound_the_queue_that_is_idle_for_longest_ends() -> None:
    rig = Rig(limits=Limits(max_per_user=2))
    first, second, other = rig.register(), rig.register(), rig.register(spec(user=2))
    rig.wait(1)
    rig.poll(first)
    third = rig.register()
    assert reasons(rig) == [(second, "limit")]
    assert gone(rig, second) == "limit"
    assert [rig.poll(queue_id).ids for queue_id in (first, third)] == [[], []]
    assert rig.poll(other, user=2).ids == []


def test_one_with_a_waiting_poll_does_not_end_and_when_all_wait_nothing_is_made_r6_56() -> None:
    rig = Rig(limits=Limits(max_per_user=1))
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    with pytest.raises(BadRequest, match="Could not allocate event queue") as refused:
        rig.register()
    assert (refused.value.code, refused.value.data) == ("BAD_REQUEST", {"reason": "limit"})
    assert not waiting.answered
    assert rig.engine.shard.statistics.turned_away == {"register": 1}
    rig.engine.poll_disconnected(queue_id, waiting)
    rig.register()
    assert reasons(rig) == [(queue_id, "limit")]


def test_a_lower_bound_ends_as_many_as_it_takes() -> None:
    rig = Rig()
    queue_ids = [rig.register() for _ in range(4)]
    rig.limits = Limits(max_per_user=2)
    rig.recover()
    rig.register()
    assert reasons(rig) == [(queue_id, "limit") for queue_id in queue_ids[:3]]


def test_a_registration_that_is_wrong_ends_nothing() -> None:
    rig = Rig(limits=Limits(max_per_user=1))
    rig.register()
    wrong = type(spec())(user_id=spec().user_id, realm_id=spec().realm_id, narrow=(("near", "1"),))
    with pytest.raises(BadRequest):
        rig.register(wrong)
    assert not reasons(rig)


# The shard.

TEXT = {"type": "deploy", "text": "x" * 10_000}
BODY_SIZE = 10_000 + len('{"type":"deploy","text":""') + BODY


def budget(queues: int, bodies: float, entries: int = 0) -> Limits:
    """Room for so much."""
    return Limits(memory_budget=round(queues * QUEUE + bodies * BODY_SIZE + entries * ENTRY), explain_bytes=0)


def test_the_queue_whose_oldest_event_has_waited_for_longest_gives_way() -> None:
    rig = Rig(limits=budget(queues=3, bodies=2.5))
    queue_ids = [rig.register(spec(user=user)) for user in range(3)]
    for user in (1, 0):
        rig.publish(TEXT, users=[user])
        rig.wait(1)
    assert not reasons(rig)
    rig.publish(TEXT, users=[2])
    assert reasons(rig) == [(queue_ids[1], "memory")]
    assert gone(rig, queue_ids[1]) == "memory"
    assert rig.engine.shard.statistics.removed["memory"] == 1
    check_indexes(rig.engine.shard._state)


def test_a_shared_body_counts_once_and_goes_with_its_last_queue() -> None:
    rig = Rig(limits=budget(queues=3, bodies=1.2, entries=3))
    for user in range(3):
        rig.register(spec(user=user))
    rig.publish(TEXT, users=range(3))
    assert not reasons(rig)
    # All three hold what has to go.
    rig.publish(TEXT, users=[2])
    assert [reason for _, reason in reasons(rig)] == ["memory"] * 3


def test_the_log_says_once_a_tick_how_many_queues_gave_way() -> None:
    rig = Rig(limits=budget(queues=3, bodies=1.2, entries=3))
    for user in range(3):
        rig.register(spec(user=user))
    rig.publish(TEXT, users=range(3))
    rig.publish(TEXT, users=[2])
    assert rig.reporter.gave_way == []
    rig.engine.tick()
    rig.engine.tick()
    assert rig.reporter.gave_way == [{"memory": 3}]


def test_what_is_acknowledged_gives_room() -> None:
    rig = Rig(limits=budget(queues=1, bodies=1.5, entries=2))
    queue_id = rig.register()
    for number in range(20):
        rig.publish(TEXT)
        assert rig.poll(queue_id, number - 1).ids == [number]
        rig.poll(queue_id, number)
    assert not reasons(rig)


def test_a_client_that_waits_gives_way_last_and_an_empty_queue_not_at_all() -> None:
    rig = Rig(limits=budget(queues=3, bodies=0.5))
    empty, waits, sleeps = (rig.register(spec(user=user)) for user in range(3))
    waiting = rig.poll(waits, user=1, block=True)
    rig.publish(TEXT, users=[1, 2])
    ended = [queue_id for queue_id, _ in reasons(rig)]
    assert ended == [sleeps, waits]
    assert waiting.ids == [0]
    assert rig.poll(empty, user=0).ids == []


def test_when_nothing_is_left_to_give_way_new_things_are_refused_until_there_is_room() -> None:
    rig = Rig(limits=budget(queues=3, bodies=0))
    rig.publish_as("taken before", DEPLOY)
    first, second = rig.register(), rig.register()
    rig.register(spec(user=2))
    assert not reasons(rig)
    for refused in (rig.register, lambda: rig.publish(DEPLOY)):
        with pytest.raises(Unavailable) as caught:
            refused()
        assert (caught.value.http_status, dict(caught.value.headers)) == (503, {"Retry-After": "1"})
    assert rig.engine.shard.statistics.turned_away == {"register": 1, "publish": 1}
    # A retry of what was taken is confirmed, and ending queues is always possible.
    rig.publish_as("taken before", DEPLOY)
    rig.publish({"type": "cleanup_queue", "queue_id": first})
    rig.delete(second)
    rig.wait(1)
    rig.publish(DEPLOY)
    rig.register()


def test_without_a_budget_nothing_gives_way() -> None:
    rig = Rig()
    rig.register()
    for _ in range(50):
        rig.publish(TEXT)
    assert not reasons(rig)


def test_the_end_for_memory_is_tried_again_when_it_could_not_be_written() -> None:
    rig = Rig(limits=budget(queues=1, bodies=0.5))
    queue_id = rig.register()
    rig.journal.room = 1
    rig.publish(TEXT)
    assert not reasons(rig)
    rig.journal.room = None
    rig.wait(1)
    assert reasons(rig) == [(queue_id, "memory")]


def test_no_more_gives_way_while_a_snapshot_holds_what_goes() -> None:
    rig = Rig(limits=budget(queues=10, bodies=14.5, entries=10))
    queue_ids = [rig.register(spec(user=user)) for user in range(10)]
    for user in range(10):
        rig.publish({**TEXT, "user": user}, users=[user])
        rig.wait(1)
    capture = rig.engine.shard.capture()
    while not capture.done:
        capture.take(position=0, now=0.0, effort=10.0)
    rig.publish(*({**TEXT, "user": user} for user in range(10, 13)), users=[9])
    memory = rig.engine.shard._state.memory
    assert memory.promised > 0
    assert reasons(rig) == [(queue_id, "memory") for queue_id in queue_ids[: len(reasons(rig))]]
    assert 1 <= len(reasons(rig)) <= 4
    held = memory.counted(0)
    capture.end()
    assert memory.counted(0) <= held
    assert memory.promised == 0


def test_deciding_who_gives_way_changes_neither_the_account_nor_the_queues() -> None:
    rig = Rig(limits=Limits(explain_bytes=1000))
    for user in range(10):
        rig.register(spec(user=user))
        rig.publish({**TEXT, "user": user}, users=[user])
    rig.delete(rig.register())
    shard = rig.engine.shard
    state = shard._state
    capture = shard.capture()
    while not capture.done:
        capture.take(position=0, now=0.0, effort=10.0)
    state.limits = replace(state.limits, memory_budget=int(state.memory.counted(10) * 0.7))
    known = {1: 2}

    def account() -> tuple[Any, ...]:
        memory = state.memory
        queues = [(queue.queue_id, len(queue.queue), queue.queue.since) for queue in state.directory]
        parts = memory.parts(len(queues)), memory.promised, memory.exhausted, dict(memory.marks)
        return parts, queues, len(state.ended), dict(state.statistics.gave_way), known

    before = account()
    first = removal.decide_pressure(state, 0.0, known)
    assert account() == before
    assert removal.decide_pressure(state, 0.0, known) == first
    assert first.ends
    assert first.held > 0
    shard.note_giving_way(first)
    assert state.memory.promised == first.held
    capture.end()


def test_what_explains_ended_queues_is_given_up_before_any_queue_is_looked_at() -> None:
    rig = Rig(limits=Limits(explain_bytes=1000))
    rig.delete(rig.register())
    shard = rig.engine.shard
    shard.free_memory()
    assert len(shard._state.ended) == 1
    shard._state.limits = replace(shard._state.limits, memory_budget=1)
    shard.free_memory()
    assert len(shard._state.ended) == 0
    assert shard.statistics.gave_way == {"explanations": 1}
    assert not shard.decide_pressure(now=0.0).ends


def test_recovery_ends_what_records_ended_and_nothing_else() -> None:
    rig = Rig(limits=budget(queues=3, bodies=1.5, entries=3))
    for user in range(3):
        rig.register(spec(user=user))
        rig.publish(TEXT, users=[user])
    ended = reasons(rig)
    assert ended
    rig.recover()
    assert reasons(rig) == ended
    check_indexes(rig.engine.shard._state)


def test_what_the_memory_of_a_partly_read_queue_waits_for_is_what_is_left() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(DEPLOY)
    queue: Any = rig.engine.shard.find(queue_id)
    begun = rig.clock.time
    assert queue.queue.since == begun
    rig.clock.time += 10
    rig.poll(queue_id)
    rig.clock.time += 10
    rig.publish(DEPLOY)
    rig.poll(queue_id, 0)
    # It came after the answer that is acknowledged now.
    assert queue.queue.since == begun + 10


def test_what_merging_made_is_counted_and_goes_when_it_is_acknowledged() -> None:
    """D8: in recovery as well."""
    rig = Rig()
    queue_id = rig.register()
    for start in (0, 20_000):
        rig.publish(flags("add", "read", list(range(start, start + 20_000))))
    size = sum(len(body) + BODY for _, body, _ in rig.poll(queue_id).answer.entries)
    again: Shard[Poll] = Shard()
    for record in rig.journal.records():
        again.apply(record)
    for shard in (rig.engine.shard, again):
        assert settled_bodies(shard) == size
    rig.poll(queue_id, 1)
    assert settled_bodies(rig.engine.shard) == 0


def settled_bodies(shard: Shard[Any]) -> int:
    """Bytes of bodies in the account, once what is gone has been noticed."""
    for _ in range(2):
        shard.account(resident=0)
    return shard._state.memory.bodies
