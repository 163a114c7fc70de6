"""Snapshots on the disk: written beside the journal, read back, checked before use.

After its first line a snapshot has numbered frames: its header (number 0), those of the core, and an end. A frame's lag
says how far ahead of the snapshot's position it may show the state. A frame that is damaged costs what is in it and
nothing else. The first frame of the core holds what the others are worth nothing without, so the end has it once more;
a snapshot that has neither is damaged as a whole.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct

from tidewire.core.errors import StateError, Unavailable
from tidewire.storage.files import Files, unavailable, unlink_quietly, write_whole
from tidewire.storage.format import HEAD, LAG_MOST, Frame, pack, read_frames, seed_of, title
from tidewire.storage.quarantine import move_aside
from tidewire.storage.segments import segment_name, segment_serials

TITLE = title("snapshot")
RETIRED = "snapshot.last"
"""What a server without a journal renames the snapshot that it began with to."""
DRAFT = ".draft"
"""How the name of an unfinished snapshot ends."""
_NAME = re.compile(r"snapshot-(\d{12,})")


class SnapshotHeader(Struct, frozen=True, array_like=True):
    """What a snapshot begins with."""

    position: int


class SnapshotEnd(Struct, frozen=True, array_like=True):
    """What a whole snapshot ends with.

    Attributes:
        frames: how many frames of the core there are.
        through: the newest record that one of them may show.
        first: the first one again.
    """

    frames: int
    through: int
    first: bytes


def snapshot_name(position: int) -> str:
    """The name of the snapshot at a position."""
    return f"snapshot-{position:012}"


def snapshot_positions(names: list[str]) -> list[int]:
    """The positions of all snapshots among the names, newest first."""
    found = (int(match[1]) for name in names if (match := _NAME.fullmatch(name)))
    return sorted(found, reverse=True)


class FoundSnapshot(NamedTuple):
    """What there is of a snapshot.

    Attributes:
        through: the newest record that a frame which is there may show.
        frames: how many frames of the core are whole.
        lost: how many are known to be not.
        damaged: how many bytes can't be used.
        first: the first frame of the core, if it has to be taken from the end.
    """

    position: int
    through: int
    frames: int
    lost: int
    damaged: int
    first: bytes | None = None

    @property
    def is_whole(self) -> bool:
        """Whether everything is there."""
        return not (self.lost or self.damaged)


def find_snapshot(files: Files, position: int) -> FoundSnapshot | None:
    """Reads and checks a snapshot, a frame at a time; None when it is damaged as a whole."""
    name = snapshot_name(position)
    size = files.size(name)
    end: SnapshotEnd | None = None
    has_header = has_first = False
    frames, through, used, newest = 0, position, 0, 0
    with files.read(name) as file:
        has_title = file.read(len(TITLE)) == TITLE
        for frame in read_frames(file, len(TITLE), size, seed_of(name)):
            used += HEAD.size + len(frame.payload)
            newest = frame.number
            if not frame.number:
                has_header = frame.payload == msgspec.msgpack.encode(SnapshotHeader(position))
            elif _is_end(frame):
                end = _end_of(frame)
            else:
                has_first = has_first or frame.number == 1
                frames += 1
                through = max(through, position + frame.lag)
    used += len(TITLE) if has_title else 0
    if end is None:
        # How many there were after the last one that can be read, nobody knows; the end was one of them.
        lost = max(newest, 0) - frames + 1
    else:
        lost, through = end.frames - frames, max(through, end.through)
    lost += 0 if has_header else 1
    if not has_first and end is None:
        return None
    return FoundSnapshot(
        position=position,
        through=through,
        frames=frames,
        lost=lost,
        damaged=size - used,
        first=None if has_first or end is None or not end.frames else end.first,
    )


def _is_end(frame: Frame) -> bool:
    return frame.lag == LAG_MOST


def _end_of(frame: Frame) -> SnapshotEnd | None:
    try:
        return msgspec.msgpack.decode(frame.payload, type=SnapshotEnd)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def snapshot_frames(files: Files, found: FoundSnapshot) -> Iterator[bytes]:
    """The frames of the core that `find_snapshot` found whole, the first one first.

    Raises:
        StateError: they aren't any more.
    """
    name = snapshot_name(found.position)
    if found.first is not None:
        yield found.first
    frames = 0
    with files.read(name) as file:
        for frame in read_frames(file, len(TITLE), files.size(name), seed_of(name)):
            if frame.number and not _is_end(frame):
                frames += 1
                yield frame.payload
    if frames != found.frames:
        raise StateError(f"{files.place}/{name} was whole and is damaged now; check the disk")


class Draft:
    """A snapshot that is being written (`SnapshotDraft`)."""

    def __init__(
        self,
        files: Files,
        *,
        position: int,
        serial: int,
        reached: Callable[[], int],
        ended: Callable[[bool], None],
    ) -> None:
        """Makes the file.

        Args:
            files: where.
            position: of the snapshot.
            serial: of the segment that begins there; those before it go when this is committed.
            reached: the newest record now.
            ended: called once, with whether it was committed.

        Raises:
            Unavailable: it can't be made.
        """
        self.position = position
        self._files = files
        self._serial = serial
        self._reached = reached
        self._ended = ended
        self._name = snapshot_name(position) + DRAFT
        self._count = 0
        self._open = True
        unlink_quietly(files, self._name)
        try:
            self._file = files.create(self._name)
        except OSError as error:
            raise unavailable("The snapshot can't be written", error) from error
        self._seed = seed_of(snapshot_name(position))
        self._first = b""
        self._put(TITLE + pack(msgspec.msgpack.encode(SnapshotHeader(position)), 0, self._seed))

    def write(self, frame: bytes) -> None:
        """Adds a frame."""
        if not frame:
            raise ValueError("a frame of a snapshot must not be empty")
        self._count += 1
        self._first = self._first or frame
        self._put(pack(frame, self._count, self._seed, min(self._reached() - self.position, LAG_MOST - 1)))

    def commit(self) -> None:
        """Ends it and puts it in place; `storage/directory.py` says why in this order."""
        through = self._reached()
        end = SnapshotEnd(self._count, through, self._first)
        self._put(pack(msgspec.msgpack.encode(end), self._count + 1, self._seed, LAG_MOST))
        files = self._files
        try:
            for serial in segment_serials(files.names()):
                if serial >= self._serial:
                    files.sync(segment_name(serial))
            self._file.sync()
            files.sync_directory()
            files.rename(self._name, snapshot_name(self.position))
            files.sync_directory()
        except OSError as error:
            self.abandon()
            raise unavailable("The snapshot can't be written", error) from error
        self._open = False
        self._file.close()
        self._read_back()
        self._ended(True)
        self._remove_replaced()

    def _read_back(self) -> None:
        """Reads what is on the disk. Only then may go what it replaces.

        Raises:
            Unavailable: it is not what was written; it is kept aside, and what was there before still counts.
        """
        files, name = self._files, snapshot_name(self.position)
        try:
            files.drop_cached(name)
            found = find_snapshot(files, self.position)
            if found is not None and found.is_whole:
                return
            what = f"{files.place}/{name} does not read as it was written: check the disk"
            move_aside(files, name)
        except OSError as error:
            what = unavailable("The snapshot can't be read back", error).message
        self._ended(False)
        raise Unavailable(what)

    def abandon(self) -> None:
        """Removes the unfinished snapshot."""
        if self._open:
            self._open = False
            self._file.close()
            unlink_quietly(self._files, self._name)
            self._ended(False)

    def _put(self, data: bytes) -> None:
        if not self._open:
            raise Unavailable("The snapshot was given up before")
        try:
            write_whole(self._file, data)
        except OSError as error:
            self.abandon()
            raise unavailable("The snapshot can't be written", error) from error

    def _remove_replaced(self) -> None:
        """Removes what this snapshot replaces, oldest first; what can't be removed goes with the next one."""
        try:
            names = self._files.names()
        except OSError:
            return
        old = [segment_name(serial) for serial in segment_serials(names) if serial < self._serial]
        old += [
            snapshot_name(position) for position in snapshot_positions(names) if position != self.position
        ]
        old += [RETIRED] if RETIRED in names else []
        for name in old:
            unlink_quietly(self._files, name)
