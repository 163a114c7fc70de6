"""The notices of a request body: one, a JSON list, or one a line.

A body may have 16 MiB, which take a good second to decode. So it is read in slices, and every notice of it before any is
carried out: one that is wrong refuses them all.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from tidewire.core.errors import InvalidNotice
from tidewire.core.notices.json_list import BETWEEN_OBJECTS, CHUNK_BYTES, ListReader, TooLong
from tidewire.core.notices.notice import (
    DECODING,
    LARGE_BYTES,
    MAX_NOTICE_BYTES,
    TOO_LARGE,
    Notice,
    check_size,
    decode_in_slices,
    decode_notice,
)
from tidewire.core.slices import Work, finished

LET_GO = 500
"""Notices that are dropped at once."""

_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_RAW = msgspec.json.Decoder(msgspec.Raw)
_ITEM = re.compile(r"at `\$\[([0-9]+)\]")


def decode_notices(body: bytes) -> list[Notice]:
    """All notices of a request body, decoded at once.

    Raises:
        InvalidNotice: one of them is wrong; its `data["index"]` says which.
    """
    text = body.strip()
    if len(text) <= CHUNK_BYTES and text.startswith(b"{") and b"\n" not in text:
        # One short notice, as most requests have.
        try:
            return [decode_notice(text)]
        except InvalidNotice as error:
            error.data["index"] = 0
            raise
    return finished(read_notices(body))


def read_notices(body: bytes) -> Work[list[Notice]]:
    """All notices of a request body, in slices of a millisecond.

    Raises:
        InvalidNotice: one of them is wrong; its `data["index"]` says which.
    """
    notices: list[Notice] = []
    for chunk in _chunks(body):
        for raw in chunk:
            try:
                notices.append((yield from decode_in_slices(raw)))
            except InvalidNotice as error:
                error.data["index"] = len(notices)
                # To let go of 100,000 at once would take ten milliseconds too.
                while notices:
                    del notices[-LET_GO:]
                    yield
                raise
        if len(body) > CHUNK_BYTES:
            yield
    return notices


def _chunks(body: bytes) -> Iterator[Sequence[bytes]]:
    """The notices as they came, some at a time; none where only time has passed."""
    begin = 0
    while begin < len(body):
        window = body[begin : begin + LARGE_BYTES]
        text = window.lstrip()
        begin += len(window) - len(text)
        if text:
            break
        yield ()
    else:
        return
    if text.startswith(b"["):
        yield from _listed(body, begin)
    else:
        yield from _lines(body, begin)


def _listed(body: bytes, begin: int) -> Iterator[Sequence[bytes]]:
    index = 0
    reader = ListReader(body, _raw_list, between=BETWEEN_OBJECTS, most=MAX_NOTICE_BYTES, begin=begin + 1)
    try:
        for chunk in reader.chunks():
            yield chunk
            index += len(chunk)
    except TooLong:
        raise InvalidNotice(TOO_LARGE, index=index) from None
    except DECODING as error:
        where = _ITEM.search(str(error))
        position = {} if where is None else {"index": index + int(where[1])}
        raise InvalidNotice(f"Invalid list of notices: {error}", **position) from None


def _raw_list(text: bytes) -> list[bytes]:
    return [bytes(raw) for raw in _RAW_LIST.decode(text)]


def _lines(body: bytes, begin: int) -> Iterator[Sequence[bytes]]:
    end = body.find(b"\n", begin)
    # A single notice may be spread over lines; then its first line is no JSON of its own.
    if end < 0 or not _is_json(body[begin:end]):
        if len(body) - begin > MAX_NOTICE_BYTES + LARGE_BYTES:
            raise InvalidNotice(TOO_LARGE, index=0)
        yield [body[begin:].rstrip()]
        return
    while begin < len(body):
        end = body.find(b"\n", min(begin + CHUNK_BYTES, len(body) - 1)) + 1 or len(body)
        lines = body[begin:end].split(b"\n")
        yield [line for line in lines if line and not line.isspace()]
        begin = end


def _is_json(text: bytes) -> bool:
    try:
        check_size(text)
        _RAW.decode(text)
    except (*DECODING, InvalidNotice):
        return False
    return True
