"""What of pika the bus rests on, beyond its documentation: this fails when a new version changes shape."""

import inspect
import struct

import pika
import pytest
from pika import frame as frames
from pika import spec
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.connection import Connection

from support.raw_properties import RawProperties, nested, table
from tidewire._amqp.properties import LenientConnection

UNREADABLE = {
    "time": table([(b"when", b"T" + struct.pack(">Q", 2**62))]),
    "not a number": table([(b"what", b"d" + struct.pack(">d", float("nan")))]),
    "infinite": table([(b"what", b"f" + struct.pack(">f", float("-inf")))]),
    "unknown type": table([(b"what", b"?")]),
    "deep": table([(b"deep", nested(20_000))]),
    "cut off": b"\x20",
}


def read(raw: bytes) -> tuple[int, frames.Header]:
    """What a connection reads from bytes that have come."""
    connection = object.__new__(LenientConnection)
    connection._frame_buffer = raw
    consumed, found = connection._read_frame()
    return consumed, found


def test_frames_are_read_from_a_buffer_by_a_method_without_arguments() -> None:
    assert list(inspect.signature(Connection._read_frame).parameters) == ["self"]
    assert "_frame_buffer" in inspect.getsource(Connection._read_frame)
    assert "_read_frame" not in vars(AsyncioConnection)
    assert "self._read_frame()" in inspect.getsource(Connection._on_data_available)


@pytest.mark.parametrize("headers", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_message_with_headers_that_can_not_be_read_comes_without_them(headers: bytes) -> None:
    properties = RawProperties(
        {"content_type": b"text", "content_encoding": b"gzip", "message_id": b"name", "type": b"kind"},
        headers,
    )
    raw = frames.Header(3, 1234, properties).marshal()
    with pytest.raises(Exception):  # noqa: B017, PT011 - should pika come to read it, nothing of this is needed
        frames.decode_frame(raw)
    consumed, found = read(raw + b"more")
    assert (consumed, found.channel_number, found.body_size) == (len(raw), 3, 1234)
    taken = found.properties
    assert (taken.headers, taken.content_type, taken.content_encoding) == (None, "text", "gzip")
    assert (taken.message_id, taken.type) == ("name", "kind")


def test_what_can_be_read_is_read_as_ever() -> None:
    properties = pika.BasicProperties(message_id="name", headers={"a": 1})
    raw = frames.Header(1, 5, properties).marshal()
    consumed, found = read(raw)
    assert (consumed, found.properties.headers, found.properties.message_id) == (len(raw), {"a": 1}, "name")
    assert read(raw[:-1]) == (0, None)


def test_what_is_no_frame_at_all_is_still_an_error() -> None:
    broken = bytearray(frames.Header(1, 5, pika.BasicProperties()).marshal())
    broken[-1] = 0
    with pytest.raises(pika.exceptions.InvalidFrameError):
        read(bytes(broken))
    assert spec.FRAME_HEADER == 2
