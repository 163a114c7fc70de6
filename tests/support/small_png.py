"""Makes a screenshot small: a palette of 256 colours is all that a page of few colours needs."""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

Colour: TypeAlias = tuple[int, int, int]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = 256
EXACT = 64
"""So many of the commonest are kept as they are: backgrounds differ by little, and are seen to."""

NEAR = 4
"""Bits of a colour that make no difference of their own in the others."""

CHANNELS = {2: 3, 6: 4}
"""Bytes of a pixel, by PNG's number for its kind; screenshots have one of these two."""


def smaller(png: bytes) -> bytes:
    """The same picture with the colours that make a difference, each other one as the nearest of them."""
    chunks = list(_chunks(png))
    width, height, depth, kind = struct.unpack(">IIBB", chunks[0][1][:10])
    assert (depth, kind in CHANNELS) == (8, True)
    packed = b"".join(content for name, content in chunks if name == b"IDAT")
    rows = list(_rows(zlib.decompress(packed), width, height, CHANNELS[kind]))
    counted = Counter(colour for row in rows for colour in row)
    palette = _palette(counted)
    places = {colour: palette.index(_nearest(colour, palette)) for colour in counted}
    lines = b"".join(b"\0" + bytes(places[colour] for colour in row) for row in rows)
    return SIGNATURE + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", b"".join(bytes(colour) for colour in palette)),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        place += 12 + length


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _rows(raw: bytes, width: int, height: int, channels: int) -> Iterator[list[Colour]]:
    above = bytearray(width * channels)
    size = width * channels + 1
    for number in range(height):
        line = raw[number * size : (number + 1) * size]
        above = _unfiltered(line[0], bytearray(line[1:]), above, channels)
        yield list(zip(above[0::channels], above[1::channels], above[2::channels], strict=True))


def _unfiltered(kind: int, line: bytearray, above: bytearray, channels: int) -> bytearray:
    """A line as it was before PNG wrote the differences to its neighbours."""
    for place in range(len(line)):
        left = line[place - channels] if place >= channels else 0
        corner = above[place - channels] if place >= channels else 0
        up = above[place]
        guess = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind] if kind else 0
        line[place] = (line[place] + guess) & 0xFF
    return line


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


def _palette(counted: Counter[Colour]) -> list[Colour]:
    """The commonest colours, and of the others those that stand out, however rare: a dot, or a word in colour."""
    commonest = [colour for colour, _ in counted.most_common()]
    kept = dict.fromkeys(commonest[:EXACT])
    alike = {_coarse(colour) for colour in kept}
    for colour in commonest[EXACT:]:
        if _coarse(colour) not in alike:
            alike.add(_coarse(colour))
            kept[colour] = None
    return list(kept)[:COLOURS]


def _coarse(colour: Colour) -> Colour:
    red, green, blue = colour
    return red >> NEAR, green >> NEAR, blue >> NEAR


def _nearest(colour: Colour, palette: list[Colour]) -> Colour:
    return min(palette, key=lambda one: sum((a - b) ** 2 for a, b in zip(one, colour, strict=True)))
