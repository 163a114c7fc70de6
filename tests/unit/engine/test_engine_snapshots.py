"""Snapshots in slices: when they are taken, what they hold, and what a crash in between leaves (D4)."""

import pytest
from msgspec import structs

import tidewire.engine.snapshots
from support.core_rig import Poll, Rig, spec
from support.core_states import durable_form
from support.events import flags
from tidewire.core.errors import BadEventQueueId
from tidewire.core.persistence.snapshot import decode_snapshot
from tidewire.core.records import Removed, Restarted

DEPLOY = {"type": "deploy"}


@pytest.fixture(autouse=True)
def _one_queue_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidewire.engine.snapshots, "SLICE", 1.0)


def begin(rig: Rig) -> None:
    """Begins a snapshot: the first queue is captured at once, and one more with each turn."""
    rig.engine._scheduler.begin()


def finish(rig: Rig) -> None:
    """Turns until nothing is to be done."""
    while rig.soon.calls:
        rig.soon.run()


def crashed(rig: Rig) -> Rig:
    """Crashes and comes back; whatever was held before is there again."""
    before = durable_form(rig.engine.shard._state)
    rig.recover()
    assert durable_form(rig.engine.shard._state) == before
    return rig


def types(poll: Poll) -> list[str]:
    """The types of an answer's events."""
    return [event["type"] for event in poll.events]


def test_events_between_the_slices_come_to_every_queue_once() -> None:
    rig = Rig()
    queues = [rig.register() for _ in range(3)]
    rig.publish({"type": "first"})
    begin(rig)
    for number in range(4):
        rig.publish({"type": f"between {number}"})
        rig.soon.run()
    positions = [decode_snapshot(frame) for frame in rig.journal.frames]
    assert len({part.position for part in positions if part.queues}) == 3
    crashed(rig)
    wanted = ["first", *(f"between {number}" for number in range(4))]
    for queue_id in queues:
        assert types(rig.poll(queue_id)) == wanted


def test_a_queue_made_between_the_slices_is_made_once_and_stands_behind_the_others_r2_8() -> None:
    rig = Rig()
    old = [rig.register() for _ in range(3)]
    begin(rig)
    new = rig.register()
    rig.publish(DEPLOY)
    finish(rig)
    crashed(rig)
    directory = rig.engine.shard._state.directory
    assert [descriptor.queue_id for descriptor in directory] == [*old, new]
    assert [descriptor.queue_id for descriptor in directory.of_user(spec().user_id)] == [*old, new]


@pytest.mark.parametrize("after_its_slice", [False, True])
def test_a_queue_that_ends_between_the_slices_stays_ended(after_its_slice: bool) -> None:
    rig = Rig()
    queues = [rig.register() for _ in range(3)]
    rig.publish(DEPLOY)
    begin(rig)
    rig.delete(queues[0 if after_its_slice else 2])
    rig.publish(DEPLOY)
    finish(rig)
    crashed(rig)
    assert rig.engine.shard.queues() == 2


def test_acknowledgements_and_merges_between_the_slices_are_kept() -> None:
    rig = Rig()
    queues = [rig.register() for _ in range(3)]
    rig.publish(flags("add", "read", [1]), flags("add", "read", [2]), DEPLOY)
    begin(rig)
    for queue_id in queues:
        assert rig.poll(queue_id).ids[:2] == [1, 2]
        rig.poll(queue_id, 1)
        rig.publish({"type": "typing"})
        rig.soon.run()
    finish(rig)
    rig.engine.tick()
    crashed(rig)
    assert [rig.poll(queue_id, 1).ids for queue_id in queues] == [[2, 3, 4, 5]] * 3


def test_remembered_ids_are_as_they_were_when_the_snapshot_began_and_the_records_add_theirs() -> None:
    rig = Rig()
    for _ in range(2):
        rig.register()
    for name in "abc":
        rig.publish_as(name, DEPLOY)
    begin(rig)
    rig.publish_as("d", DEPLOY)
    finish(rig)
    rig.clock.time += 86_400 - 1
    rig.publish_as("e", DEPLOY)
    rig.wait(2)
    crashed(rig)
    assert [notice_id for notice_id, _, _ in rig.engine.shard._state.remembered] == ["e"]


def test_a_crash_before_the_last_slice_leaves_the_snapshot_before() -> None:
    rig = Rig()
    for _ in range(3):
        rig.register()
    begin(rig)
    finish(rig)
    frames = rig.journal.frames
    rig.publish(DEPLOY)
    begin(rig)
    rig.soon.run()
    assert rig.journal.frames is frames
    crashed(rig)


def test_a_body_that_queues_share_is_written_once_and_is_one_object_afterwards() -> None:
    rig = Rig()
    queues = [rig.register() for _ in range(3)]
    rig.publish(DEPLOY, {"type": "other"})
    begin(rig)
    finish(rig)
    assert sum(len(decode_snapshot(frame).bodies) for frame in rig.journal.frames) == 2
    crashed(rig)
    entries = [rig.poll(queue_id).answer.entries for queue_id in queues]
    assert entries[0][0][1] is entries[1][0][1] is entries[2][0][1]


def test_a_snapshot_begins_when_the_records_are_twice_as_large_as_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tidewire.engine.snapshots, "SLICE", 1e9)
    rig = Rig(snapshot_after=1500)
    rig.register()
    rig.publish({"type": "deploy", "text": "x" * 800})
    rig.wait(1)
    assert rig.reporter.snapshots == []
    rig.publish({"type": "deploy", "text": "x" * 800})
    rig.wait(1)
    ((queues, size),) = rig.reporter.snapshots
    assert queues == 1
    assert size > 800
    for published in range(1, 6):
        rig.publish({"type": "deploy", "text": "x" * 800})
        rig.wait(1)
        assert len(rig.reporter.snapshots) == 1 + (published * 850 > 2 * size)


def test_there_is_never_more_than_one_snapshot_on_its_way() -> None:
    rig = Rig(snapshot_after=1)
    rig.aside.waits = True
    rig.register()
    rig.wait(3)
    assert len(rig.aside.calls) == 1
    rig.aside.run()
    assert len(rig.reporter.snapshots) == 1


def test_a_snapshot_that_cannot_be_written_is_tried_again_later_and_costs_nothing() -> None:
    rig = Rig()
    for _ in range(3):
        rig.register()
    begin(rig)
    rig.journal.fails = True
    rig.soon.run()
    assert len(rig.reporter.snapshot_errors) == 1
    rig.journal.fails = False
    begin(rig)
    assert not rig.soon.calls
    rig.clock.time += tidewire.engine.snapshots.RETRY
    begin(rig)
    finish(rig)
    assert len(rig.reporter.snapshots) == 1


def test_a_slice_waits_while_a_merge_has_no_record_and_does_not_keep_the_loop_busy() -> None:
    rig = Rig()
    queues = [rig.register() for _ in range(3)]
    rig.publish(flags("add", "read", [1]), flags("add", "read", [2]))
    begin(rig)
    rig.journal.room = 0
    rig.poll(queues[2])
    rig.soon.run()
    assert not rig.soon.calls
    rig.journal.room = None
    rig.engine.tick()
    finish(rig)
    assert len(rig.reporter.snapshots) == 1
    crashed(rig)


def test_a_clean_stop_gives_up_the_snapshot_on_its_way_and_leaves_no_tail() -> None:
    rig = Rig()
    for _ in range(3):
        rig.register()
    rig.publish(DEPLOY)
    begin(rig)
    rig.publish(DEPLOY)
    assert rig.engine.final_snapshot()
    rig.soon.run()
    assert rig.journal.tail_bytes == 0
    report = rig.recover("other rules")
    assert (report.queues, report.records, report.resumed, report.upgraded) == (3, 0, False, [])


def test_the_time_between_two_processes_is_no_ones_idle_time_however_often_it_happens() -> None:
    rig = Rig()
    queue_id = rig.register(spec(idle=600))
    rig.engine.final_snapshot()
    for _ in range(3):
        rig.clock.time += 500
        rig.recover()
        rig.clock.time += 100
        rig.publish(DEPLOY)
    found = rig.engine.shard.find(queue_id)
    assert found is not None
    assert rig.clock.time - found.last_active == pytest.approx(300)
    assert [type(record) for record in rig.journal.records(rig.journal.position)][::2] == [Restarted] * 3


# Other rules.


def test_a_tail_under_other_rules_ends_the_queues_it_touched_and_no_others() -> None:
    rig = Rig()
    touched, acknowledged, quiet = (rig.register(spec(user=user)) for user in (1, 2, 3))
    rig.publish(DEPLOY, users=[2])
    rig.engine.final_snapshot()
    rig.publish(DEPLOY, users=[1])
    made = rig.register(spec(user=4))
    rig.poll(acknowledged, 0, user=2)
    rig.engine.tick()
    report = rig.recover("other rules")
    assert report.upgraded == [touched, made]
    assert rig.engine.shard.find(touched) is None
    assert rig.engine.shard.find(made) is None
    assert rig.engine.shard.find(quiet) is not None
    assert rig.poll(acknowledged, 0, user=2).ids == []
    reasons = [record.reason for record in rig.journal.records() if isinstance(record, Removed)]
    assert reasons == ["upgraded", "upgraded"]
    assert rig.recover("other rules").queues == 2


def test_records_that_a_queue_held_when_it_was_captured_do_not_end_it() -> None:
    rig = Rig()
    first, second = rig.register(), rig.register()
    begin(rig)
    rig.publish(DEPLOY)
    finish(rig)
    report = rig.recover("other rules")
    assert report.upgraded == [first]
    assert rig.poll(second).ids == [0]


def test_a_queue_that_hears_what_is_not_addressed_to_it_ends_with_any_event_under_other_rules() -> None:
    rig = Rig()
    firehose = rig.register(structs.replace(spec(), all_public_streams=True))
    rig.engine.final_snapshot()
    rig.publish(DEPLOY, users=[5])
    assert rig.recover("other rules").upgraded == [firehose]


# Records that are lost.


def test_where_the_snapshot_is_ahead_of_lost_records_queues_that_hold_them_go_on_and_the_others_end() -> None:
    rig = Rig()
    queues = [rig.register() for _ in range(2)]
    begin(rig)
    for _ in range(3):
        rig.publish(DEPLOY)
    finish(rig)
    lost = rig.journal
    del lost.written[lost.position :]
    del lost._origins[lost.position :]
    report = rig.recover()
    assert (report.records, report.resumed, report.damaged) == (0, True, [queues[0]])
    assert len(rig.poll(queues[1]).ids) == 3
    with pytest.raises(BadEventQueueId) as caught:
        rig.poll(queues[0])
    assert caught.value.data["reason"] == "damaged"
    rig.publish(DEPLOY)
    rig.recover()
    assert len(rig.poll(queues[1]).ids) == 4
