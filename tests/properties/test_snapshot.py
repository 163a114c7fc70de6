"""A snapshot is the durable state: restored, it answers like the original (C5)."""

import io
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.core_rig import Rig, spec
from support.core_states import check_indexes, durable_form
from support.events import Json, flags, notice
from tidewire.core.notices.notice import decode_notice
from tidewire.core.notifications.candidates import NOBODY
from tidewire.core.persistence.snapshot import SNAPSHOT_VERSION, Snapshot, decode_snapshot, encode_snapshot
from tidewire.core.records import Published, Restarted
from tidewire.core.shard import Shard
from tidewire.core.transitions.publish_batch import PublishBatch
from tidewire.storage.format import pack, read_frames

LISTS = st.lists(st.integers(1, 4), min_size=1, max_size=2)
EVENTS = st.one_of(
    st.builds(flags, st.sampled_from(["add", "remove"]), st.sampled_from(["read", "starred"]), LISTS),
    st.just({"type": "deploy"}),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), EVENTS),
        st.tuples(st.just("poll"), st.integers(0, 2)),
        st.tuples(st.just("acknowledge"), st.integers(0, 2)),
        st.tuples(st.just("wait"), st.sampled_from([1, 61, 700])),
    ),
    max_size=12,
)


def lived(steps: list[tuple[str, Any]]) -> tuple[Rig, list[str]]:
    """A shard with three queues that has seen something."""
    rig = Rig()
    kinds = (None, ["update_message_flags"], ["deploy"])
    queue_ids: list[str] = [rig.register(spec(types=types, idle=5000)) for types in kinds]
    for step, what in steps:
        if step == "publish":
            rig.publish(what)
        elif step == "wait":
            rig.wait(what)
        else:
            last = rig.engine.shard.find(queue_ids[what])
            assert last is not None
            pruned = last.queue.newest_pruned_id
            assert pruned is not None
            answer = rig.poll(queue_ids[what], pruned)
            if step == "acknowledge" and answer.ids:
                rig.poll(queue_ids[what], answer.ids[len(answer.ids) // 2])
    return rig, queue_ids


def restored(image: Snapshot) -> Shard[Any]:
    """A shard from the bytes of a snapshot."""
    shard: Shard[Any] = Shard()
    shard.restore(decode_snapshot(encode_snapshot(image)))
    return shard


@given(STEPS)
def test_the_snapshot_of_a_restored_shard_is_the_snapshot(steps: list[tuple[str, Any]]) -> None:
    rig, _ = lived(steps)
    image = rig.engine.snapshot()
    again = restored(image)
    assert again.snapshot(now=image.now) == image
    assert durable_form(again._state) == durable_form(rig.engine.shard._state)
    check_indexes(again._state)


@given(STEPS, st.lists(EVENTS, max_size=3))
def test_a_restored_shard_answers_like_the_original_c5(
    steps: list[tuple[str, Any]], later: list[Json]
) -> None:
    rig, queue_ids = lived(steps)
    twin, _ = lived(steps)
    twin.restart(twin.engine.snapshot(), [], resumed=False)
    for event in later:
        rig.publish(event)
        twin.publish(event)
    for queue_id in queue_ids:
        found = rig.engine.shard.find(queue_id)
        assert found is not None
        pruned = found.queue.newest_pruned_id
        assert pruned is not None
        assert rig.poll(queue_id, pruned).events == twin.poll(queue_id, pruned).events


@given(STEPS, st.floats(0, 1e6))
def test_the_time_between_snapshot_and_restore_is_nobodys(steps: list[tuple[str, Any]], away: float) -> None:
    rig, queue_ids = lived(steps)
    image = rig.engine.snapshot()
    again = restored(image)
    again.apply(Restarted(now=image.now + away, resumed=False))
    for queue_id in queue_ids:
        before, after = rig.engine.shard.find(queue_id), again.find(queue_id)
        assert before is not None
        assert after is not None
        assert abs((image.now + away - after.last_active) - (image.now - before.last_active)) < 1e-3


@given(st.integers(1, 30))
def test_a_body_that_many_queues_share_is_written_once(queues: int) -> None:
    rig = Rig()
    for _ in range(queues):
        rig.register()
    rig.publish({"type": "deploy"}, {"type": "deploy"})
    assert len(rig.engine.snapshot().bodies) == 1


@given(STEPS, st.data())
def test_a_damaged_snapshot_never_comes_as_far_as_being_decoded(
    steps: list[tuple[str, Any]], data: st.DataObject
) -> None:
    rig, _ = lived(steps)
    frame = bytearray(pack(encode_snapshot(rig.engine.snapshot()), 1, 77))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    assert list(read_frames(io.BytesIO(frame), 0, len(frame), 77)) == []


def test_a_damaged_text_is_a_decode_error_like_any_other_damage() -> None:
    image = Snapshot(
        version=SNAPSHOT_VERSION, now=0.0, bodies=(), queues=(), remembered=(("name", b"digest", 0.0),)
    )
    with pytest.raises(msgspec.DecodeError):
        decode_snapshot(encode_snapshot(image).replace(b"name", b"na\xffe"))


def test_applying_a_decoded_batch_equals_applying_its_record() -> None:
    rig, _ = lived([])
    twin, _ = lived([])
    raws = [notice({"type": "deploy"}, id="a"), notice(flags("add", "read", [1]), [1, 1])]
    record = Published(5.0, tuple(raws))
    rig.engine.shard.apply(record)
    twin.engine.shard.apply_part(record, PublishBatch([decode_notice(raw) for raw in raws], [NOBODY, NOBODY]))
    assert durable_form(rig.engine.shard._state) == durable_form(twin.engine.shard._state)


def test_a_queue_whose_narrow_is_no_longer_supported_is_skipped_and_the_others_are_there_r12_9() -> None:
    rig = Rig()
    kept, lost = rig.register(), rig.register()
    image = rig.engine.snapshot()
    foreign = msgspec.structs.replace(image.queues[1].spec, narrow=(("near", "1"),))
    queues = (image.queues[0], msgspec.structs.replace(image.queues[1], spec=foreign))
    shard: Shard[Any] = Shard()
    skipped = shard.restore(msgspec.structs.replace(image, queues=queues))
    assert [(queue_id, error.message) for queue_id, error in skipped] == [
        (lost, "Operator near not supported.")
    ]
    assert shard.find(kept) is not None
    assert shard.queues() == 1
    check_indexes(shard._state)
