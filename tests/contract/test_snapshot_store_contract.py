"""What every snapshot store must do, run against each implementation, and what the one with a disk owes besides.

A further implementation adds one function to IMPLEMENTATIONS that makes one in an empty folder.
"""

import inspect
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.core_rig import Rig
from support.events import flags
from tidewire.core.errors import StateError
from tidewire.core.snapshot import Snapshot, encode_snapshot
from tidewire.ports import SnapshotStore
from tidewire.storage.state_directory import FORMAT, StateDirectory


def in_a_directory(folder: Path) -> SnapshotStore:
    return StateDirectory(folder / "state")


IMPLEMENTATIONS = (in_a_directory,)


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda make: make.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SnapshotStore]:
    make: Callable[[Path], SnapshotStore] = request.param
    made = make(tmp_path)
    yield made
    if isinstance(made, StateDirectory):
        made.close()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[StateDirectory]:
    made = StateDirectory(tmp_path)
    yield made
    made.close()


def image(events: int) -> Snapshot:
    """A snapshot with a queue of so many events, some of which wait to be merged."""
    rig = Rig()
    rig.register()
    rig.publish({"type": "deploy"}, *(flags("add", "read", [message]) for message in range(events)))
    return rig.engine.snapshot()


def test_the_public_methods_are_the_ports(store: SnapshotStore) -> None:
    port = {name for name in vars(SnapshotStore) if not name.startswith("_")}
    mine = {name for name in dir(store) if not name.startswith("_")}
    assert port == mine - {"close"}
    for name in port:
        parameters = list(inspect.signature(getattr(SnapshotStore, name)).parameters)[1:]
        assert list(inspect.signature(getattr(store, name)).parameters) == parameters


def test_there_is_no_snapshot_at_first(store: SnapshotStore) -> None:
    assert store.load() is None


def test_the_snapshot_that_was_saved_last_is_loaded_as_often_as_asked(store: SnapshotStore) -> None:
    store.save(image(1))
    store.save(image(3))
    assert store.load() == store.load() == image(3)


def test_a_retired_snapshot_is_not_loaded_again_and_the_next_one_is(store: SnapshotStore) -> None:
    store.retire()
    store.save(image(1))
    store.retire()
    assert store.load() is None
    store.retire()
    assert store.load() is None
    store.save(image(2))
    assert store.load() == image(2)


def test_a_second_server_is_refused_the_directory_until_the_first_lets_go(tmp_path: Path) -> None:
    first = StateDirectory(tmp_path)
    with pytest.raises(StateError, match="in use by another server"):
        StateDirectory(tmp_path)
    first.close()
    StateDirectory(tmp_path).close()


def test_the_directory_is_made_with_its_parents_for_its_owner_only(tmp_path: Path) -> None:
    StateDirectory(tmp_path / "a" / "b").close()
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_snapshot_is_readable_by_its_owner_only(directory: StateDirectory, tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        directory.save(image(1))
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "snapshot").stat().st_mode) == 0o600


def test_a_retired_snapshot_is_kept_beside(directory: StateDirectory, tmp_path: Path) -> None:
    directory.save(image(1))
    content = (tmp_path / "snapshot").read_bytes()
    directory.retire()
    assert (tmp_path / "snapshot.last").read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"tidewire snapshot 2\n" + encode_snapshot(image(1)),
        b"something else\n" + encode_snapshot(image(1)),
        encode_snapshot(image(1)),
        FORMAT,
        FORMAT + encode_snapshot(image(1))[:-1],
        FORMAT + encode_snapshot(image(1)) + b"x",
        FORMAT + encode_snapshot(image(1)).replace(b"queue-1", b"queue\xff1"),
        FORMAT + b"\x00" * 100,
    ],
)
def test_a_damaged_or_foreign_snapshot_is_refused_and_stays_where_it_is(
    directory: StateDirectory, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "snapshot").write_bytes(content)
    with pytest.raises(StateError) as caught:
        directory.load()
    assert str(tmp_path / "snapshot") in str(caught.value)
    assert (tmp_path / "snapshot").read_bytes() == content


def test_a_flipped_bit_is_noticed(directory: StateDirectory, tmp_path: Path) -> None:
    directory.save(image(1))
    content = bytearray((tmp_path / "snapshot").read_bytes())
    content[-3] ^= 1
    (tmp_path / "snapshot").write_bytes(content)
    with pytest.raises(StateError, match="damaged"):
        directory.load()


def test_a_save_that_is_cut_short_leaves_the_old_snapshot(
    directory: StateDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.save(image(1))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StateError, match="No space left on device"):
            directory.save(image(2))
    assert directory.load() == image(1)
    written = (tmp_path / "snapshot").read_bytes()
    assert written.startswith(FORMAT)
    assert written.endswith(encode_snapshot(image(1)))
    directory.save(image(2))
    assert directory.load() == image(2)


def test_a_crash_while_the_first_snapshot_is_written_leaves_none(
    directory: StateDirectory, tmp_path: Path
) -> None:
    (tmp_path / "snapshot.draft").write_bytes(FORMAT + b"half")
    assert directory.load() is None
    directory.save(image(1))
    assert directory.load() == image(1)
    assert not (tmp_path / "snapshot.draft").exists()


def test_a_directory_that_cannot_be_one_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="can't be used as the state directory"):
        StateDirectory(tmp_path / "file")


def test_a_snapshot_that_cannot_be_read_or_moved_is_a_state_error(
    directory: StateDirectory, tmp_path: Path
) -> None:
    (tmp_path / "snapshot").mkdir()
    with pytest.raises(StateError, match="can't be read"):
        directory.load()
    (tmp_path / "snapshot.last").write_text("")
    with pytest.raises(StateError, match="can't be renamed"):
        directory.retire()
