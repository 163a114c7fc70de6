"""Whole answers as bytes, to the letter what uvicorn and Starlette write together for the ordinary routes.

Status line, date, our own lines in the order of `head_lines`, and what uvicorn adds when the client wants the
connection closed. `tests/e2e/test_lane.py` holds the two against each other.
"""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeAlias

from tidewire.http.rate_limits import Allowance
from tidewire.http.responses import CLOSE, COMMON, Lines, Response, head_lines, written

HeaderLines: TypeAlias = Sequence[tuple[bytes, bytes]]

_CLOSE = written(CLOSE)
_OK = b"HTTP/1.1 200 OK\r\n"
_LENGTH = b"content-length: "
_KIND = b"\r\ncontent-type: application/json\r\n"


class Renderer:
    """Writes answers of routes that have the same lines of CORS.

    The beginning of a success is put together once for each list of default headers.
    """

    __slots__ = ("_cross_origin", "_default_headers", "_seen", "_start")

    def __init__(self, default_headers: Callable[[], HeaderLines], cross_origin: Lines) -> None:
        """Takes where the lines come from that every answer begins with (a new list when they change), and CORS."""
        self._default_headers = default_headers
        self._cross_origin = cross_origin
        self._seen: HeaderLines | None = None
        self._start = b""

    def success(self, body: bytes, *, stopping: bool, keep_alive: bool) -> bytes:
        """A success with a body that is JSON already.

        Args:
            body: the body.
            stopping: the server stops, and so closes the connection.
            keep_alive: the client wants it to go on.
        """
        headers = self._default_headers()
        if headers is not self._seen:
            self._seen = headers
            self._start = b"".join((_OK, written(headers), written(COMMON), written(self._cross_origin)))
        length = str(len(body)).encode()
        if keep_alive and not stopping:
            return b"".join((self._start, _LENGTH, length, _KIND, b"\r\n", body))
        before, after = (_CLOSE, b"") if stopping else (b"", _CLOSE)
        return b"".join((self._start, before, _LENGTH, length, _KIND, after, b"\r\n", body))

    def answer(
        self, response: Response, *, allowance: Allowance | None, stopping: bool, keep_alive: bool
    ) -> bytes:
        """The bytes of a response of any kind."""
        lines = head_lines(response, cross_origin=self._cross_origin, allowance=allowance, close=stopping)
        after = b"" if stopping or keep_alive else _CLOSE
        status = f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n".encode()
        return b"".join(
            (status, written(self._default_headers()), written(lines), after, b"\r\n", response.body)
        )
