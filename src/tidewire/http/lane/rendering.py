"""Whole answers as bytes, to the letter what uvicorn and Starlette write together for the ordinary routes.

Status line, the headers that every answer begins with, the answer's own, and at the end what becomes of the
connection. `tests/e2e/test_lane.py` holds the two against each other.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeAlias

from starlette.responses import Response

from tidewire.core.state import Batch
from tidewire.core.wire import encode_answer
from tidewire.http import answers

HeaderLines: TypeAlias = Sequence[tuple[bytes, bytes]]

_CLOSE = b"connection: close\r\n"
_AFTER_LENGTH = b"\r\ncontent-type: application/json\r\n"


class Renderer:
    """Writes answers; what they have in common is put together once for each list of default headers."""

    __slots__ = ("_default_headers", "_seen", "_start")

    def __init__(self, default_headers: Callable[[], HeaderLines]) -> None:
        """Takes where the headers come from that every answer begins with: a new list when they change."""
        self._default_headers = default_headers
        self._seen: HeaderLines | None = None
        self._start = b""

    def events(self, batch: Batch, *, close: bool) -> bytes:
        """The answer to a poll."""
        return self.success(encode_answer(batch.queue_id, batch.entries), close=close)

    def success(self, body: bytes, *, close: bool) -> bytes:
        """A success with a body that is JSON already."""
        headers = self._default_headers()
        if headers is not self._seen:
            self._seen = headers
            self._start = _start(headers)
        return b"".join(
            (self._start, b"%d" % len(body), _AFTER_LENGTH, _CLOSE if close else b"", b"\r\n", body)
        )

    def response(self, response: Response, *, close: bool) -> bytes:
        """Any other answer."""
        lines = _lines([*self._default_headers(), *response.raw_headers])
        return b"".join(
            (_status_line(response.status_code), lines, _CLOSE if close else b"", b"\r\n", response.body)
        )


def _start(default_headers: HeaderLines) -> bytes:
    """A success up to the value of its length, which Starlette puts before the kind and behind all others."""
    own = [line for line in answers.json_answer(b"").raw_headers if not line[0].startswith(b"content-")]
    return b"".join((_status_line(200), _lines([*default_headers, *own]), b"content-length: "))


def _lines(headers: HeaderLines) -> bytes:
    return b"".join([b"%b: %b\r\n" % line for line in headers])


def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
