"""The store in a real directory: its modes, its lock, its threads, and a look at it from outside."""

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from support.stores import begin, numbered, read
from tidewire.core.errors import StateError
from tidewire.storage.directory import DirectoryStore, Durability, open_directory
from tidewire.storage.directory_report import in_use, look
from tidewire.storage.files import DirectoryFiles


def filled(directory: Path) -> None:
    """A snapshot at 2 and a record after it."""
    store = open_directory(directory, durability="process")
    read(store.recover())
    journal = begin(store)
    journal.append(numbered(1))
    journal.append(numbered(2))
    draft = journal.begin_snapshot()
    draft.write(b"state")
    draft.commit()
    journal.append(numbered(3))
    store.close()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_everything_is_for_its_owner_only(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        filled(tmp_path / "a" / "b")
    finally:
        os.umask(mask)
    directory = tmp_path / "a" / "b"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    holding = [path for path in directory.iterdir() if path.name != "lock"]
    assert len(holding) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in holding} == {0o600}


def test_a_second_server_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    first = open_directory(tmp_path, durability="process")
    with pytest.raises(StateError, match="in use by another server"):
        open_directory(tmp_path, durability="process")
    assert in_use(tmp_path)
    first.close()
    assert not in_use(tmp_path)
    assert not in_use(tmp_path / "nowhere")
    open_directory(tmp_path, durability="process").close()


def test_a_directory_that_cannot_be_one_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="can't be used as the state directory"):
        open_directory(tmp_path / "file", durability="process")
    (tmp_path / "segment-00000001").mkdir()
    store = open_directory(tmp_path, durability="process")
    with pytest.raises(StateError, match="can't be used as the state directory"):
        store.recover()
    store.close()


def test_a_damaged_end_keeps_its_second_name_after_the_file_is_gone(tmp_path: Path) -> None:
    filled(tmp_path)
    segment = next(tmp_path.glob("segment-*"))
    torn = segment.read_bytes()[:-1]
    segment.write_bytes(torn)
    for expected in (1, 0):
        store = open_directory(tmp_path, durability="process")
        assert len(read(store.recover()).damage) == expected
        begin(store).begin_snapshot().commit()
        store.close()
    assert [path.read_bytes() for path in tmp_path.glob("*.damaged-*")] == [torn]
    assert not segment.exists()


PROGRAM = """
import sys
from pathlib import Path
from support.stores import begin, numbered, read
from tidewire.storage.directory import open_directory
store = open_directory(Path(sys.argv[1]), durability=sys.argv[2])
read(store.recover())
journal = begin(store)
number = 0
while True:
    number = journal.append(numbered(number + 1))
    sys.stdout.write(f"{journal.durable}\\n")
    sys.stdout.flush()
    if number % 100 == 0:
        draft = journal.begin_snapshot()
        draft.write(b"%d" % number)
        draft.commit()
"""


@pytest.mark.slow
@pytest.mark.parametrize("durability", ["process", "power"])
def test_what_a_killed_process_called_durable_is_there(tmp_path: Path, durability: Durability) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), durability]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:  # noqa: S603 - our own words
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(450)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    durable = max(int(line) for line in lines if line.endswith("\n"))
    assert durable > (400 if durability == "process" else 0)
    store = open_directory(tmp_path, durability=durability)
    left = read(store.recover())
    store.close()
    assert left.reached >= durable
    assert left.records == [(number, number) for number in range(left.position + 1, left.reached + 1)]
    assert left.frames == [b"%d" % left.position]
    # A write that crosses a page may be cut there; what was called durable is before it.
    assert [damage.records for damage in left.damage] in ([], [0])


def test_a_record_becomes_durable_by_itself_and_says_so(tmp_path: Path) -> None:
    moved = threading.Semaphore(0)
    store = open_directory(tmp_path, durability="power")
    read(store.recover())
    journal = begin(store, on_durable=moved.release)
    for number in range(1, 50):
        journal.append(numbered(number))
        while journal.durable < number:
            assert moved.acquire(timeout=60)
    journal.append(numbered(50))
    store.close()
    assert journal.durable == 50


def test_a_flush_that_fails_on_its_thread_is_told_once(tmp_path: Path) -> None:
    failures: list[Exception] = []
    told = threading.Event()

    def failed(error: Exception) -> None:
        failures.append(error)
        told.set()

    class Failing(DirectoryFiles):
        def sync_directory(self) -> None:
            if threading.current_thread().name == "tidewire-syncer":
                raise OSError(5, "Input/output error")
            super().sync_directory()

    store = DirectoryStore(Failing(tmp_path), durability="power")
    read(store.recover())
    journal = begin(store, on_failed=failed)
    journal.append(numbered(1))
    assert told.wait(60)
    store.close()
    assert len(failures) == 1
    assert journal.durable == 0


# A look from outside.


def test_a_look_lists_the_files_and_changes_nothing(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "secret").write_text("s")
    (tmp_path / "snapshot.last").write_text("s")
    (tmp_path / "snapshot-000000000009.draft").write_text("s")
    (tmp_path / "segment-00000001.damaged-1").write_text("s")
    before = contents(tmp_path)
    seen = look(tmp_path, running=False)
    assert contents(tmp_path) == before
    assert (seen.position, seen.reached, seen.refused, seen.problems) == (2, 3, None, ())
    kinds = {file.name: file.kind for file in seen.files}
    assert kinds == {
        "segment-00000002": "segment",
        "snapshot-000000000002": "snapshot",
        "secret": "other",
        "snapshot.last": "retired",
        "snapshot-000000000009.draft": "draft",
        "segment-00000001.damaged-1": "damaged",
    }
    segment, snapshot = seen.files[:2]
    assert (segment.first, segment.last, segment.fingerprint) == (3, 3, "rules 1")
    assert (snapshot.first, snapshot.last, snapshot.fingerprint) == (2, 2, None)
    assert segment.bytes == len(before["segment-00000002"])


def test_a_look_says_what_is_damaged(tmp_path: Path) -> None:
    filled(tmp_path)
    segment = tmp_path / "segment-00000002"
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1])
    assert len(look(tmp_path, running=False).problems) == 1
    assert look(tmp_path, running=True).problems == ()
    segment.write_bytes(whole.replace(b"rules 1", b"Rules 1"))
    assert look(tmp_path, running=False).problems == (
        "segment-00000002: its header is damaged; 1 of its records can be read",
    )
    segment.write_bytes(whole)
    snapshot = tmp_path / "snapshot-000000000002"
    content = snapshot.read_bytes()
    snapshot.write_bytes(content[:-1])
    seen = look(tmp_path, running=False)
    assert (seen.position, seen.refused) == (2, None)
    assert "of its parts can't be read" in seen.problems[0]
    snapshot.write_bytes(content[:30])
    seen = look(tmp_path, running=False)
    assert seen.position is None
    assert seen.problems[0] == "snapshot-000000000002: it is damaged as a whole"
    assert "from a copy" in seen.problems[1]


def test_a_look_at_a_server_at_work_is_never_wrong(tmp_path: Path) -> None:
    store = DirectoryStore(DirectoryFiles(tmp_path), durability="process", segment_bytes=500)
    read(store.recover())
    journal = begin(store)
    ends = threading.Event()
    problems: list[str] = []

    def watch() -> None:
        while not ends.is_set():
            problems.extend(look(tmp_path, running=True).problems)

    watching = threading.Thread(target=watch)
    watching.start()
    for number in range(1, 500):
        journal.append(numbered(number))
        if number % 20 == 0:
            journal.begin_snapshot().commit()
    ends.set()
    watching.join()
    store.close()
    assert problems == []


def test_a_look_at_nothing_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="can't be used"):
        look(tmp_path / "nowhere", running=False)
