"""A journal on a disk that fails, and what it says then."""

import errno

import pytest

from support.simulated_files import SimulatedFiles, failing_at
from support.stores import Running, numbered, restarted
from tidewire.core.errors import Unavailable
from tidewire.storage.segments import segment_serials


class FailingCalls:
    """Fails every call of the given names, as long as it is switched on."""

    def __init__(self, *names: str, error: int = errno.EIO) -> None:
        self.names = names
        self.error = error
        self.on = True

    def __call__(self, name: str) -> None:
        """Fails, or not."""
        if self.on and name in self.names:
            raise OSError(self.error, "It failed")


def running() -> Running:
    made = Running(SimulatedFiles())
    made.append(1)
    return made


@pytest.mark.parametrize("room", [0, 1, 7, 8, 40])
def test_a_record_without_room_is_cut_off_and_taken_again_when_there_is_room(room: int) -> None:
    made = running()
    made.files.room = room
    for _ in range(3):
        with pytest.raises(Unavailable, match="make room"):
            made.append(2)
    made.files.room = None
    assert made.journal.append(numbered(3)) == 2
    again = restarted(made.files)
    assert again.left.numbers == [1, 3]
    assert again.left.damage == ()


def test_what_can_be_neither_written_nor_cut_off_is_left_to_a_new_segment() -> None:
    made = running()
    made.files.room = 30
    fault = FailingCalls("truncate")
    made.files.fault = fault
    with pytest.raises(Unavailable):
        made.append(2)
    made.files.room = None
    made.append(3)
    again = restarted(made.files)
    assert again.left.numbers == [1, 3]
    assert again.left.damage == ()
    assert len(segment_serials(list(made.files.nodes))) == 2


def test_as_long_as_no_new_segment_can_be_made_records_are_refused() -> None:
    made = running()
    fault = FailingCalls("append", "truncate", "create", error=errno.EROFS)
    made.files.fault = fault
    for _ in range(2):
        with pytest.raises(Unavailable, match="writable"):
            made.append(2)
    fault.on = False
    made.append(3)
    assert restarted(made.files).left.numbers == [1, 3]


def test_a_segment_that_cannot_be_followed_by_another_goes_on_growing() -> None:
    made = Running(SimulatedFiles(), segment_bytes=200)
    made.files.fault = FailingCalls("create", error=errno.EMFILE)
    made.append(*range(1, 20))
    assert segment_serials(list(made.files.nodes)) == [1]
    made.files.fault = None
    made.append(20)
    assert len(segment_serials(list(made.files.nodes))) == 2
    assert restarted(made.files).left.numbers == list(range(1, 21))


def test_a_start_on_a_full_disk_goes_on_when_there_is_room() -> None:
    files = running().files.after_kill()
    files.room = 10
    made = Running(files)
    assert made.left.numbers == [1]
    with pytest.raises(Unavailable):
        made.append(2)
    files.room = None
    made.append(3)
    assert restarted(files).left.numbers == [1, 3]


@pytest.mark.parametrize("names", [("create",), ("append",)])
def test_a_snapshot_that_cannot_be_begun_is_refused_and_tried_again(names: tuple[str, ...]) -> None:
    made = running()
    fault = FailingCalls(*names)
    made.files.fault = fault
    with pytest.raises(Unavailable, match="check the disk"):
        made.journal.begin_snapshot()
    fault.on = False
    made.snapshot(b"state")
    made.append(2)
    left = restarted(made.files).left
    assert (left.frames, left.numbers) == ([b"state"], [2])


@pytest.mark.parametrize("names", [("append",), ("sync",), ("sync_directory",), ("rename",), ("names",)])
def test_a_snapshot_that_fails_leaves_everything_as_it_was(names: tuple[str, ...]) -> None:
    made = running()
    made.snapshot(b"first")
    made.append(2)
    tail = made.journal.tail_bytes
    draft = made.journal.begin_snapshot()
    draft.write(b"second")
    fault = FailingCalls(*names)
    made.files.fault = fault
    with pytest.raises(Unavailable):
        draft.commit()
    with pytest.raises(Unavailable):
        draft.write(b"more")
    fault.on = False
    assert made.journal.tail_bytes == tail
    made.append(3)
    left = restarted(made.files).left
    assert (left.frames, left.numbers) == ([b"first"], [2, 3])
    assert not [name for name in made.files.nodes if name.endswith(".draft")]
    made.snapshot(b"third")
    assert restarted(made.files).left.frames == [b"third"]


def test_what_could_not_be_removed_goes_with_the_next_snapshot() -> None:
    made = running()
    fault = FailingCalls("unlink")
    made.files.fault = fault
    made.snapshot(b"first")
    made.append(2)
    made.snapshot(b"second")
    left = restarted(made.files).left
    assert (left.frames, left.numbers, left.damage) == ([b"second"], [], ())
    fault.on = False
    made.append(3)
    made.snapshot(b"third")
    assert len(made.files.nodes) == 3


def test_every_segment_is_closed_in_the_end() -> None:
    for durability in ("process", "power"):
        made = Running(SimulatedFiles(), durability, segment_bytes=100)
        made.append(*range(1, 20))
        made.snapshot(b"state")
        made.append(20)
        made.store.close()
        assert made.files.opened
        assert all(file.closed for file in made.files.opened)


# With flushes.


def test_a_record_is_durable_when_a_flush_that_began_after_it_has_ended() -> None:
    made = Running(SimulatedFiles(), "power")
    made.append(1, 2)
    assert made.journal.durable == 0
    made.flush()
    assert (made.journal.durable, made.durable_calls) == (2, 1)

    def write_meanwhile(name: str) -> None:
        made.files.fault = None
        if name == "sync":
            made.append(4)

    made.append(3)
    made.files.fault = write_meanwhile
    made.flush()
    assert made.journal.durable == 3
    made.flush()
    assert (made.journal.durable, made.durable_calls) == (4, 3)
    made.flush()
    assert made.durable_calls == 3


def test_a_flush_reaches_all_segments_and_the_directory_once_for_each() -> None:
    made = Running(SimulatedFiles(), "power", segment_bytes=100)
    made.append(*range(1, 10))
    segments = len(segment_serials(list(made.files.nodes)))
    made.files.calls.clear()
    made.flush()
    assert made.files.calls == ["sync"] * segments + ["sync_directory"]
    made.files.calls.clear()
    made.files.nodes.clear()
    made.flush()
    assert made.files.calls == ["sync"]


def test_a_flush_that_fails_is_told_and_nothing_is_durable_or_taken_after_it() -> None:
    made = Running(SimulatedFiles(), "power")
    made.append(1)
    made.flush()
    made.append(2)
    made.files.fault = failing_at(0, errno.EIO)
    made.flush()
    made.flush()
    assert [type(error) for error in made.failures] == [OSError]
    assert made.journal.durable == 1
    with pytest.raises(Unavailable, match="the server ends"):
        made.append(3)
    with pytest.raises(Unavailable, match="the server ends"):
        made.journal.begin_snapshot()
    made.store.close()
