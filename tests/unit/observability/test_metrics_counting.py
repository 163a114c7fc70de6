"""What is counted around the shard: by the reporter, the journal, the process, and for each type of event."""

import errno
import inspect
from typing import Any

import pytest

from support.simulated_files import SimulatedFiles
from support.stores import Running
from tidewire.core.errors import Unavailable
from tidewire.observability.counters import Histogram, JournalStatistics
from tidewire.observability.metrics.event_times import EventTimes
from tidewire.observability.metrics.reporter import CountingReporter
from tidewire.observability.process import Process
from tidewire.ports.engine import Collection, Reporter
from tidewire.storage.directory import DirectoryStore


def test_a_time_is_counted_in_the_class_whose_bound_it_does_not_pass() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.0, 0.1, 0.11, 1.0, 1.01):
        histogram.add(seconds)
    assert histogram.counts == [2, 2, 1]
    assert histogram.total == pytest.approx(2.22)


def test_each_lap_is_counted_under_its_type() -> None:
    readings = iter([10.0, 10.25, 10.5, 11.5])
    times = EventTimes(lambda: next(readings))
    times.begin()
    for kind in ("typing", "message", "typing"):
        times.lap(kind)
    assert {kind: found.total for kind, found in times.by_kind.items()} == {"typing": 1.25, "message": 0.25}
    assert sum(times.by_kind["typing"].counts) == 2


class Told:
    """A reporter that notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def called(*arguments: object, **named: object) -> None:
            self.calls.append((name, named or arguments))

        return called


PORT = {
    name: member
    for name, member in inspect.getmembers(Reporter, inspect.isfunction)
    if not name.startswith("_")
}


@pytest.mark.parametrize("name", PORT)
def test_everything_that_is_reported_is_passed_on(name: str) -> None:
    told: Any = Told()
    reporter = CountingReporter(told)
    arguments: Any = {
        parameter.name: Collection(1, 1, 0.5, 2, 3) if parameter.name == "collection" else 7
        for parameter in list(inspect.signature(PORT[name]).parameters.values())[1:]
    }
    getattr(reporter, name)(**arguments)
    passed = arguments if name == "snapshot_kept" else tuple(arguments.values())
    assert told.calls == [(name, passed)]


def test_what_is_reported_is_counted() -> None:
    told: Any = Told()
    reporter = CountingReporter(told, snapshot_bytes=5)
    assert reporter.snapshot_bytes == 5
    reporter.answer_failed(OSError())
    reporter.snapshot_failed(OSError())
    reporter.snapshot_kept(queues=3, size=99)
    reporter.clock_skipped(2.5)
    reporter.collected(Collection(1, 1, 0.25, 2, 3))
    assert (reporter.answers_failed, reporter.snapshots_failed, reporter.snapshots_kept) == (1, 1, 1)
    assert (reporter.snapshot_bytes, reporter.skipped) == (99, 2.5)
    assert (reporter.collections, reporter.collecting) == (1, 0.25)


def statistics_of(running: Running) -> JournalStatistics:
    assert isinstance(running.store, DirectoryStore)
    return running.store.statistics


def test_records_and_flushes_are_counted_with_their_times() -> None:
    running = Running(SimulatedFiles(), durability="power")
    before = running.journal.tail_bytes
    running.append(1, 2, 3)
    statistics = statistics_of(running)
    assert sum(statistics.appends.counts) == 3
    assert statistics.bytes == running.journal.tail_bytes - before > 60
    assert sum(statistics.flushes.counts) == 0
    running.flush()
    assert sum(statistics.flushes.counts) == 1
    assert statistics.failures == 0


def test_a_record_that_cannot_be_written_is_counted_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(SimulatedFiles())
    running.append(1)

    def full(_record: object) -> bytes:
        raise Unavailable(errno.errorcode[errno.ENOSPC])

    monkeypatch.setattr(running.journal, "_append", full)
    with pytest.raises(Unavailable):
        running.append(2)
    statistics = statistics_of(running)
    assert (statistics.failures, sum(statistics.appends.counts)) == (1, 1)


def test_the_process_tells_of_itself() -> None:
    readings = iter([100.0, 107.0])
    process = Process(resident=lambda: 4096, now=lambda: next(readings))
    assert (process.started, process.uptime(), process.resident_bytes()) == (100.0, 7.0, 4096)
    before = process.open_files()
    with open(__file__, encoding="utf-8"):  # noqa: PTH123 - a file that is open
        assert process.open_files() == before + 1
    assert process.most_files() >= before
