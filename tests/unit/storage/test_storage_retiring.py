"""A server without a journal: what it does with the state that it begins with (R10.7)."""

import itertools
from random import Random

import pytest

from support.simulated_files import Killed, SimulatedFiles, killed_at
from support.stores import Left, Running, committed, numbered, read, restarted
from tidewire.storage.directory import DirectoryStore
from tidewire.storage.segments import segment_serials
from tidewire.storage.snapshots import snapshot_name, snapshot_positions


def recover(files: SimulatedFiles) -> Left:
    return read(DirectoryStore(files, durability="process").recover())


def test_without_a_journal_the_snapshot_of_a_clean_stop_comes_back_once() -> None:
    running = Running(SimulatedFiles(), "none")
    running.append(1, 2)
    running.snapshot(b"state")
    running = restarted(running.files, "none")
    assert (running.left.position, running.left.frames, running.left.numbers) == (2, [b"state"], [])
    assert running.journal.append(numbered(3)) == 3
    files = running.files.after_kill()
    assert set(files.nodes) == {"version", "snapshot.last"}
    running = Running(files, "none")
    assert running.left.frames == []
    running.snapshot(b"later")
    assert restarted(running.files).left.frames == [b"later"]


def test_without_a_journal_an_earlier_ones_records_are_given_up_too() -> None:
    for files in (committed(remove=True), committed(remove=False)):
        running = Running(files, "none")
        assert not segment_serials(list(running.files.nodes))
        assert not snapshot_positions(list(running.files.nodes))
        left = restarted(running.files).left
        assert (left.position, left.frames, left.records, left.damage) == (0, [], [], ())


@pytest.mark.parametrize("seed", range(4))
def test_of_an_interrupted_giving_up_comes_back_all_or_nothing(seed: int) -> None:
    """Never an older state, nor a part of the newest."""
    chance = Random(seed)
    for call in itertools.count():
        files = all_flushed(committed(remove=False))
        files.fault = killed_at(call)
        try:
            Running(files, "none")
        except Killed:
            for future in (files.after_kill(), files.after_power_cut(chance)):
                left = recover(future)
                assert (left.frames, left.numbers) in [([b"second"], [5]), ([], [])]
        else:
            break


def all_flushed(files: SimulatedFiles) -> SimulatedFiles:
    """The same files, as they are on the disk."""
    for node in files.nodes.values():
        node.flushed = node.content
    files.sync_directory()
    return files


def test_records_left_by_an_interrupted_giving_up_are_not_applied() -> None:
    files = committed(remove=True)
    files.rename(snapshot_name(4), "snapshot.last")
    left = recover(files)
    assert left.records == []
    assert [damage.records for damage in left.damage] == [1]
