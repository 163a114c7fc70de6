"""What every journal must do, run against each implementation.

A further implementation adds one function to IMPLEMENTATIONS, which gives the store as well where there is one.
"""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.core_rig import KeepingJournal, spec
from support.stores import begin, read
from tidewire.core.errors import Unavailable
from tidewire.core.records import Published, Record, Registered, Removed, Sealed, Ticked
from tidewire.ports.storage import Journal, StateStore
from tidewire.storage.directory import Durability, open_directory
from tidewire.storage.in_memory import MemoryStore
from tidewire.storage.journal import NullJournal

RECORDS: tuple[Record, ...] = (
    Registered(1.0, "queue-1", spec()),
    Published(2.0, (b'{"event":{"type":"x"},"users":[1]}',)),
    Sealed("queue-1", -1, -1, 1),
    Ticked(3.0, heartbeats=("queue-1",)),
    Removed(4.0, "queue-1", "deleted"),
)


Made = tuple[Journal, StateStore | None]


def none(_folder: Path) -> Made:
    return NullJournal(), None


def of_the_tests(_folder: Path) -> Made:
    return KeepingJournal(), None


def in_memory(_folder: Path) -> Made:
    store = MemoryStore()
    return begin(store), store


def without_a_journal(folder: Path) -> Made:
    return in_a_directory(folder, "none")


def for_the_process(folder: Path) -> Made:
    return in_a_directory(folder, "process")


def for_the_power(folder: Path) -> Made:
    return in_a_directory(folder, "power")


def in_a_directory(folder: Path, durability: Durability) -> Made:
    store = open_directory(folder / "state", durability=durability)
    read(store.recover())
    return begin(store), store


IMPLEMENTATIONS = (none, of_the_tests, in_memory, without_a_journal, for_the_process, for_the_power)


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda make: make.__name__)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Made]:
    make: Callable[[Path], Made] = request.param
    journal, store = make(tmp_path)
    yield journal, store
    if store is not None:
        store.close()


@pytest.fixture
def journal(made: Made) -> Journal:
    return made[0]


def settle(made: Made) -> None:
    """Makes everything durable: closing does at the latest."""
    if made[1] is not None:
        made[1].close()


def test_the_ports_methods_are_there_with_the_same_parameters(journal: Journal) -> None:
    for name in ("durable", "tail_bytes"):
        assert isinstance(inspect.getattr_static(journal, name), property)
    assert list(inspect.signature(journal.append).parameters) == ["record"]
    assert list(inspect.signature(journal.begin_snapshot).parameters) == []


def test_a_snapshot_is_at_the_position_reached(journal: Journal) -> None:
    for expected, record in enumerate(RECORDS):
        draft = journal.begin_snapshot()
        assert draft.position == expected
        draft.write(b"state")
        draft.commit()
        journal.append(record)


def test_nothing_is_durable_at_first(journal: Journal) -> None:
    assert journal.durable == 0


def test_positions_count_records_from_one(journal: Journal) -> None:
    assert [journal.append(record) for record in RECORDS] == [1, 2, 3, 4, 5]


def test_the_durable_position_rises_to_the_newest_record_and_never_beyond_or_back(made: Made) -> None:
    journal = made[0]
    last = 0
    for record in RECORDS:
        position = journal.append(record)
        assert last <= journal.durable <= position
        last = journal.durable
    settle(made)
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
