"""The shard's door: two shards share nothing, and recovery has an end."""

import pytest

from support.core_rig import Rig, spec
from support.core_states import check_indexes
from support.events import notice
from tidewire.core.records import Published, Reason, Registered, Removed
from tidewire.core.shard import Shard


def test_two_shards_share_nothing() -> None:
    one, two = Rig(), Rig()
    one.register()
    one.publish({"type": "deploy"})
    assert two.engine.shard.queues() == 0
    assert two.engine.shard.statistics.registered == 0
    assert two.engine.shard._state.shapes() == 0


def test_queues_to_reload_are_those_of_earlier_processes_by_realm_r1_25() -> None:
    rig = Rig()
    ids = [rig.register(spec(realm=realm)) for realm in (2, 1, 2)]
    assert not rig.engine.shard._state.reload_set
    rig.restart(rig.engine.snapshot(), [], resumed=False)
    rig.register()
    assert list(rig.engine.shard._state.reload_set) == [ids[1], ids[0], ids[2]]
    rig.delete(ids[0])
    assert list(rig.engine.shard._state.reload_set) == [ids[1], ids[2]]


def test_nothing_is_left_when_all_queues_are_gone() -> None:
    rig = Rig()
    for queue_id in [rig.register() for _ in range(5)]:
        rig.poll(queue_id, block=True)
        rig.publish({"type": "deploy"})
        rig.poll(queue_id, 0, block=True)
        rig.delete(queue_id)
    state = rig.engine.shard._state
    check_indexes(state)
    assert (len(state.idle), len(state.heartbeats), len(state.seen), len(state.ready)) == (0, 0, 0, 0)
    assert (state.shapes(), state.acceptances(), state.finished, state.unwritten) == (0, 0, [], [])


def test_an_empty_shard_has_nothing_to_say() -> None:
    shard: Shard[object] = Shard()
    assert not shard.ready()
    assert not shard.has_unwritten
    assert shard.take_ready(10, now=0.0) == []
    assert shard.decide_tick(0.0, collect=True) is None
    assert shard.snapshot(now=0.0).queues == ()


@pytest.mark.parametrize(("reason", "left"), [("deleted", 1), ("expired", 1), ("revoked", 0)])
def test_a_waiter_gets_what_is_left_of_its_queue_unless_the_right_to_it_is_gone_r2_26_d11(
    reason: Reason, left: int
) -> None:
    shard: Shard[str] = Shard()
    shard.apply(Registered(now=0.0, queue_id="queue", spec=spec()))
    answer = shard.poll(
        "queue",
        user_id=spec().user_id,
        last_event_id=-1,
        block=True,
        waiter="poll",
        now=0.0,
        heartbeat_at=50.0,
    )
    assert answer is None
    raw = notice({"type": "deploy"}, [spec().user_id])
    shard.apply(Published(now=1.0, notices=(raw,)))
    shard.apply(Removed(now=1.0, queue_id="queue", reason=reason))
    ((waiter, batch),) = shard.take_ready(10, now=1.0)
    assert (waiter, len(batch.entries)) == ("poll", left)
    assert shard.take_ready(10, now=1.0) == []
    assert shard.queues() == 0
