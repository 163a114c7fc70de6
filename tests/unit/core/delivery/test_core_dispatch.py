"""One notice on its way into queues (sections 4.0, 4.13 and 4.14)."""

from support.core_rig import KeepingSlot, Rig, spec
from support.events import notice
from tidewire.core.delivery.processors import PROCESSORS, cleanup_queue, generic, processor_for
from tidewire.core.notices.request_body import decode_notices

DEPLOY = {"type": "deploy"}


def test_an_unknown_type_is_delivered_to_each_queue_of_each_user_r4_50_r4_51() -> None:
    rig = Rig()
    queue_ids = [rig.register(spec(user=user)) for user in (1, 1, 2, 3)]
    rig.publish({"type": "of tomorrow"}, users=(1, 2, 9))
    answers = [
        rig.poll(queue_id, user=user).ids for queue_id, user in zip(queue_ids, (1, 1, 2, 3), strict=True)
    ]
    assert answers == [[0], [0], [0], []]
    assert rig.engine.shard.statistics.delivered == 3


def test_a_user_who_is_listed_twice_is_served_once_d11() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(DEPLOY, users=(1, 1))
    assert rig.poll(queue_id).ids == [0]


def test_a_notice_with_a_realm_skips_and_counts_queues_of_others_r0_5() -> None:
    rig = Rig()
    inside, outside = rig.register(spec(realm=1)), rig.register(spec(realm=2))
    rig.engine.publish(decode_notices(notice(DEPLOY, realm_id=1)), KeepingSlot[int]())
    assert (rig.poll(inside).ids, rig.poll(outside).ids) == ([0], [])
    assert rig.engine.shard.statistics.foreign_realm == 1


def test_a_refused_event_takes_no_id_and_is_counted_with_the_rule() -> None:
    rig = Rig()
    queue_id = rig.register(spec(types=["deploy"]))
    rig.publish({"type": "other"}, DEPLOY)
    assert rig.poll(queue_id).ids == [0]
    assert rig.engine.shard.statistics.refused == {"event_types": 1}


def test_a_cleanup_notice_ends_its_users_queue_and_answers_who_waits_r4_49() -> None:
    rig = Rig()
    queue_id, other = rig.register(), rig.register()
    waiting = rig.poll(queue_id, block=True)
    rig.publish({"type": "cleanup_queue", "queue_id": queue_id}, users=(2,))
    assert not waiting.answered
    rig.publish({"type": "cleanup_queue", "queue_id": queue_id})
    assert waiting.ids == []
    assert rig.engine.shard.find(queue_id) is None
    rig.publish({"type": "cleanup_queue", "queue_id": queue_id}, {"type": "cleanup_queue"})
    assert rig.poll(other).ids == []
    assert not rig.reporter.failures


def test_a_cleanup_notice_for_no_queue_of_its_users_is_told_of_and_no_failure_r11_11() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish({"type": "cleanup_queue", "queue_id": queue_id}, users=(2,))
    rig.publish({"type": "cleanup_queue", "queue_id": "gone"})
    rig.publish({"type": "cleanup_queue", "queue_id": queue_id})
    assert [failure.queue_id for failure in rig.reporter.unknown_queues] == [queue_id, "gone"]
    assert not rig.reporter.failures
    assert rig.engine.shard.statistics.broken == 0


def test_a_queue_that_a_notice_ends_gives_its_waiter_the_events_of_the_same_batch() -> None:
    rig = Rig()
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    rig.publish(DEPLOY, {"type": "cleanup_queue", "queue_id": queue_id}, DEPLOY)
    assert waiting.ids == [0]


def test_processors_are_found_by_type() -> None:
    assert processor_for("cleanup_queue") is cleanup_queue.process
    assert processor_for("anything") is generic.process
    assert "anything" not in PROCESSORS
