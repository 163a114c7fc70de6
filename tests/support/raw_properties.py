"""AMQP properties byte by byte, for those that no well-behaved client would write."""

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import pika

SHORTS = {
    "content_type": 15,
    "content_encoding": 14,
    "correlation_id": 10,
    "reply_to": 9,
    "expiration": 8,
    "message_id": 7,
    "type": 5,
    "app_id": 3,
    "cluster_id": 2,
}
"""Short strings by name, with the bit that says that they are there."""

HEADERS = 13


class RawProperties(pika.BasicProperties):  # type: ignore[misc]  # pika has no types that can be read
    """Properties that are sent as they are."""

    def __init__(self, shorts: Mapping[str, bytes], headers: bytes | None = None) -> None:
        super().__init__()
        self._shorts = shorts
        self._table = headers

    def encode(self) -> list[bytes]:
        """The bytes, in the order of the flags."""
        parts: dict[int, bytes] = {}
        for name, value in self._shorts.items():
            parts[SHORTS[name]] = bytes((len(value),)) + value
        if self._table is not None:
            parts[HEADERS] = struct.pack(">I", len(self._table)) + self._table
        flags = sum(1 << bit for bit in parts)
        return [struct.pack(">H", flags), *(parts[bit] for bit in sorted(parts, reverse=True))]


def table(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The inside of a table: keys, and values with their type's letter before them."""
    return b"".join(bytes((len(key),)) + key + value for key, value in entries)


def nested(depth: int) -> bytes:
    """An array in an array, so deep."""
    value = b"V"
    for _ in range(depth):
        value = b"A" + struct.pack(">I", len(value)) + value
    return value


def put_raw(channel: Any, queue: str, body: bytes, properties: pika.BasicProperties) -> bool:
    """Publishes on a channel with confirms; False when the broker will not have it and closes."""
    try:
        channel.basic_publish("", queue, body, properties, mandatory=True)
    except pika.exceptions.AMQPError:
        return False
    return True
