"""Events as bytes: encoded once, then spliced (D2). The only module that puts JSON together by hand.

A *body* is the JSON of an event without its `id` and without its closing brace. A *suffix* is what one
user or queue adds, as JSON members that begin with a comma, or nothing. An *entry* is `(id, body,
suffix)`; its JSON is body + suffix + `,"id":<id>}`. `tests/properties/test_wire.py` holds splicing
against encoding from scratch.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

Entry: TypeAlias = tuple[int, bytes, bytes]

ENTRY_FRAME = len(b',"id":') + len(b"},") + 20
"""Bytes that an entry has in an answer beyond body and suffix: id member, brace, comma; ids are 64-bit."""

ANSWER_FRAME = 256
"""Bytes of an answer around its events: envelope and queue id, rounded up."""

_BEGIN = b'{"result":"success","msg":"","events":['

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(dict[str, Any])


class _Typed(Struct):
    type: str


_TYPE_DECODER = msgspec.json.Decoder(_Typed)


def encode_body(event: Mapping[str, Any]) -> bytes:
    """The shared bytes of an event; its own `id`, if it has one, is dropped (D2)."""
    if "id" in event:
        event = {key: value for key, value in event.items() if key != "id"}
    return _ENCODER.encode(event)[:-1]


def decode_body(body: bytes) -> dict[str, Any]:
    """The event that `encode_body` encoded."""
    return _DECODER.decode(body + b"}")


def encode_suffix(members: Mapping[str, Any]) -> bytes:
    """What one user or queue adds to an event, ready to be spliced in behind a body."""
    return b"," + _ENCODER.encode(members)[1:-1] if members else b""


def encode_entry(entry: Entry) -> bytes:
    """One event as its client sees it."""
    return b'%b%b,"id":%d}' % (entry[1], entry[2], entry[0])


def encode_answer(queue_id: str, entries: Sequence[Entry], members: Mapping[str, Any] | None = None) -> bytes:
    """The answer to a poll: the success envelope with the events and the queue id (R6.4, R6.39).

    `members` are further members of the answer, for the rare answer that has any.
    """
    if len(entries) == 1:
        # What nearly every answer is. Joining takes half of the time that formatting takes.
        event_id, body, suffix = entries[0]
        events: tuple[bytes, ...] = (body, suffix, b',"id":', str(event_id).encode(), b"}")
    else:
        events = (b",".join([encode_entry(entry) for entry in entries]),)
    end = encode_suffix(members) if members else b""
    return b"".join((_BEGIN, *events, b'],"queue_id":', _ENCODER.encode(queue_id), end, b"}\n"))


def list_pieces(items: Iterable[bytes], size: int) -> Iterator[bytes]:
    """A JSON list of encoded items, one a line, in pieces of `size` bytes or more that end with a whole item."""
    piece: list[bytes] = [b"["]
    filled = 0
    for number, item in enumerate(items):
        piece.append(b",\n" + item if number else item)
        filled += len(item)
        if filled >= size:
            yield b"".join(piece)
            piece.clear()
            filled = 0
    yield b"".join([*piece, b"]\n"])


def entry_size(entry: Entry) -> int:
    """Bytes that the entry takes in an answer, rounded up."""
    return len(entry[1]) + len(entry[2]) + ENTRY_FRAME


def event_type(entry: Entry) -> str:
    """The type of an entry's event; nothing else of it is decoded."""
    return _TYPE_DECODER.decode(entry[1] + b"}").type
