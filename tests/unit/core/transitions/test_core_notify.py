"""Who is told of messages, and when: at once, when queues end or go offline, and never twice (section 5)."""

import inspect
import re
from typing import Any

import pytest

from support.core_rig import KeepingSlot, Rig, spec
from support.core_states import durable_form, recovered
from support.events import Json, notice
from support.whole_messages import edit_event, message_event, recipient, recipients
from tidewire.core.delivery.processors import PROCESSORS
from tidewire.core.errors import InvalidNotice, Unavailable
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.notifications.candidates import NOBODY
from tidewire.core.notifications.decisions import PendingNotification
from tidewire.core.notifications.outbox import OutboxPage
from tidewire.core.notifications.worker_records import EMAIL_QUEUE, MOBILE_QUEUE, wire_record
from tidewire.core.persistence.snapshot import decode_snapshot, encode_snapshot
from tidewire.core.records import NOTIFYING, REASONS, Published
from tidewire.core.state.limits import Limits
from tidewire.core.transitions.publish_batch import DEPENDENCES, QUEUES, split_batches

PUSH = {"user_profile_id": 1, "message_id": 7, "trigger": "direct_message", "type": "add"}
EMAIL = {"user_profile_id": 1, "message_id": 7, "trigger": "direct_message"}
NO_GROUP = {"mentioned_user_group_id": None}
COLLECTED = 60
"""Seconds that include a run of the collector, whenever it ran last."""


class Told(Rig):
    """A rig whose outbox is read."""

    def send(self, event: Json, users: list[int] | list[Json] | None = None) -> None:
        """Publishes one event to objects as users."""
        self.publish_all([{"event": event, "users": users or recipients([1])}])

    def publish_all(self, notices: list[Json]) -> None:
        """Publishes notices in one batch."""
        raw = b"\n".join(notice(each["event"], each["users"]) for each in notices)
        self.engine.publish(decode_notices(raw), KeepingSlot[int]())

    def take(self) -> list[tuple[str, Json]]:
        """What waits for the workers, kind and record; it is acknowledged."""
        taken = []
        for queue, kind in ((MOBILE_QUEUE, "push"), (EMAIL_QUEUE, "email")):
            page = self.engine.shard.outbox_page(queue, after=0, limit=1000)
            taken += [(kind, wire_record(record)) for _, record in page.records]
            if page.records:
                self.engine.acknowledge_outbox(queue, through=page.records[-1][0], waiter=KeepingSlot[int]())
        return taken

    def kinds(self) -> list[tuple[str, int]]:
        """The same in short: kind and message."""
        return [(kind, record["message_id"]) for kind, record in self.take()]


def direct(message_id: int = 7, **inputs: Any) -> Json:
    return message_event(message_id, direct=True, **inputs)


BOTH = [("push", 7), ("email", 7)]


@pytest.fixture
def rig() -> Told:
    return Told(limits=Limits(offline_after=600))


# When the message comes.


def test_who_has_no_queue_is_told_at_once_in_the_forms_of_r5_18_and_r5_19(rig: Told) -> None:
    rig.send(direct())
    assert rig.take() == [("push", PUSH | NO_GROUP), ("email", EMAIL | NO_GROUP)]
    assert (rig.engine.shard.statistics.pushes, rig.engine.shard.statistics.emails) == (
        {"direct_message": 1},
        {"direct_message": 1},
    )


def test_who_has_a_queue_is_not_whether_a_poll_waits_or_not_r5_12(rig: Told) -> None:
    queue_id = rig.register()
    rig.send(direct())
    rig.poll(queue_id, block=True)
    rig.send(direct())
    assert rig.take() == []


def test_a_queue_that_takes_no_messages_does_not_count_r5_12(rig: Told) -> None:
    rig.register(spec(types=["presence"]))
    rig.send(direct())
    assert rig.kinds() == BOTH


def test_who_is_idle_for_the_application_is_told_although_a_queue_is_there_r5_11(rig: Told) -> None:
    rig.register()
    rig.send(direct(presence_idle_user_ids=[1]))
    assert rig.kinds() == BOTH


def test_who_wants_pushes_while_online_gets_no_email_then_r5_7(rig: Told) -> None:
    rig.register()
    rig.send(direct(online_push_user_ids=[1]))
    assert rig.kinds() == [("push", 7)]


def test_the_group_that_mentions_is_passed_on_r5_9(rig: Told) -> None:
    rig.send(message_event(7), [recipient(1, "mentioned", group=14)])
    assert [record["mentioned_user_group_id"] for _, record in rig.take()] == [14, 14]


def test_a_user_who_is_listed_twice_is_told_once(rig: Told) -> None:
    rig.send(direct(), recipients([1, 1]))
    assert rig.kinds() == BOTH


def test_whoever_follows_public_channels_is_not_told_for_that_r5_23(rig: Told) -> None:
    rig.send(message_event(7, realm_id=1, stream_name="ops", stream_push_user_ids=[1]), recipients([2]))
    assert rig.take() == []


def test_an_edit_tells_who_is_gone_and_leaves_queues_as_they_are_r5_27(rig: Told) -> None:
    queue_id = rig.register()
    rig.send(message_event(7), recipients([1], "mentioned"))
    rig.send(edit_event(7, presence_idle_user_ids=[1]), recipients([1], "mentioned"))
    assert rig.kinds() == BOTH
    rig.delete(queue_id)
    assert rig.kinds() == BOTH


# When the last queue goes (R5.30-R5.36).


def test_the_last_queue_that_expires_tells_what_was_not_acknowledged_c18(rig: Told) -> None:
    queue_id = rig.register()
    for message_id in (7, 8, 9):
        rig.send(direct(message_id))
    rig.poll(queue_id, rig.poll(queue_id).ids[0])
    rig.wait(600 + COLLECTED)
    assert rig.kinds() == [("push", 8), ("push", 9), ("email", 8), ("email", 9)]


def test_queues_that_expire_together_tell_each_message_once_d5_c18(rig: Told) -> None:
    first, _ = rig.register(), rig.register()
    rig.send(direct(7))
    rig.poll(first, 0)
    rig.send(direct(8))
    rig.wait(600 + COLLECTED)
    assert sorted(rig.kinds()) == [("email", 7), ("email", 8), ("push", 7), ("push", 8)]


def test_only_the_last_queue_tells(rig: Told) -> None:
    first, second = rig.register(), rig.register()
    rig.send(direct())
    rig.delete(first)
    assert rig.take() == []
    rig.delete(second)
    assert rig.kinds() == BOTH


@pytest.mark.parametrize("offline_after", [0.0, 600.0])
def test_a_queue_that_takes_no_messages_keeps_nobody_from_being_told_d6_c18(offline_after: float) -> None:
    rig = Told(limits=Limits(offline_after=offline_after))
    rig.register(spec(types=["presence"], idle=100_000))
    rig.register()
    rig.send(direct())
    rig.wait(600 + COLLECTED)
    assert rig.kinds() == BOTH


def test_an_offline_queue_keeps_nobody_from_being_told_d6(rig: Told) -> None:
    rig.register(spec(idle=100_000))
    rig.wait(600 + COLLECTED)
    rig.register()
    rig.send(direct())
    rig.wait(600 + COLLECTED)
    assert rig.kinds() == BOTH


def test_an_offline_queue_that_ends_together_with_another_changes_nothing(rig: Told) -> None:
    rig.register(spec(idle=1400))
    rig.send(direct(7))
    rig.wait(800)
    assert rig.kinds() == BOTH
    rig.register(spec(idle=600))
    rig.send(direct(8))
    rig.wait(600 + COLLECTED)
    assert rig.engine.shard.queues() == 0
    assert rig.kinds() == [("push", 8), ("email", 8)]


def test_a_long_lived_queue_tells_when_it_goes_offline_and_not_when_it_expires_c19(rig: Told) -> None:
    queue_id = rig.register(spec(idle=5000))
    rig.send(direct())
    rig.wait(600 + COLLECTED)
    assert rig.kinds() == BOTH
    descriptor = rig.engine.shard.find(queue_id)
    assert descriptor is not None
    assert descriptor.offline
    assert len(descriptor.queue) == 1
    rig.wait(5000)
    assert rig.engine.shard.find(queue_id) is None
    assert rig.take() == []


def test_a_second_offline_period_does_not_repeat_it_d7(rig: Told) -> None:
    queue_id = rig.register(spec(idle=100_000))
    rig.send(direct())
    rig.wait(600 + COLLECTED)
    assert rig.kinds() == BOTH
    assert rig.poll(queue_id).ids == [0], "offline queues stay readable"
    rig.send(direct(8))
    assert rig.take() == []
    rig.wait(600 + COLLECTED)
    assert rig.kinds() == [("push", 8), ("email", 8)]


def test_what_was_sent_when_the_message_came_is_not_sent_again_d24_r5_31(rig: Told) -> None:
    queue_id = rig.register()
    rig.send(direct(online_push_user_ids=[1]))
    assert rig.kinds() == [("push", 7)]
    rig.delete(queue_id)
    assert rig.kinds() == [("email", 7)]


def test_a_mark_reaches_the_queues_that_are_left(rig: Told) -> None:
    long_lived = rig.register(spec(idle=100_000))
    rig.send(direct())
    rig.wait(600 + COLLECTED)
    short = rig.register()
    rig.poll(long_lived)
    rig.send(direct(8))
    rig.wait(600 + COLLECTED)
    assert sorted(rig.kinds()) == sorted([*BOTH, ("push", 8), ("email", 8)])
    rig.poll(long_lived)
    rig.delete(long_lived)
    assert rig.engine.shard.find(short) is None
    assert rig.take() == []


def test_a_cleanup_notice_tells_too_r2_26(rig: Told) -> None:
    queue_id = rig.register()
    rig.send(direct())
    rig.send({"type": "cleanup_queue", "queue_id": queue_id}, [1])
    assert rig.kinds() == BOTH


def test_a_cleanup_notice_for_anothers_queue_tells_nothing_r4_49(rig: Told) -> None:
    queue_id = rig.register()
    rig.send(direct())
    rig.send({"type": "cleanup_queue", "queue_id": queue_id}, [2])
    rig.send({"type": "cleanup_queue", "queue_id": 5}, [1])
    assert rig.take() == []


def test_who_has_lost_the_right_is_told_nothing(rig: Told) -> None:
    rig.register()
    rig.send(direct())
    rig.engine.revoke([UserId(1)])
    assert rig.take() == []


def test_every_reason_says_whether_it_tells() -> None:
    assert set(NOTIFYING) == set(REASONS)


# Batches.


def test_messages_behind_the_end_of_a_queue_are_decided_without_it(rig: Told) -> None:
    queue_id = rig.register()
    cleanup = {"type": "cleanup_queue", "queue_id": queue_id}
    rig.publish_all(
        [
            {"event": direct(7), "users": [1]},
            {"event": cleanup, "users": [1]},
            {"event": {"type": "deploy"}, "users": [1]},
            {"event": direct(8), "users": [1]},
        ]
    )
    assert rig.kinds() == [("push", 7), ("push", 8), ("email", 7), ("email", 8)]
    records = [record for record in rig.journal.records() if isinstance(record, Published)]
    assert [len(record.notices) for record in records] == [1, 2, 1]


def test_an_ordinary_batch_stays_one_record(rig: Told) -> None:
    events = [direct(7), {"type": "deploy"}, edit_event(7), direct(8)]
    rig.publish_all([{"event": event, "users": [1]} for event in events])
    assert [len(record.notices) for record in rig.journal.records() if isinstance(record, Published)] == [4]


def test_what_nothing_rests_on_parts_nothing() -> None:
    ending = notice({"type": "cleanup_queue", "queue_id": "x"})
    batch = decode_notices(b"\n".join([notice({"type": "deploy"}), ending, notice({"type": "deploy"})]))
    assert [len(part.notices) for part in split_batches(batch, [NOBODY] * 3)] == [3]
    assert split_batches([], []) == []


def test_whatever_ends_queues_is_in_the_table_of_dependences() -> None:
    ending = {
        kind
        for kind, process in PROCESSORS.items()
        if re.search(
            r"dispatch\.(remove_queue|revoke_user|restore_user)",
            inspect.getsource(inspect.getmodule(process) or process),
        )
    }
    assert ending == {kind for kind, dependence in DEPENDENCES.items() if QUEUES in dependence.changes}


def test_a_notice_that_cant_be_read_refuses_the_whole_batch_and_names_its_place(rig: Told) -> None:
    queue_id = rig.register()
    before = len(rig.journal.written)
    cleanup = {"type": "cleanup_queue", "queue_id": queue_id}
    wrong = direct(8, online_push_user_ids="1")
    with pytest.raises(InvalidNotice) as caught:
        rig.publish_all([{"event": event, "users": [1]} for event in (direct(7), cleanup, wrong)])
    assert caught.value.data["index"] == 2
    assert len(rig.journal.written) == before
    assert rig.take() == []


def test_a_journal_that_fails_behind_a_first_part_keeps_nobody_of_it_waiting(rig: Told) -> None:
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    rig.journal.room = 1
    cleanup = {"type": "cleanup_queue", "queue_id": queue_id}
    with pytest.raises(Unavailable):
        rig.publish_all([{"event": event, "users": [1]} for event in (direct(7), cleanup)])
    assert waiting.ids == [0]
    assert rig.engine.shard.find(queue_id) is not None


def test_a_contradictory_notice_is_reported_and_carried_out_r5_5(rig: Told) -> None:
    rig.send(direct(stream_push_user_ids=[1]))
    assert rig.kinds() == BOTH
    assert rig.reporter.contradictions == [7]


# The outbox and the journal.


def test_a_worker_is_shown_only_what_is_durable(rig: Told) -> None:
    rig.journal.lags = True
    rig.send(direct())
    read: KeepingSlot[OutboxPage] = KeepingSlot()
    rig.engine.read_outbox(EMAIL_QUEUE, after=0, limit=1, waiter=read)
    taken: KeepingSlot[int] = KeepingSlot()
    rig.engine.acknowledge_outbox(EMAIL_QUEUE, through=1, waiter=taken)
    assert not read.answered
    assert not taken.answered
    rig.journal.sync(1)
    rig.engine.durable_moved()
    assert len(read.answer.records) == 1
    assert not taken.answered
    rig.journal.sync()
    rig.engine.durable_moved()
    assert taken.answer == 1


def test_what_a_worker_has_taken_is_not_dropped_when_the_journal_fails(rig: Told) -> None:
    rig.send(direct())
    rig.journal.fails = True
    with pytest.raises(Unavailable):
        rig.engine.acknowledge_outbox(EMAIL_QUEUE, through=1, waiter=KeepingSlot[int]())
    rig.journal.fails = False
    assert rig.kinds() == BOTH


def test_losses_are_counted_and_reported_once_a_tick() -> None:
    rig = Told(limits=Limits(outbox_max=2))
    for message_id in (7, 8, 9):
        rig.send(direct(message_id))
    assert rig.reporter.lost == []
    rig.wait(3)
    assert rig.reporter.lost == [4]
    assert rig.engine.shard.statistics.notifications_lost == 4


# Recovery, snapshots, and what must not get out.


def lived(rig: Told) -> QueueId:
    """Something of everything: told at once, when offline, marked, and untold."""
    queue_id = rig.register(spec(idle=100_000))
    rig.send(direct(7, online_push_user_ids=[1]))
    rig.wait(600 + COLLECTED)
    rig.poll(queue_id)
    rig.send(direct(8))
    rig.send(message_event(9), [recipient(1, "mentioned", group=3)])
    return queue_id


def test_records_alone_give_the_same_outbox_and_marks_d4(rig: Told) -> None:
    lived(rig)
    rig.wait(1)
    again = recovered(None, rig.journal.records(), limits=rig.limits)
    assert durable_form(again._state) == durable_form(rig.engine.shard._state)


def test_recovery_decides_nothing_again_d4(rig: Told) -> None:
    """The poll that shows that somebody is there is written down only with the next tick."""
    queue_id = rig.register(spec(idle=100_000))
    rig.wait(600 + COLLECTED)
    rig.poll(queue_id)
    rig.send(direct())
    again = recovered(None, rig.journal.records(), limits=rig.limits)
    assert rig.take() == []
    assert len(again._state.outbox) == 0


def test_a_restart_keeps_what_may_have_been_missed_r10_10_r10_12(rig: Told) -> None:
    queue_id = lived(rig)
    rig.take()
    rig.restart(decode_snapshot(encode_snapshot(rig.engine.snapshot())), [], resumed=False)
    rig.wait(300)
    assert rig.take() == []
    rig.delete(queue_id)
    assert rig.kinds() == [("push", 8), ("push", 9), ("email", 8), ("email", 9)]


def test_the_outbox_survives_a_restart_with_its_positions(rig: Told) -> None:
    lived(rig)
    before = rig.engine.shard.snapshot(now=0.0).outbox
    rig.restart(decode_snapshot(encode_snapshot(rig.engine.snapshot())), [], resumed=False)
    assert rig.engine.shard.snapshot(now=0.0).outbox == before


def test_equal_marks_are_one_object_for_all_queues_live_and_restored(rig: Told) -> None:
    queue_ids = [rig.register(spec(idle=5000)) for _ in range(3)]
    rig.send(direct())
    for _ in range(2):
        kept: list[PendingNotification] = []
        for queue_id in queue_ids:
            descriptor = rig.engine.shard.find(queue_id)
            assert descriptor is not None
            assert descriptor.queue.missed is not None
            kept += descriptor.queue.missed.values()
        assert len(kept) == 3
        assert len({id(missed) for missed in kept}) == 1
        rig.restart(decode_snapshot(encode_snapshot(rig.engine.snapshot())), [], resumed=False)


def test_only_entries_of_candidates_keep_anything(rig: Told) -> None:
    queue_ids = [rig.register(), rig.register(spec(user=2)), rig.register(spec(types=["message"]))]
    rig.send(message_event(7, sender=2), [recipient(1, "read"), recipient(2)])
    rig.publish({"type": "deploy"})
    for queue_id in queue_ids:
        descriptor = rig.engine.shard.find(queue_id)
        assert descriptor is not None
        assert descriptor.queue.missed is None


def test_what_is_acknowledged_is_dropped_with_its_entry(rig: Told) -> None:
    queue_id = rig.register()
    rig.send(direct(7))
    rig.send(direct(8))
    descriptor = rig.engine.shard.find(queue_id)
    assert descriptor is not None
    rig.poll(queue_id, rig.poll(queue_id).ids[0])
    assert descriptor.queue.missed is not None
    assert [missed.message_id for missed in descriptor.queue.missed.values()] == [8]
    rig.poll(queue_id, 1)
    assert descriptor.queue.missed is None


def test_internal_data_reaches_no_client_r1_22_r4_19(rig: Told) -> None:
    """What stands in the queue is byte for byte what stands there for a user who can't be notified."""
    first, second = rig.register(), rig.register(spec(user=2))
    rig.send(direct(muted_sender_user_ids=[2]), recipients([1, 2]))
    answers = [rig.poll(first).answer.entries, rig.poll(second, user=2).answer.entries]
    assert list(answers[0]) == list(answers[1])
    descriptor = rig.engine.shard.find(first)
    assert descriptor is not None
    assert descriptor.queue.missed is not None
