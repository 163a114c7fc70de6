"""Frames: how bytes stand in segments and snapshots, so that damage is found, and costs the frame that it is in.

A file begins with a line that names its kind and the format's version, for people and `file`. Frames follow:

    mark      8 bytes, little endian: the frame's number in the lower 6 bytes, F5 FE in the upper two
    lag       4 bytes, little endian: a number that the kind of file gives a meaning
    length    4 bytes, little endian, at least 1
    checksum  4 bytes: CRC-32 of the payload, begun with a mixture of number, lag and the file's seed
    payload

In a segment the number is the record's position, in a snapshot it counts from 0. Numbers rise by one from frame to
frame, so that what is missing can be counted. The seed is made of the file's name, so that a frame which was left
over from another file, in a block that the disk mixed up, is not accepted. Zeros are no frame: file systems fill with
them what a crash cut off.

Behind damage, reading goes on with the next whole frame, which is found by its mark. No event can hold one: a head has
bytes of zero (a payload is shorter than 16 MiB), which JSON does not allow; and none is believed without its checksum.
"""

import struct
from collections.abc import Iterator
from typing import IO, NamedTuple
from zlib import crc32

FORMAT_VERSION = 3
"""Of the state directory and all files in it."""

HEAD = struct.Struct("<QIII")
MARK = 0xFEF5 << 48
NUMBER_MOST = (1 << 48) - 1
"""Of a frame: at a million records a second it lasts for nine years."""
CHECKSUM_BITS = 0xFFFFFFFF
LAG_MOST = 0xFFFFFFFF
"""The most that a lag can say; it stands for all that is more, and for what is unknown."""
LAG_MIX = 0x9E3779B1
"""Odd, and far from small numbers: a change to number or lag alone always changes what a checksum begins with."""
_MARK_BYTES = b"\xf5\xfe"
_MARK_AT = 6
_CHUNK = 1024 * 1024


def title(kind: str) -> bytes:
    """The first line of a file."""
    return b"tidewire %b %d\n" % (kind.encode(), FORMAT_VERSION)


def seed_of(name: str) -> int:
    """What checksums of the file of this name begin with."""
    return crc32(name.encode())


def checksum(payload: bytes | memoryview, number: int, lag: int, seed: int) -> int:
    """The checksum of a frame."""
    return crc32(payload, (seed + number + (number >> 32) + lag * LAG_MIX) & CHECKSUM_BITS)


def pack(payload: bytes, number: int, seed: int, lag: int = 0) -> bytes:
    """The frame of a payload."""
    return HEAD.pack(MARK | number, lag, len(payload), checksum(payload, number, lag, seed)) + payload


class Run(NamedTuple):
    """Whole frames whose numbers rise by one; `first` is that of the first one.

    Attributes:
        start: where the first one begins.
        end: where the last one ends.
        lag: of the last one.
    """

    first: int
    frames: int
    start: int
    end: int
    lag: int

    @property
    def last(self) -> int:
        """The number of the last one."""
        return self.first + self.frames - 1


def scan(data: bytes, start: int, number: int, seed: int) -> list[Run]:
    """The whole frames from `start` on, whose numbers are at least `number` and rise.

    Frames that touch and follow each other by number are one run. What lies between runs is damaged, and numbers that
    no run has are lost.
    """
    view = memoryview(data)
    size = len(data)
    runs: list[Run] = []
    first, began, newest_lag = number, start, 0
    unpack, head_size = HEAD.unpack_from, HEAD.size
    while start + head_size <= size:
        mark, lag, length, expected = unpack(view, start)
        end = start + head_size + length
        if (
            mark == MARK | number
            and length
            and end <= size
            and checksum(view[start + head_size : end], number, lag, seed) == expected
        ):
            start, newest_lag = end, lag
            number += 1
            continue
        if number > first:
            runs.append(Run(first, number - first, began, start, newest_lag))
        found = _next(data, view, start, number, seed)
        if found is None:
            return runs
        began = start = found[0]
        first = number = found[1]
    if number > first:
        runs.append(Run(first, number - first, began, start, newest_lag))
    return runs


def _next(data: bytes, view: memoryview, start: int, number: int, seed: int) -> tuple[int, int] | None:
    """Where the next whole frame is whose number is at least `number`, at `start` or behind it, and that number."""
    size = len(data)
    place = start - 1
    while True:
        place = data.find(_MARK_BYTES, place + _MARK_AT + 1) - _MARK_AT
        if place < 0 or place + HEAD.size > size:
            return None
        mark, lag, length, expected = HEAD.unpack_from(view, place)
        found = mark & NUMBER_MOST
        end = place + HEAD.size + length
        if (
            found >= number
            and length
            and end <= size
            and checksum(view[place + HEAD.size : end], found, lag, seed) == expected
        ):
            return place, found


def payloads(data: bytes, run: Run) -> Iterator[bytes]:
    """The payloads of a run that `scan` found."""
    start = run.start
    for _ in range(run.frames):
        _, _, length, _ = HEAD.unpack_from(data, start)
        start += HEAD.size
        yield data[start : start + length]
        start += length


class Frame(NamedTuple):
    """A whole frame that was read from a file, and where it begins."""

    number: int
    lag: int
    payload: bytes
    start: int


def read_frames(file: IO[bytes], start: int, size: int, seed: int) -> Iterator[Frame]:
    """The whole frames of a file from `start` on, one at a time; their numbers rise. A file may be larger than memory."""
    number = 0
    file.seek(start)
    while start + HEAD.size <= size:
        head = file.read(HEAD.size)
        if len(head) < HEAD.size:
            return
        mark, lag, length, expected = HEAD.unpack(head)
        found = mark & NUMBER_MOST
        if mark == MARK | found and found >= number and 1 <= length <= size - start - HEAD.size:
            payload = file.read(length)
            if checksum(payload, found, lag, seed) == expected:
                yield Frame(found, lag, payload, start)
                number = found + 1
                start += HEAD.size + length
                continue
        next_start = _next_mark(file, start + 1, size)
        if next_start is None:
            return
        start = next_start
        file.seek(start)


def _next_mark(file: IO[bytes], start: int, size: int) -> int | None:
    """Where the next head may be, at `start` or behind it."""
    place = start + _MARK_AT
    file.seek(place)
    carried = b""
    while place < size:
        chunk = carried + file.read(_CHUNK)
        if len(chunk) < len(_MARK_BYTES):
            return None
        found = chunk.find(_MARK_BYTES)
        if found >= 0:
            return place + found - _MARK_AT
        carried = chunk[-1:]
        place += len(chunk) - 1
    return None
