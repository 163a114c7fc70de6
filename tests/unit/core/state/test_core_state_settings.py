"""Records are applied under the settings they were decided under, and those in force now hold from the start on."""

from hypothesis import given
from hypothesis import strategies as st

from support.core_rig import Rig, spec
from support.core_states import durable_form
from tidewire.core.records import Restarted
from tidewire.core.state.limits import Limits
from tidewire.core.state.state_settings import encode_shaping

STEPS = st.lists(
    st.one_of(st.integers(1, 6), st.sampled_from(["publish", "register", "delete"])), max_size=25
)


def under(rig: Rig) -> None:
    rig.journal.settings = encode_shaping(rig.engine.shard._state.shaping)


@given(STEPS)
def test_settings_that_change_at_restarts_give_what_a_run_that_never_restarted_gives(
    steps: list[int | str],
) -> None:
    rig, twin = Rig(limits=Limits(tombstones_max=3)), Rig(limits=Limits(tombstones_max=3))
    under(rig)
    queues: list[str] = []
    for step in steps:
        if isinstance(step, int):
            rig.limits = Limits(tombstones_max=step, max_events=1000 + step)
            report = rig.recover()
            assert report.upgraded == []
            if report.anything:
                twin.engine.shard._state.take_up(rig.engine.shard._state.shaping)
                twin.engine._commit(Restarted(twin.clock.now(), resumed=report.resumed))
            else:
                twin.engine.shard._state.take_up(rig.engine.shard._state.shaping)
            continue
        for one in (rig, twin):
            if step == "publish":
                one.publish({"type": "deploy"})
            elif step == "register":
                made = one.register(spec())
                if one is rig:
                    queues.append(made)
            elif queues:
                one.delete(queues[0])
        if step == "delete" and queues:
            queues.pop(0)
    assert durable_form(rig.engine.shard._state) == durable_form(twin.engine.shard._state)


def test_raising_a_bound_after_a_crash_ends_no_queue() -> None:
    rig = Rig(limits=Limits(max_events=10))
    under(rig)
    queue_id = rig.register()
    rig.publish({"type": "deploy"})
    rig.limits = Limits(max_events=20)
    assert rig.recover().upgraded == []
    assert rig.poll(queue_id).ids == [0]
