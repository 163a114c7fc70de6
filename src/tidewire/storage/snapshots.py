"""Snapshots on the disk: written beside the journal, checked before use.

After its first line a snapshot has numbered frames: its header (number 0), those of the core, and an end. A
snapshot without its end is none.
"""

import re
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple
from zlib import crc32

import msgspec
from msgspec import Struct

from tidewire.core.errors import StateError, Unavailable
from tidewire.storage.failures import unavailable
from tidewire.storage.files import Files, unlink_quietly, write_whole
from tidewire.storage.frames import HEAD, NUMBER_BITS, pack, title
from tidewire.storage.legacy import LEGACY_NAMES
from tidewire.storage.segments import segment_name, segment_serials

TITLE = title("snapshot")
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
    """

    frames: int
    through: int


def snapshot_name(position: int) -> str:
    """The name of the snapshot at a position."""
    return f"snapshot-{position:012}"


def snapshot_positions(names: list[str]) -> list[int]:
    """The positions of all snapshots among the names, newest first."""
    found = (int(match[1]) for name in names if (match := _NAME.fullmatch(name)))
    return sorted(found, reverse=True)


class FoundSnapshot(NamedTuple):
    """A whole snapshot."""

    position: int
    through: int
    frames: int


def find_snapshot(files: Files, position: int) -> FoundSnapshot | None:
    """Reads and checks a snapshot, a frame at a time; None when it is damaged."""
    name = snapshot_name(position)
    last = b""
    count = 0
    with files.read(name) as file:
        if file.read(len(TITLE)) != TITLE:
            return None
        for payload in _frames(file, files.size(name) - len(TITLE)):
            if payload is None:
                return None
            if not count and payload != msgspec.msgpack.encode(SnapshotHeader(position)):
                return None
            last = payload
            count += 1
    frames = count - 2  # but for the header and the end
    try:
        end = msgspec.msgpack.decode(last, type=SnapshotEnd)
    except msgspec.DecodeError:
        return None
    return FoundSnapshot(position, end.through, frames) if end.frames == frames else None


def snapshot_frames(files: Files, found: FoundSnapshot) -> Iterator[bytes]:
    """The frames of a snapshot that was found whole.

    Raises:
        StateError: it isn't any more.
    """
    name = snapshot_name(found.position)
    with files.read(name) as file:
        file.seek(len(TITLE))
        for number, payload in enumerate(_frames(file, files.size(name) - len(TITLE))):
            if payload is None:
                raise StateError(f"{files.place}/{name} was whole and is damaged now; check the disk")
            if 1 <= number <= found.frames:
                yield payload


def _frames(file: IO[bytes], left: int) -> Iterator[bytes | None]:
    """Every payload in the `left` bytes up to the end; None for what is no whole frame, and nothing after it."""
    number = 0
    while left:
        payload = _payload(file, left, number)
        yield payload
        if payload is None:
            return
        left -= HEAD.size + len(payload)
        number += 1


def _payload(file: IO[bytes], left: int, number: int) -> bytes | None:
    """The payload of the next frame. Its length is believed only as far as the file goes."""
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    length, checksum = HEAD.unpack(head)
    if not 1 <= length <= left - HEAD.size:
        return None
    payload = file.read(length)
    return payload if crc32(payload, number & NUMBER_BITS) == checksum else None


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
        self._put(TITLE + pack(msgspec.msgpack.encode(SnapshotHeader(position)), 0))

    def write(self, frame: bytes) -> None:
        """Adds a frame."""
        if not frame:
            raise ValueError("a frame of a snapshot must not be empty")
        self._count += 1
        self._put(pack(frame, self._count))

    def commit(self) -> None:
        """Ends it and puts it in place; `storage/directory.py` says why in this order."""
        through = self._reached()
        self._put(pack(msgspec.msgpack.encode(SnapshotEnd(self._count, through)), self._count + 1))
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
        self._ended(True)
        self._remove_replaced()

    def abandon(self) -> None:
        """Removes it."""
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
        old += [name for name in LEGACY_NAMES if name in names]
        for name in old:
            unlink_quietly(self._files, name)
