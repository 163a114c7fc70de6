"""What polls change is written down in slices, and all of it (D3, D4)."""

import pytest

import tidewire.core.transitions.decide
from support.core_rig import Rig
from tidewire.core.ids import QueueId
from tidewire.core.records import Record, Ticked, decode_record

DEPLOY = {"type": "deploy"}
AT_ONCE = 2


@pytest.fixture
def polled(monkeypatch: pytest.MonkeyPatch) -> tuple[Rig, list[QueueId]]:
    """Five queues with two events each, of which all have acknowledged the first."""
    monkeypatch.setattr(tidewire.core.transitions.decide, "SEEN_AT_ONCE", AT_ONCE)
    rig = Rig()
    queue_ids = [rig.register() for _ in range(5)]
    rig.publish(DEPLOY)
    rig.publish(DEPLOY)
    rig.engine.tick()
    rig.soon.run()
    for queue_id in queue_ids:
        rig.poll(queue_id, 0)
    return rig, queue_ids


def records(rig: Rig) -> list[Record]:
    """All that were journalled."""
    return [decode_record(data) for data in rig.journal.written]


def written(rig: Rig) -> list[list[str]]:
    """The queues of each record that says what polls changed."""
    ticks = [record for record in records(rig) if isinstance(record, Ticked)]
    return [[seen.queue_id for seen in tick.seen] for tick in ticks if tick.seen]


def test_queues_that_one_record_has_no_room_for_have_records_of_their_own(
    polled: tuple[Rig, list[QueueId]],
) -> None:
    rig, ids = polled
    rig.engine.tick()
    assert written(rig) == [ids[:2]]
    rig.soon.run()
    assert written(rig) == [ids[:2], ids[2:4]]
    rig.soon.run()
    assert written(rig) == [ids[:2], ids[2:4], ids[4:]]
    assert not rig.soon.calls
    rig.engine.tick()
    assert len(written(rig)) == 3


def test_together_the_records_bring_back_what_the_polls_left(polled: tuple[Rig, list[QueueId]]) -> None:
    rig, _ = polled
    rig.engine.tick()
    rig.soon.run()
    rig.soon.run()
    left = [queue.entries for queue in rig.engine.shard.snapshot(now=0.0).queues]
    rig.restart(None, records(rig), resumed=True)
    assert [queue.entries for queue in rig.engine.shard.snapshot(now=0.0).queues] == left
    assert [len(entries) for entries in left] == [1] * 5


def test_a_poll_between_two_slices_is_written_with_its_newest_acknowledgement(
    polled: tuple[Rig, list[QueueId]],
) -> None:
    rig, ids = polled
    rig.engine.tick()
    rig.poll(ids[3], 1)
    rig.poll(ids[0], 1)
    rig.soon.run()
    rig.soon.run()
    assert written(rig) == [ids[:2], ids[2:4], ids[4:]]
    newest = [record for record in records(rig) if isinstance(record, Ticked)][-2].seen
    assert [seen.pruned for seen in newest] == [0, 1]
    rig.engine.tick()
    assert written(rig)[3:] == [[ids[0]]]


def test_what_the_journal_did_not_take_is_written_with_the_next_tick(
    polled: tuple[Rig, list[QueueId]],
) -> None:
    rig, ids = polled
    rig.engine.tick()
    rig.journal.fails = True
    rig.soon.run()
    assert written(rig) == [ids[:2]]
    assert not rig.soon.calls
    rig.journal.fails = False
    rig.engine.tick()
    rig.soon.run()
    assert written(rig) == [ids[:2], ids[2:4], ids[4:]]
