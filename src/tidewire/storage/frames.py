"""Frames: how bytes stand in segments and snapshots, so that what is damaged is never taken for whole.

A file begins with a line that names its kind and the format's version, for people and `file`. Frames follow:

    length    4 bytes, little endian, at least 1
    checksum  4 bytes: CRC-32 of the payload, begun with the frame's number instead of 0
    payload

The number is not written. In a segment it is the record's position, in a snapshot it counts from 0. So a frame
that is whole but in the wrong place, such as one left over from another file in a reused block, is not
accepted. Zeros are no frame, because a length is never 0: file systems fill with them what a crash cut off.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

FORMAT_VERSION = 2
"""Of the state directory and all files in it. Format 1 was one file, `snapshot` (`storage/legacy.py`)."""

HEAD = struct.Struct("<II")
NUMBER_BITS = 0xFFFFFFFF
"""The checksum takes 32 bits of a number; frames whose numbers share them are never in one file."""


def title(kind: str) -> bytes:
    """The first line of a file."""
    return b"tidewire %b %d\n" % (kind.encode(), FORMAT_VERSION)


def pack(payload: bytes, number: int) -> bytes:
    """The frame of a payload."""
    return HEAD.pack(len(payload), crc32(payload, number & NUMBER_BITS)) + payload


class Whole(NamedTuple):
    """How far frames are whole: how many, and where the last one ends."""

    frames: int
    end: int


def scan(data: bytes, start: int, number: int, *, until: int = -1) -> Whole:
    """Counts the whole frames from `start` on; the first has `number`, the last the one before `until`."""
    view = memoryview(data)
    size = len(data)
    first = number
    while start + HEAD.size <= size and number != until:
        length, checksum = HEAD.unpack_from(view, start)
        end = start + HEAD.size + length
        if not length or end > size or crc32(view[start + HEAD.size : end], number & NUMBER_BITS) != checksum:
            break
        start = end
        number += 1
    return Whole(number - first, start)


def scan_beyond(data: bytes, start: int, number: int) -> int:
    """How many whole frames follow a damaged one at `start`, if its length can be believed."""
    if start + HEAD.size > len(data):
        return 0
    length, _ = HEAD.unpack_from(data, start)
    end = start + HEAD.size + length
    return scan(data, end, number + 1).frames if length and end < len(data) else 0


def payloads(data: bytes, start: int, count: int) -> Iterator[bytes]:
    """The payloads of frames that `scan` found whole."""
    for _ in range(count):
        length, _ = HEAD.unpack_from(data, start)
        start += HEAD.size
        yield data[start : start + length]
        start += length
