"""A process that ends, or a machine that loses power, at any call of a life with rotations and snapshots.

What must hold afterwards: whatever was appended (`process`) or durable (`power`) is there, and what is there is a
beginning of what was appended.
"""

import contextlib
import errno
from collections.abc import Iterator
from random import Random

import pytest

from support.simulated_files import Killed, SimulatedFiles, failing_at, killed_at
from support.stores import Left, Running, numbered, read
from tidewire.core.errors import StateError, Unavailable
from tidewire.storage.directory import DirectoryStore, Durability

CALLS = 200
"""More than a life has."""


class Life:
    """Appends records numbered like their positions, flushes now and then, and takes three snapshots.

    A frame holds the number of the newest record when it was written: a frame may be ahead of the position.
    """

    def __init__(self, files: SimulatedFiles, durability: Durability) -> None:
        self.files = files
        self.durability = durability
        self.appended = 0
        self.tried = 0
        self.durable = 0
        self.running: Running | None = None

    def live(self) -> None:
        """Until something ends it."""
        self.running = Running(self.files, self.durability, segment_bytes=300)
        self.appended = self.tried = self.running.left.reached
        self.durable = self.running.journal.durable
        for _ in range(3):
            self._append(4)
            self._snapshot()
            self._append(3)
        self.running.store.close()

    def _append(self, count: int) -> None:
        assert self.running is not None
        for _ in range(count):
            self.tried = self.appended + 1
            try:
                assert self.running.journal.append(numbered(self.tried)) == self.tried
            except Unavailable:
                continue
            self.appended = self.tried
            if self.durability == "power" and self.appended % 3 == 0:
                self.running.flush()
            self.durable = self.running.journal.durable

    def _snapshot(self) -> None:
        assert self.running is not None
        try:
            draft = self.running.journal.begin_snapshot()
            for _ in range(2):
                draft.write(b"%d" % self.appended)
                self._append(3)
            draft.commit()
        except Unavailable:
            return


def left_after(files: SimulatedFiles) -> Left:
    return read(DirectoryStore(files, durability="process").recover())


def check(left: Left, *, least: int, most: int) -> None:
    """Everything up to `least` is there, nothing above `most`, without a gap; frames are not ahead."""
    assert left.reached >= least
    assert left.reached <= most
    assert left.records == [(number, number) for number in range(left.position + 1, left.reached + 1)]
    for frame in left.frames:
        assert left.position <= int(frame) <= left.through <= left.reached
    assert len(left.frames) in {0, 2}


def lives(durability: Durability) -> Iterator[Life]:
    """A life that ends at each of its calls, and one that comes to its end."""
    for number in range(CALLS):
        life = Life(SimulatedFiles(fault=killed_at(number), torn=Random(number).randrange), durability)
        try:
            life.live()
        except Killed:
            yield life
            continue
        yield life
        return
    pytest.fail("a life has more calls than are tried")


def test_after_the_end_of_the_process_everything_appended_is_there() -> None:
    ended = 0
    for life in lives("process"):
        left = left_after(life.files.after_kill())
        check(left, least=life.appended, most=life.tried)
        ended += 1
    assert ended > 60


@pytest.mark.parametrize("seed", range(6))
def test_after_a_loss_of_power_everything_durable_is_there(seed: int) -> None:
    chance = Random(seed)
    for life in lives("power"):
        left = left_after(life.files.after_power_cut(chance))
        check(left, least=life.durable, most=life.tried)


@pytest.mark.parametrize("seed", range(6))
def test_without_flushing_a_loss_of_power_leaves_a_beginning(seed: int) -> None:
    chance = Random(seed)
    for life in lives("process"):
        left = left_after(life.files.after_power_cut(chance))
        check(left, least=left.position, most=life.tried)


@pytest.mark.parametrize("seed", range(6))
def test_a_second_life_may_end_anywhere_too(seed: int) -> None:
    chance = Random(seed)
    for life in lives("power"):
        # After a kill, the second process finds records that the first had not flushed, and calls them durable.
        files = life.files.after_power_cut(chance) if chance.random() < 0.5 else life.files.after_kill()
        second = Life(files, "power")
        second.durable = life.durable
        files.fault = killed_at(chance.randrange(60))
        with contextlib.suppress(Killed):
            second.live()
        most = max(second.tried, life.tried)
        check(left_after(files.after_power_cut(chance)), least=second.durable, most=most)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_call_that_fails_loses_nothing_that_was_promised(error: int, durability: Durability) -> None:
    for number in range(CALLS):
        life = Life(SimulatedFiles(fault=failing_at(number, error)), durability)
        try:
            life.live()
        except StateError:
            assert not life.appended
            continue
        check(left_after(life.files.after_kill()), least=life.appended, most=life.tried)
        if len(life.files.calls) <= number:
            return
    pytest.fail("a life has more calls than are tried")


@pytest.mark.parametrize("room", range(0, 3000, 61))
def test_a_full_disk_stops_it_at_any_byte_and_room_lets_it_go_on(room: int) -> None:
    files = SimulatedFiles()
    Running(files).store.close()
    files.room = room
    life = Life(files, "process")
    life.live()
    assert life.running is not None
    files.room = None
    reopened = Running(files.after_kill())
    assert reopened.left.numbers == list(range(reopened.left.position + 1, life.appended + 1))
    life.running.append(life.appended + 1)
    check(left_after(files.after_kill()), least=life.appended + 1, most=life.appended + 1)


def test_the_disk_holds_no_more_than_the_snapshot_and_what_came_after() -> None:
    running = Running(SimulatedFiles(), segment_bytes=300)
    for number in range(1, 500):
        running.append(number)
        if number % 50 == 0:
            running.snapshot(b"state")
            assert running.journal.tail_bytes == 0
            names = running.files.names()
            assert sorted(name.partition("-")[0] for name in names) == ["segment", "snapshot", "version"]
    assert running.journal.tail_bytes > 0
