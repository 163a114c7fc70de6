"""What a tick decides: heartbeats, expiry, offline marking, and forgetting (sections 1.4 and 2.6)."""

import pytest

from support.core_rig import KeepingSlot, Rig, spec
from support.events import notice
from tidewire.core.errors import BadEventQueueId, BadRequest
from tidewire.core.ids import UserId
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.shard import Shard
from tidewire.core.state.limits import Limits
from tidewire.engine.engine import PollWaiter
from tidewire.engine.timing import EngineTiming

DEPLOY = {"type": "deploy"}


def queue_of(rig: Rig, queue_id: str) -> Descriptor[PollWaiter]:
    """A queue that is there."""
    descriptor = rig.engine.shard.find(queue_id)
    assert descriptor is not None
    return descriptor


def collecting(**limits: float) -> Rig:
    """A rig that collects every second."""
    return Rig(
        limits=Limits(offline_after=limits.get("offline_after", 0)), timing=EngineTiming(collect_every=1)
    )


def test_a_queue_expires_when_nobody_polled_it_for_its_idle_timeout_r2_22() -> None:
    rig = collecting()
    queue_id = rig.register(spec(idle=100))
    rig.wait(99)
    assert rig.engine.shard.find(queue_id) is not None
    rig.wait(2)
    with pytest.raises(BadEventQueueId):
        rig.poll(queue_id)
    assert rig.engine.shard.statistics.removed == {"expired": 1}


def test_a_queue_with_a_waiting_poll_is_not_idle() -> None:
    rig = collecting()
    queue_id = rig.register(spec(idle=10))
    rig.poll(queue_id, block=True)
    rig.wait(40)
    assert rig.engine.shard.find(queue_id) is not None


def test_the_idle_time_starts_when_a_poll_ends_d4() -> None:
    rig = collecting()
    queue_id = rig.register(spec(idle=10))
    waiting = rig.poll(queue_id, block=True)
    rig.wait(30)
    rig.engine.poll_disconnected(queue_id, waiting)
    rig.wait(9)
    assert rig.engine.shard.find(queue_id) is not None
    rig.wait(2)
    assert rig.engine.shard.find(queue_id) is None


def test_an_owner_counts_as_gone_after_ten_minutes_and_the_queue_lives_on_r2_23() -> None:
    rig = collecting(offline_after=600)
    queue_id = rig.register(spec(idle=5000))
    rig.wait(599)
    assert not queue_of(rig, queue_id).offline
    rig.wait(2)
    assert queue_of(rig, queue_id).offline
    rig.wait(4390)
    assert rig.poll(queue_id).ids == []


def test_a_poll_brings_an_owner_back_and_they_can_be_gone_again_r2_27() -> None:
    rig = collecting(offline_after=600)
    queue_id = rig.register(spec(idle=604_800))
    for _ in range(3):
        rig.wait(602)
        assert queue_of(rig, queue_id).offline
        rig.poll(queue_id)
        assert not queue_of(rig, queue_id).offline
        rig.wait(590)
        assert not queue_of(rig, queue_id).offline


def test_a_queue_whose_time_is_up_expires_instead_of_being_marked_offline() -> None:
    rig = Rig(limits=Limits(offline_after=600), timing=EngineTiming(collect_every=0))
    queue_id = rig.register(spec(idle=600))
    rig.clock.time += 700
    assert rig.engine.collect() == (queue_id,)


def test_the_time_that_the_server_was_stopped_is_no_idle_time_d4() -> None:
    rig = collecting()
    queue_id = rig.register(spec(idle=100))
    rig.wait(50)
    image = rig.engine.snapshot()
    rig.clock.time += 100_000
    rig.restart(image, [], resumed=False)
    rig.wait(49)
    assert rig.engine.shard.find(queue_id) is not None
    rig.wait(3)
    assert rig.engine.shard.find(queue_id) is None


def test_the_time_that_the_server_was_down_after_a_crash_is_no_idle_time_d4() -> None:
    rig = collecting()
    queue_id = rig.register(spec(idle=100))
    rig.wait(50)
    rig.publish({"type": "deploy"})
    rig.clock.time += 100_000
    rig.restart(None, rig.journal.records(), resumed=True)
    rig.wait(49)
    assert rig.engine.shard.find(queue_id) is not None
    rig.wait(3)
    assert rig.engine.shard.find(queue_id) is None


def test_heartbeats_are_decided_for_waiting_queues_only() -> None:
    rig = Rig()
    waiting = rig.poll(rig.register(), block=True)
    idle = rig.register()
    rig.wait(60)
    assert [event["type"] for event in waiting.events] == ["heartbeat"]
    assert rig.poll(idle).ids == []
    assert rig.engine.shard.statistics.heartbeats == 1


def test_a_heartbeat_counts_from_the_poll_that_waits_now() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.poll(queue_id, block=True)
    rig.wait(40)
    second = rig.poll(queue_id, block=True)
    rig.wait(44)
    assert not second.answered
    rig.wait(11)
    assert second.answered


def test_remembered_ids_are_forgotten_when_they_are_old_or_too_many() -> None:
    rig = Rig(limits=Limits(remember_ids_for=100, remember_ids_max=2))
    for notice_id in "abc":
        rig.engine.publish(decode_notices(notice(DEPLOY, id=notice_id)), KeepingSlot[int]())
    remembered = rig.engine.shard._state.remembered
    rig.wait(1)
    assert [notice_id for notice_id, _, _ in remembered] == ["b", "c"]
    rig.wait(98)
    assert len(remembered) == 2
    rig.wait(2)
    assert len(remembered) == 0


def test_deleting_another_users_queue_looks_like_deleting_none() -> None:
    shard: Shard[object] = Rig().engine.shard  # type: ignore[assignment]  # any token will do
    with pytest.raises(BadEventQueueId):
        shard.decide_delete("nothing", user_id=UserId(1), now=0.0)


def test_registering_with_a_wrong_narrow_decides_nothing() -> None:
    rig = Rig()
    wanted = spec()
    with pytest.raises(BadRequest):
        rig.engine.shard.decide_register(
            type(wanted)(user_id=wanted.user_id, realm_id=wanted.realm_id, narrow=(("is", "followed"),)),
            queue_id=rig.register(),
            now=0.0,
        )
