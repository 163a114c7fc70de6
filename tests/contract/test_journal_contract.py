"""What every journal must do, run against each implementation.

A further implementation adds one function to IMPLEMENTATIONS; one whose `durable` moves later gives a function that
waits for it in SETTLES.
"""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from support.core_rig import KeepingJournal, spec
from tidewire.core.errors import Unavailable
from tidewire.core.records import Published, Record, Registered, Removed, Sealed, Ticked
from tidewire.ports import Journal
from tidewire.storage.null_journal import NullJournal

RECORDS: tuple[Record, ...] = (
    Registered(1.0, "queue-1", spec()),
    Published(2.0, (b'{"event":{"type":"x"},"users":[1]}',)),
    Sealed("queue-1", -1, -1, 1),
    Ticked(3.0, heartbeats=("queue-1",)),
    Removed(4.0, "queue-1", "deleted"),
)


def none(_folder: Path) -> Journal:
    return NullJournal()


def of_the_tests(_folder: Path) -> Journal:
    return KeepingJournal()


IMPLEMENTATIONS = (none, of_the_tests)
SETTLES: Mapping[str, Callable[[Journal], None]] = {}


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda make: make.__name__)
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    make: Callable[[Path], Journal] = request.param
    return make(tmp_path)


def settle(journal: Journal) -> None:
    """Waits until everything is durable."""
    wait = SETTLES.get(type(journal).__name__)
    if wait is not None:
        wait(journal)


def test_the_ports_methods_are_there_with_the_same_parameters(journal: Journal) -> None:
    assert isinstance(inspect.getattr_static(journal, "durable"), property)
    assert list(inspect.signature(journal.append).parameters) == ["record"]


def test_nothing_is_durable_at_first(journal: Journal) -> None:
    assert journal.durable == 0


def test_positions_count_records_from_one(journal: Journal) -> None:
    assert [journal.append(record) for record in RECORDS] == [1, 2, 3, 4, 5]


def test_the_durable_position_rises_to_the_newest_record_and_never_beyond_or_back(journal: Journal) -> None:
    last = 0
    for record in RECORDS:
        position = journal.append(record)
        assert last <= journal.durable <= position
        last = journal.durable
    settle(journal)
    assert journal.durable == len(RECORDS)


def test_the_journal_of_the_tests_fails_whole_and_can_lag() -> None:
    journal = KeepingJournal()
    journal.lags = True
    journal.append(RECORDS[0])
    assert journal.durable == 0
    journal.fails = True
    with pytest.raises(Unavailable):
        journal.append(RECORDS[1])
    journal.fails = False
    assert journal.append(RECORDS[1]) == 2
    journal.sync()
    assert journal.durable == 2
