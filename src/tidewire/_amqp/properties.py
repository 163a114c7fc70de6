"""Properties of AMQP messages as they may really come and as they may go: any type, any size.

pika raises at some that a broker passes on, such as a time after the year 9999 or a number that is none, and a connection on
which it raised is lost, with the message coming again on the next. And it sends whatever it is given: a broker closes the
connection at a header that does not fit into a frame. Here both have bounds, so that no message costs more than itself.
"""

import hashlib
import struct
from collections.abc import Mapping
from typing import Any

import pika
from pika import data as codec
from pika import frame as frames
from pika import spec
from pika.adapters.asyncio_connection import AsyncioConnection

LONGEST_SHORT = 255
"""Bytes of a short string, which ids, types and names of queues are."""

SMALLEST_FRAME = 4096
"""Bytes that every broker takes."""

OTHER_PROPERTIES = 1200
"""Bytes of a header frame that are kept for what stands beside the headers: four short strings, and the frame itself."""

LEFT_OUT = "x-tidewire-headers-left-out"
"""The header that says how many others did not fit, or can't be written."""

_PAYLOAD = 12
"""Bytes before the properties in the payload of a header frame: class, weight and the size of the body."""


class LenientConnection(AsyncioConnection):  # type: ignore[misc]  # pika has no types that can be read
    """A connection that takes messages with headers that pika can't read, without these.

    It overrides a part of pika that is not documented: `tests/contract/test_pika.py` fails when that changes shape.
    """

    def _read_frame(self) -> Any:
        try:
            return super()._read_frame()
        except pika.exceptions.InvalidFrameError:
            raise
        except Exception:
            buffered = bytes(self._frame_buffer)
            if buffered[:1] != bytes((spec.FRAME_HEADER,)):
                raise
            return _readable(buffered)


def _readable(buffered: bytes) -> tuple[int, Any]:
    """The header frame at the beginning of the buffer, with what can be read of its properties."""
    _, channel, size = struct.unpack_from(">BHL", buffered)
    payload = buffered[spec.FRAME_HEADER_SIZE : spec.FRAME_HEADER_SIZE + size]
    body_size = struct.unpack_from(">HHQ", payload)[2]
    properties = pika.BasicProperties()
    try:
        properties.decode(_without_headers(payload[_PAYLOAD:]))
    except Exception:  # noqa: BLE001 - then it is a message without any
        properties = pika.BasicProperties()
    consumed = spec.FRAME_HEADER_SIZE + size + spec.FRAME_END_SIZE
    return consumed, frames.Header(channel, body_size, properties)


def _without_headers(encoded: bytes) -> bytes:
    """Encoded properties without the table of headers, which is the only part that pika can stumble over."""
    (flags,) = struct.unpack_from(">H", encoded)
    start = 2
    for before in (pika.BasicProperties.FLAG_CONTENT_TYPE, pika.BasicProperties.FLAG_CONTENT_ENCODING):
        if flags & before:
            start += 1 + encoded[start]
    end = start
    if flags & pika.BasicProperties.FLAG_HEADERS:
        end += 4 + struct.unpack_from(">I", encoded, start)[0]
    kept = flags & ~pika.BasicProperties.FLAG_HEADERS
    return struct.pack(">H", kept) + encoded[2:start] + encoded[end:]


def text_or_none(value: object) -> str | None:
    """A property that should be text, and counts as missing when it is anything else."""
    return value if isinstance(value, str) else None


def short(value: str | bytes) -> str | bytes:
    """A value that fits into a short string: itself, or in its place a digest, which is the same each time."""
    encoded = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
    if len(encoded) > LONGEST_SHORT:
        return digest_of_id(encoded)
    return value if isinstance(value, bytes) else encoded.decode()


def digest_of_id(encoded: bytes) -> str:
    """What stands for an id that is too long, or no text: 64 characters."""
    return hashlib.blake2b(encoded, digest_size=32).hexdigest()


def fitting(headers: Mapping[Any, Any], frame_size: int) -> dict[Any, Any]:
    """Those headers that can be written and fit into one frame with the other properties, in order; the first come first.

    Args:
        headers: as they are wanted.
        frame_size: bytes of the largest frame that the broker takes; 0 for any.
    """
    room = max(frame_size or spec.FRAME_MAX_SIZE, SMALLEST_FRAME) - OTHER_PROPERTIES
    kept: dict[Any, Any] = {}
    left_out = 0
    for key, value in headers.items():
        size = _size(key, value)
        if size is None or size > room:
            left_out += 1
        else:
            room -= size
            kept[key] = value
    if left_out:
        kept[LEFT_OUT] = left_out
    return kept


def _size(key: Any, value: Any) -> int | None:
    """Bytes that a header takes; None when it can't be written."""
    pieces: list[bytes] = []
    try:
        size: int = codec.encode_short_string(pieces, key) + codec.encode_value(pieces, value)
    except Exception:  # noqa: BLE001 - whatever is the matter with it, it stays behind
        return None
    return size
