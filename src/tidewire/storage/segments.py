"""Segments: the files that records are appended to.

After its first line a segment has a header frame (number 0), then one frame a record, numbered by position. A
frame's lag says how far behind its record the flushed ones were when it was written, so that recovery can tell a
record that the disk lost from one that was never promised. Serial numbers, which are in the names, say in which order
segments were begun; `storage/recovery.py` says what that means for recovery.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct

from tidewire.storage.files import File, Files, unlink_quietly, write_whole
from tidewire.storage.format import HEAD, LAG_MOST, Run, pack, payloads, scan, seed_of, title

TITLE = title("segment")
HEADER_MOST = 64 * 1024
"""Bytes in which the header is looked for; it takes a few hundred."""
_NAME = re.compile(r"segment-(\d{8,})")


class SegmentHeader(Struct, frozen=True, array_like=True):
    """What a segment begins with.

    Attributes:
        follows: the newest record that counted when it was begun; whatever older segments hold after that does not.
        first: the position of its first record. It is more than one after `follows` only when records were lost
            that a snapshot already showed, so that no position is given twice.
        base: the position of the newest snapshot then; 0 when there was none. It tells a snapshot that was taken
            away from segments that a loss of power took.
        fingerprint: of the rules that shape queues.
        settings: those that shape the state, under which its records were decided; the core knows their form.
        boot: the run of the machine in which it was written; empty when that can't be told.
        begins: it is the first one of a process.
    """

    follows: int
    first: int
    base: int
    fingerprint: str
    settings: bytes = b""
    boot: str = ""
    begins: bool = False


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
        name = segment_name(serial)
        self.seed = seed_of(name)
        start = TITLE + pack(msgspec.msgpack.encode(header), 0, self.seed)
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
        header: None when it is damaged; the records may be whole all the same.
        runs: of records that are whole, in order.
        damaged: how many bytes can't be used.
        torn: how many of them are behind the last whole record.
        is_cut: what is behind the last whole record may be the beginning of one that was not written to its end.
    """

    serial: int
    size: int
    header: SegmentHeader | None
    runs: tuple[Run, ...]
    damaged: int
    torn: int
    is_cut: bool

    @property
    def name(self) -> str:
        """The file's name."""
        return segment_name(self.serial)

    @property
    def follows(self) -> int | None:
        """The newest record that counted when it was begun; without a header, the one before its first; None: unknown."""
        if self.header is not None:
            return self.header.follows
        return self.runs[0].first - 1 if self.runs else None

    @property
    def first(self) -> int | None:
        """The position of the first record that it has or had; None: unknown."""
        if self.header is not None:
            return self.header.first
        return self.runs[0].first if self.runs else None

    @property
    def last(self) -> int | None:
        """The position of the last record that is whole; less than `first` when none is."""
        if self.runs:
            return self.runs[-1].last
        return None if self.header is None else self.header.first - 1

    @property
    def records(self) -> int:
        """How many records are whole."""
        return sum(run.frames for run in self.runs)

    @property
    def begins(self) -> bool:
        """Whether a process began with it."""
        return self.header is not None and self.header.begins

    def is_of(self, boot: str) -> bool:
        """Whether it was written in this run of the machine, so that everything that was written is there."""
        return self.header is not None and bool(boot) and self.header.boot == boot

    @property
    def flushed(self) -> int:
        """The newest record that had been flushed when the last whole one was written; -1 when that isn't known."""
        newest = self.runs[-1] if self.runs else None
        return -1 if newest is None or newest.lag == LAG_MOST else newest.last - newest.lag


def find_segment(files: Files, serial: int) -> FoundSegment:
    """Reads and checks a segment."""
    data = _content(files, serial)
    size = len(data)
    seed = seed_of(segment_name(serial))
    header = None
    start = len(TITLE)
    damaged = 0 if data.startswith(TITLE) else min(size, start)
    # The header may be the only thing that is damaged, and then its number 0 is missing before the records.
    headers = scan(data[: start + HEADER_MOST], start, 0, seed)
    if headers and not headers[0].first:
        payload = next(payloads(data, headers[0]))
        try:
            header = msgspec.msgpack.decode(payload, type=SegmentHeader)
        except (msgspec.DecodeError, UnicodeDecodeError):
            header = None
        else:
            damaged += headers[0].start - start
            start = headers[0].start + HEAD.size + len(payload)
    runs = tuple(scan(data, start, 1 if header is None else header.first, seed))
    end = runs[-1].end if runs else start
    between = end - start - sum(run.end - run.start for run in runs)
    return FoundSegment(
        serial=serial,
        size=size,
        header=header,
        runs=runs,
        damaged=damaged + between + size - end,
        torn=size - end,
        is_cut=_is_cut(data, end),
    )


def _is_cut(data: bytes, start: int) -> bool:
    """Whether what begins at `start` ends before it says it would: a write that the process did not live to end."""
    if start + HEAD.size > len(data):
        return True
    _, _, length, _ = HEAD.unpack_from(data, start)
    end: int = start + HEAD.size + length
    return end > len(data)


def segment_records(files: Files, found: FoundSegment) -> Iterator[tuple[int, bytes]]:
    """The encoded records of a segment with their positions."""
    data = _content(files, found.serial)
    for run in found.runs:
        yield from enumerate(payloads(data, run), run.first)


def _content(files: Files, serial: int) -> bytes:
    with files.read(segment_name(serial)) as file:
        return file.read()
