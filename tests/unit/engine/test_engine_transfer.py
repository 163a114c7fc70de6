"""Imports on a running engine: journalled, bounded, told of the restart, and given time to come (section 10)."""

import pytest

from support.core_rig import START, KeepingSlot, Rig, spec
from support.core_states import check_indexes
from support.dumps import descriptor, dump, exported, imported, pair, read, read_all, stored_queue
from support.events import Json
from tidewire.core.errors import BadEventQueueId, Unavailable
from tidewire.core.records import Imported
from tidewire.core.state.limits import Limits
from tidewire.engine.timing import EngineTiming
from tidewire.engine.transfer import Imports

RESTART: Json = {"type": "restart", "server_generation": 7}


def of(queue_id: str, **members: object) -> tuple[str, Json]:
    return pair(queue_id, stored_queue({"type": "deploy"}), **members)


def test_a_queue_that_is_there_already_stays_as_it_is() -> None:
    rig = Rig()
    mine = rig.register()
    queues = read_all(dump(of("a"), of(mine, user_profile_id=2), of("a", user_profile_id=3)))
    assert imported(rig, queues) == Imports(1, [1, 2])
    assert rig.poll(mine).ids == []
    assert rig.poll("a").ids == [0]


def test_imported_queues_are_told_of_the_restart_and_the_others_are_not_r10_9() -> None:
    rig = Rig()
    mine = rig.register()
    queues = read_all(dump(of("a"), of("b", event_types=["deploy"])))
    imported(rig, queues, RESTART)
    assert rig.poll("a").events == [{"type": "deploy", "id": 0}, {**RESTART, "id": 1}]
    assert rig.poll("b").ids == [0]
    assert rig.poll(mine).ids == []


def test_imported_queues_are_to_reload_realm_by_realm_r1_25() -> None:
    rig = Rig()
    rig.register()
    for name, realm, types in (("a", 3, None), ("b", 1, None), ("c", 2, ["deploy"]), ("d", 1, None)):
        imported(rig, [read(*of(name, realm_id=realm, event_types=types))])
    assert rig.engine.reload_clients(immediate=False, count=2) == 2
    assert [len(rig.poll(name).ids) for name in "abcd"] == [1, 2, 1, 2]
    assert rig.engine.reload_clients(immediate=False, count=None) == 1
    check_indexes(rig.engine.shard._state)


def test_a_large_import_is_several_records_of_a_bounded_size() -> None:
    rig = Rig()
    queues = read_all(
        dump(*(pair(f"q{n}", stored_queue({"type": "t", "x": f"{n}" * 9000})) for n in range(999)))
    )
    imported(rig, queues)
    records = [record for record in rig.journal.records() if isinstance(record, Imported)]
    assert len(records) > 3
    assert sum(len(record.queues) for record in records) == 999
    assert max(map(len, rig.journal.written)) < 4_000_000
    rig.recover()
    assert rig.engine.shard.queues() == 999
    assert exported(rig) != b""


def test_an_import_that_can_t_be_journalled_has_not_happened() -> None:
    rig = Rig()
    rig.journal.fails = True
    with pytest.raises(Unavailable):
        rig.engine.dumps.take(read_all(dump(of("a"))), KeepingSlot())
    assert rig.engine.shard.queues() == 0
    rig.journal.fails = False
    assert imported(rig, read_all(dump(of("a")))).imported == 1


def test_the_answer_waits_until_the_import_is_durable() -> None:
    rig = Rig()
    rig.journal.lags = True
    slot: KeepingSlot[Imports] = KeepingSlot()
    rig.engine.dumps.take(read_all(dump(of("a"))), slot)
    settled: KeepingSlot[None] = KeepingSlot()
    rig.engine.dumps.settle(settled)
    assert not slot.answered
    assert not settled.answered
    rig.journal.sync()
    rig.engine.durable_moved()
    assert slot.answer.imported == 1
    assert settled.answered


def test_queues_imported_while_a_snapshot_is_taken_survive_behind_those_it_holds_r2_8() -> None:
    rig = Rig()
    mine = rig.register()
    for number in range(300):
        rig.publish({"type": "t", "x": "x" * 20_000, "number": number})
    rig.register()
    rig.engine.begin_snapshot()
    assert rig.soon.calls
    imported(rig, read_all(dump(of("a"), of("b"))))
    while rig.soon.calls:
        rig.soon.run()
    assert rig.journal.frames
    rig.recover()
    assert rig.engine.shard.queue_ids() == [mine, "queue-2", "a", "b"]
    assert rig.poll("a").ids == [0]
    check_indexes(rig.engine.shard._state)


def test_records_of_other_rules_end_imported_queues_too() -> None:
    rig = Rig()
    imported(rig, read_all(dump(of("a"))))
    rig.recover("other rules")
    assert rig.engine.shard.queues() == 0


def test_a_narrow_that_a_later_version_refuses_costs_that_queue_only_r12_9(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig = Rig()
    imported(rig, read_all(dump(of("a", narrow=[["is", "resolved"]]), of("b"))))
    monkeypatch.setattr("tidewire.core.events.narrow.IS_OPERANDS", {})
    report = rig.recover()
    assert [skipped.queue_id for skipped in report.skipped] == ["a"]
    assert rig.engine.shard.queue_ids() == ["b"]


def old(queue_id: str = "a", **members: object) -> tuple[str, Json]:
    """A queue that nobody polled for a day."""
    return of(queue_id, last_connection_time=START - 86_400, **members)


@pytest.mark.parametrize(("timeout", "offline_after"), [(600, 0), (43_200, 600)])
def test_a_queue_past_its_time_is_kept_until_its_client_had_a_minute_to_come_r10_8(
    timeout: int, offline_after: int
) -> None:
    rig = Rig(timing=EngineTiming(collect_every=1), limits=Limits(offline_after=offline_after))
    imported(rig, read_all(dump(old(queue_timeout=timeout))))
    rig.wait(55)
    found = rig.engine.shard.find("a")
    assert found is not None
    assert not found.offline
    rig.wait(10)
    found = rig.engine.shard.find("a")
    assert (found is None) is (timeout <= 600)
    assert found is None or found.offline


def test_a_queue_that_was_offline_is_offline_still_and_nobody_is_told_again_r10_12() -> None:
    rig = Rig(timing=EngineTiming(collect_every=1))
    event = {
        "type": "message",
        "message": {"id": 5, "sender_id": 8},
        "internal_data": {"dm_push_notify": True},
    }
    imported(
        rig, [read("a", descriptor(stored_queue(event, queue_id="a"), queue_timeout=9000, offline=True))]
    )
    rig.wait(700)
    assert rig.engine.shard.outbox_page("missedmessage_mobile_notifications", after=0, limit=9).records == []


def test_a_time_that_is_yet_to_come_counts_as_now() -> None:
    rig = Rig()
    imported(rig, read_all(dump(of("a", last_connection_time=START * 100))))
    found = rig.engine.shard.find("a")
    assert found is not None
    assert found.last_active == rig.clock.time


def test_who_waits_was_there_a_moment_ago() -> None:
    rig = Rig()
    mine = rig.register()
    rig.poll(mine, block=True)
    rig.clock.time += 40
    (queue,) = read_all(exported(rig))
    assert queue.last_active == rig.clock.time


def test_a_dump_from_before_the_fact_opens_no_firehose_d_1() -> None:
    rig = Rig()
    imported(
        rig,
        read_all(
            dump(
                of("a", all_public_streams=True),
                of("b", all_public_streams=True, may_access_public_channels=True),
            )
        ),
    )
    hears = rig.engine.shard._state.directory.public_listeners(spec().realm_id, "ops")
    assert [queue.queue_id for queue in hears] == ["b"]


def test_a_queue_that_ends_while_a_dump_is_written_is_left_out() -> None:
    rig = Rig()
    first, second, third = rig.register(), rig.register(), rig.register()
    pairs = rig.engine.dumps.write()
    found = [next(pairs)]
    rig.delete(second)
    rig.register()
    found += pairs
    assert [read_all(b"[" + one + b"]")[0].queue_id for one in found] == [first, third]
    with pytest.raises(BadEventQueueId):
        rig.poll(second)
