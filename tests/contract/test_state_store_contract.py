"""What every state store must do, run against each implementation.

A further implementation adds one function to IMPLEMENTATIONS that gives a function which opens it: each time as the
next process would, with the same place behind it.
"""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from support.stores import begin, numbered, read
from tidewire.core.errors import Unavailable
from tidewire.ports.storage import Journal, SnapshotDraft, StateStore
from tidewire.storage.directory import open_directory
from tidewire.storage.in_memory import MemoryStore

Open = Callable[[], StateStore]


def in_memory(_folder: Path) -> Open:
    store = MemoryStore()
    return lambda: store


def for_the_process(folder: Path) -> Open:
    return lambda: open_directory(folder / "state", durability="process")


def for_the_power(folder: Path) -> Open:
    return lambda: open_directory(folder / "state", durability="power")


IMPLEMENTATIONS = (in_memory, for_the_process, for_the_power)


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda make: make.__name__)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    make: Callable[[Path], Open] = request.param
    return make(tmp_path)


def started(open_store: Open, fingerprint: str = "rules 1") -> tuple[StateStore, Journal]:
    store = open_store()
    read(store.recover())
    return store, begin(store, fingerprint)


def methods(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_the_ports_methods_are_there_with_the_same_parameters(open_store: Open) -> None:
    store, journal = started(open_store)
    draft = journal.begin_snapshot()
    for mine, port in ((store, StateStore), (journal, Journal), (draft, SnapshotDraft)):
        names = methods(port)
        assert names <= methods(mine)
        for name in names:
            if inspect.isfunction(declared := inspect.getattr_static(port, name)):
                assert (
                    list(inspect.signature(getattr(mine, name)).parameters)
                    == list(inspect.signature(declared).parameters)[1:]
                )
    draft.abandon()
    store.close()


def test_there_is_nothing_at_first(open_store: Open) -> None:
    store = open_store()
    left = read(store.recover())
    assert (left.position, left.through, left.reached, left.frames, left.records) == (0, 0, 0, [], [])
    assert not left.origins
    assert not left.damage
    journal = begin(store)
    assert journal.durable == journal.tail_bytes == 0
    store.close()


def test_what_was_appended_comes_back_in_order_and_positions_go_on(open_store: Open) -> None:
    store, journal = started(open_store)
    assert [journal.append(numbered(number)) for number in (7, 8, 9)] == [1, 2, 3]
    store.close()
    store = open_store()
    assert read(store.recover()).records == [(1, 7), (2, 8), (3, 9)]
    journal = begin(store)
    assert journal.durable == 3
    assert journal.tail_bytes > 0
    assert journal.append(numbered(10)) == 4
    store.close()
    store = open_store()
    assert read(store.recover()).records == [(1, 7), (2, 8), (3, 9), (4, 10)]
    store.close()


def test_a_snapshot_takes_the_place_of_the_records_before_it(open_store: Open) -> None:
    store, journal = started(open_store)
    journal.append(numbered(1))
    journal.append(numbered(2))
    draft = journal.begin_snapshot()
    assert draft.position == 2
    draft.write(b"one")
    journal.append(numbered(3))
    draft.write(b"two")
    draft.commit()
    journal.append(numbered(4))
    store.close()
    store = open_store()
    left = read(store.recover())
    assert (left.position, left.through, left.reached) == (2, 3, 4)
    assert left.frames == [b"one", b"two"]
    assert left.records == [(3, 3), (4, 4)]
    begin(store)
    store.close()


def test_an_abandoned_snapshot_leaves_the_one_before(open_store: Open) -> None:
    store, journal = started(open_store)
    for frame in (b"first", b"second"):
        journal.append(numbered(1))
        draft = journal.begin_snapshot()
        draft.write(frame)
        if frame == b"first":
            draft.commit()
        draft.abandon()
        draft.abandon()
    with pytest.raises(Unavailable):
        draft.commit()
    with pytest.raises(Unavailable):
        draft.write(b"more")
    store.close()
    store = open_store()
    left = read(store.recover())
    assert (left.position, left.frames, left.records) == (1, [b"first"], [(2, 1)])
    store.close()


def test_the_tail_is_what_came_since_the_newest_committed_snapshot(open_store: Open) -> None:
    store, journal = started(open_store)
    journal.append(numbered(1))
    whole = journal.tail_bytes
    journal.begin_snapshot().abandon()
    assert journal.tail_bytes == whole
    draft = journal.begin_snapshot()
    journal.append(numbered(2))
    assert journal.tail_bytes == 2 * whole
    draft.commit()
    assert journal.tail_bytes == whole
    store.close()


def test_one_snapshot_is_written_at_a_time(open_store: Open) -> None:
    store, journal = started(open_store)
    draft = journal.begin_snapshot()
    with pytest.raises(Unavailable):
        journal.begin_snapshot()
    draft.commit()
    journal.begin_snapshot().commit()
    store.close()


def test_a_snapshot_without_frames_is_one_and_an_empty_frame_is_refused(open_store: Open) -> None:
    store, journal = started(open_store)
    journal.append(numbered(1))
    draft = journal.begin_snapshot()
    with pytest.raises(ValueError, match="empty"):
        draft.write(b"")
    draft.commit()
    store.close()
    store = open_store()
    left = read(store.recover())
    assert (left.position, left.frames, left.records) == (1, [], [])
    store.close()


def test_each_record_is_known_by_the_fingerprint_it_was_written_under(open_store: Open) -> None:
    for fingerprint in ("rules 1", "rules 2", "rules 2"):
        store, journal = started(open_store, fingerprint)
        journal.append(numbered(1))
        store.close()
    store = open_store()
    recovery = store.recover()
    assert [(first, origin.fingerprint) for first, origin in recovery.origins] == [
        (1, "rules 1"),
        (2, "rules 2"),
        (3, "rules 2"),
    ]
    read(recovery)
    begin(store, "rules 3").begin_snapshot().commit()
    store.close()
    store = open_store()
    assert store.recover().origins == ()
    store.close()
