"""Recovery, case by case: what a client may have been given before a crash goes on correctly after it (D3, D4)."""

import pytest

from support.core_rig import Poll, Rig, spec
from support.core_states import durable_form, recovered
from support.events import flags
from tidewire.core.errors import BadRequest
from tidewire.core.persistence.snapshot import decode_snapshot, encode_snapshot
from tidewire.core.records import Sealed
from tidewire.core.state.limits import Limits

DEPLOY = {"type": "deploy"}


def read(*messages: int) -> dict[str, object]:
    """An event that marks messages as read."""
    return flags("add", "read", messages)


def crash(rig: Rig, snapshot: bytes | None = None, since: int = 0) -> None:
    """Goes on from a snapshot and the records since."""
    image = None if snapshot is None else decode_snapshot(snapshot)
    rig.restart(image, rig.journal.records(since), resumed=True)


def messages(poll: Poll) -> list[tuple[int, list[int]]]:
    """The ids and messages of an answer of flag events."""
    return [(event["id"], event["messages"]) for event in poll.events]


def test_an_id_that_was_given_singly_is_honoured_although_recovery_merges_it() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(read(1))
    assert messages(rig.poll(queue_id)) == [(0, [1])]
    rig.publish(read(2))
    crash(rig)
    assert messages(rig.poll(queue_id, 0)) == [(1, [2])]


def test_a_client_that_lost_every_answer_gets_everything() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(read(1))
    rig.poll(queue_id)
    rig.publish(read(2), DEPLOY)
    rig.poll(queue_id)
    crash(rig)
    events = rig.poll(queue_id).events
    assert [message for event in events if "messages" in event for message in event["messages"]] == [1, 2]
    assert [event["type"] for event in events].count("deploy") == 1


def test_a_crash_directly_after_a_merge_keeps_the_merge() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(read(1), read(2))
    assert messages(rig.poll(queue_id)) == [(1, [1, 2])]
    rig.publish(read(3))
    crash(rig)
    assert messages(rig.poll(queue_id, 1)) == [(2, [3])]


def test_what_was_placed_before_a_merge_is_not_drawn_into_it_by_recovery() -> None:
    """A client that processed only the first of [0: 1], [2: 2, 3] must not get message 1 a second time."""
    rig = Rig()
    queue_id = rig.register()
    rig.publish(read(1))
    rig.poll(queue_id)
    rig.publish(read(2), read(3))
    assert messages(rig.poll(queue_id)) == [(0, [1]), (2, [2, 3])]
    crash(rig)
    assert messages(rig.poll(queue_id, 0)) == [(2, [2, 3])]


def test_several_placed_one_by_one_stay_apart_when_a_later_merge_is_recovered() -> None:
    rig = Rig()
    queue_id = rig.register()
    for message in (1, 2, 3):
        rig.publish(read(message))
        rig.poll(queue_id)
    rig.publish(read(4), read(5))
    before = messages(rig.poll(queue_id))
    assert before == [(0, [1]), (1, [2]), (2, [3]), (4, [4, 5])]
    crash(rig)
    assert messages(rig.poll(queue_id)) == before


def test_a_cut_answer_is_cut_at_the_same_place_after_recovery() -> None:
    rig = Rig(limits=Limits(answer_max_bytes=400))
    queue_id = rig.register()
    rig.publish(read(1), DEPLOY, read(2), read(3), DEPLOY, read(4), read(5))
    first = rig.poll(queue_id)
    assert 0 < len(first.ids) < 5
    while (again := rig.poll(queue_id)).events != first.events:
        first = again
    crash(rig)
    assert rig.poll(queue_id).events == first.events
    second = rig.poll(queue_id, first.ids[-1])
    crash(rig)
    assert rig.poll(queue_id, first.ids[-1]).events == second.events


def test_a_partial_acknowledgement_of_a_cut_answer_goes_on_after_a_crash() -> None:
    rig = Rig(limits=Limits(answer_max_bytes=400))
    queue_id = rig.register()
    rig.publish(*(read(message) for message in range(1, 9)))
    seen: list[int] = []
    last = -1
    for _ in range(20):
        answer = rig.poll(queue_id, last)
        if not answer.ids:
            break
        last, found = messages(answer)[0]
        seen += found
        crash(rig)
    assert seen == list(range(1, 9))


def test_two_crashes_in_a_row_with_an_acknowledgement_between_them_that_no_tick_wrote() -> None:
    rig = Rig()
    queue_id = rig.register()
    for message in (1, 2, 3):
        rig.publish(read(message))
        rig.poll(queue_id)
    crash(rig)
    assert messages(rig.poll(queue_id, 1)) == [(2, [3])]
    crash(rig)
    assert messages(rig.poll(queue_id, 1)) == [(2, [3])]
    crash(rig)
    assert messages(rig.poll(queue_id, 2)) == []


def test_what_was_acknowledged_after_one_crash_is_not_drawn_into_a_merge_by_the_next() -> None:
    rig = Rig()
    queue_id = rig.register()
    for message in (1, 2):
        rig.publish(read(message))
        rig.poll(queue_id)
    crash(rig)
    rig.publish(read(3))
    assert messages(rig.poll(queue_id, 0)) == [(2, [2, 3])]
    crash(rig)
    assert messages(rig.poll(queue_id, 0)) == [(2, [2, 3])]


def test_a_snapshot_in_between_is_a_base_for_what_came_later() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(read(1))
    rig.poll(queue_id)
    rig.publish(read(2))
    snapshot, since = encode_snapshot(rig.engine.snapshot()), len(rig.journal.written)
    rig.publish(read(3))
    assert messages(rig.poll(queue_id)) == [(0, [1]), (2, [2, 3])]
    crash(rig, snapshot, since)
    assert messages(rig.poll(queue_id, 0)) == [(2, [2, 3])]


def test_a_merge_that_no_record_tells_of_was_never_shown() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(read(1), read(2))
    rig.journal.fails = True
    assert rig.poll(queue_id).ids == []
    rig.journal.fails = False
    crash(rig)
    rig.publish(read(3))
    assert messages(rig.poll(queue_id)) == [(2, [1, 2, 3])]


def test_a_resumed_queue_takes_any_id_that_it_may_have_given_and_no_other_until_it_is_empty() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(read(1), read(2), read(3), DEPLOY)
    crash(rig)
    with pytest.raises(BadRequest):
        rig.poll(queue_id, 4)
    with pytest.raises(BadRequest):
        rig.poll(queue_id, -2)
    assert rig.poll(queue_id, 0).ids == [2, 3]
    assert rig.poll(queue_id, 1).ids == [2, 3]
    assert rig.poll(queue_id, 3).ids == []
    rig.publish(read(4), read(5))
    assert rig.poll(queue_id, 3).ids == [5]
    with pytest.raises(BadRequest):
        rig.poll(queue_id, 4)


def test_an_older_acknowledgement_after_a_crash_leaves_newer_ids_valid_that_were_given_before_it() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(DEPLOY, read(1))
    assert rig.poll(queue_id).ids == [0, 1]  # placed singly, which no record tells of
    rig.publish(read(2))
    crash(rig)
    assert rig.poll(queue_id, 0).ids == [2]
    assert rig.poll(queue_id, 1).ids == [2]


def test_records_alone_give_the_live_state() -> None:
    rig = Rig()
    first, second = rig.register(), rig.register(spec(types=["deploy"]))
    rig.publish(read(1), DEPLOY, read(2))
    rig.poll(first)
    rig.publish(read(3), flags("remove", "read", [3]), read(3))
    rig.poll(first, 1, block=True)
    rig.poll(second, 0, block=True)
    rig.wait(60)
    rig.delete(second)
    rig.engine.tick()
    again = recovered(None, rig.journal.records(), limits=rig.limits)
    assert durable_form(again._state) == durable_form(rig.engine.shard._state)


def test_the_record_of_a_merge_that_the_snapshot_holds_already_changes_nothing() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(read(1), DEPLOY, read(2))
    rig.poll(queue_id)
    shard = rig.engine.shard
    before = durable_form(shard._state)
    for record in rig.journal.records():
        if isinstance(record, Sealed):
            shard.apply(record)
    assert durable_form(shard._state) == before
