"""Segments: the files that records are appended to.

After its first line a segment has a header frame (number 0), then one frame a record, numbered by position.
Serial numbers, which are in the names, say in which order segments were begun; `storage/chain.py` says what that
means for recovery.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct

from tidewire.storage.files import File, Files, unlink_quietly, write_whole
from tidewire.storage.frames import pack, payloads, scan, scan_beyond, title

TITLE = title("segment")
_NAME = re.compile(r"segment-(\d{8,})")


class SegmentHeader(Struct, frozen=True, array_like=True):
    """What a segment begins with.

    Attributes:
        follows: the newest record that counted when it was begun; whatever older segments hold after that does not.
        first: the position of its first record. It is more than one after `follows` only when records were lost
            that a snapshot already showed, so that no position is given twice.
        base: the position of the newest snapshot then; 0 when there was none. It tells a snapshot that was taken
            away from segments that a loss of power took.
        fingerprint: of what shapes queues.
    """

    follows: int
    first: int
    base: int
    fingerprint: str


def segment_name(serial: int) -> str:
    """The name of the segment with a serial number."""
    return f"segment-{serial:08}"


def segment_serials(names: list[str]) -> list[int]:
    """The serial numbers of all segments among the names, in order."""
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


class Segment:
    """A segment that records are appended to."""

    def __init__(self, files: Files, serial: int, header: SegmentHeader) -> None:
        """Makes the file with its header.

        Raises:
            OSError: it can't be made; nothing is left of it.
        """
        self.serial = serial
        self.first = header.first
        start = TITLE + pack(msgspec.msgpack.encode(header), 0)
        name = segment_name(serial)
        self.file: File = files.create(name)
        self.size = len(start)
        try:
            write_whole(self.file, start)
        except OSError:
            self.file.close()
            unlink_quietly(files, name)
            raise


class FoundSegment(NamedTuple):
    """What there is of a segment that an earlier process wrote.

    Attributes:
        header: None when it is damaged; then nothing of the rest can be used.
        start: where the first record begins.
        records: how many from there on are whole.
        end: where they end.
        beyond: whole records behind a damaged one.
    """

    serial: int
    size: int
    header: SegmentHeader | None
    start: int
    records: int
    end: int
    beyond: int

    @property
    def name(self) -> str:
        """The file's name."""
        return segment_name(self.serial)

    @property
    def damaged(self) -> int:
        """How many bytes can't be used."""
        return self.size - self.end


def find_segment(files: Files, serial: int) -> FoundSegment:
    """Reads and checks a segment."""
    data = _content(files, serial)
    found = FoundSegment(serial=serial, size=len(data), header=None, start=0, records=0, end=0, beyond=0)
    if not data.startswith(TITLE):
        return found
    headers, start = scan(data, len(TITLE), 0, until=1)
    if not headers:
        return found
    try:
        header = msgspec.msgpack.decode(next(payloads(data, len(TITLE), 1)), type=SegmentHeader)
    except msgspec.DecodeError:
        return found
    whole = scan(data, start, header.first)
    beyond = scan_beyond(data, whole.end, header.first + whole.frames)
    return found._replace(header=header, start=start, records=whole.frames, end=whole.end, beyond=beyond)


def segment_payloads(files: Files, found: FoundSegment) -> Iterator[bytes]:
    """The encoded records of a segment."""
    return payloads(_content(files, found.serial), found.start, found.records)


def _content(files: Files, serial: int) -> bytes:
    with files.read(segment_name(serial)) as file:
        return file.read()
