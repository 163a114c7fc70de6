"""One request on its way through the ordinary routes: an ASGI call, which is given one framed request and nothing else."""

import asyncio
import re
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

from tidewire.http.lane.parsing import Head

HIGH_WATER = 65_536
"""Bytes of a body that wait for the application, at which no more of it is read."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_CLOSE = b"connection: close\r\n"

_BODILESS = frozenset({204, 304})
"""Statuses of answers that never have a body, and so say nothing of its length."""

_ENDS_LINE = re.compile(rb"[\x00\r\n]")


class Wire(Protocol):
    """The connection, as far as a request and its answer are concerned."""

    transport: asyncio.Transport

    @property
    def goes_on(self) -> bool:
        """Whether another request may follow this one."""
        ...

    def default_lines(self) -> bytes:
        """The header lines that every answer begins with."""
        ...

    def body_taken(self) -> None:
        """The application has taken what there was of the body."""

    async def drained(self) -> None:
        """Returns when the peer has read enough of what was written, or is gone."""

    def answered(self) -> None:
        """The last byte of the answer was written."""

    def failed(self, error: Exception, *, began: bool) -> None:
        """The application raised something, or left its answer unfinished; `began`: some of it was written."""


class Exchange:
    """A request's body on its way to the application, and the application's answer on its way back.

    Attributes:
        keep_alive: whether the connection goes on behind the answer, as the answer's head says.
        began: the head of the answer was written.
        complete: the answer was written to its end.
    """

    __slots__ = (
        "_body",
        "_chunks",
        "_ended",
        "_gone",
        "_head",
        "_left",
        "_must_continue",
        "_wakes",
        "_wire",
        "began",
        "complete",
        "keep_alive",
    )

    def __init__(self, wire: Wire, head: Head) -> None:
        self._wire = wire
        self._head = head
        self._body = bytearray()
        self._ended = not head.has_body
        self._gone = False
        self._must_continue = head.asks_first and head.has_body
        self._wakes = asyncio.Event()
        if self._ended:
            self._wakes.set()
        self._chunks = False
        self._left: int | None = None
        """Bytes of the answer's body still to come, when its head has said how many."""
        self.keep_alive = True
        self.began = False
        self.complete = False

    # What the connection has to say.

    @property
    def is_full(self) -> bool:
        """Whether the application has to take some of the body before more is read."""
        return len(self._body) >= HIGH_WATER

    @property
    def held_bytes(self) -> int:
        """Bytes of the body that wait for the application."""
        return len(self._body)

    @property
    def awaits_word(self) -> bool:
        """The client may or may not send its body: it asked first, and was not told to."""
        return self._must_continue

    def feed(self, data: bytes) -> None:
        """Takes more of the body."""
        if self.complete or self._gone:
            return
        self._must_continue = False  # who sends it does not wait for the word
        self._body += data
        self._wakes.set()

    def end_body(self) -> None:
        """The body has come to its end."""
        self._ended = True
        self._must_continue = False
        self._wakes.set()

    def disconnect(self) -> None:
        """Nobody waits for the answer any more."""
        self._gone = True
        self._body.clear()
        self._wakes.set()

    # The call.

    async def run(self, application: ASGIApp, scope: Scope) -> None:
        """Has the application answer the request."""
        if self._gone:
            return
        try:
            await application(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer or a closed connection
            self._fail(error)
        except BaseException:
            # Cancelled at a stop: as if the connection had been lost.
            self._wire.transport.abort()
            raise
        else:
            if not self.complete:
                self._fail(RuntimeError("The application returned before its answer was complete"))

    def _fail(self, error: Exception) -> None:
        if not self._gone and not self.complete:
            self._wire.failed(error, began=self.began)

    async def _receive(self) -> Message:
        if self._must_continue and not self.began and not self._gone:
            self._must_continue = False
            self._wire.transport.write(CONTINUE)
        if not self._gone and not self.complete:
            await self._wakes.wait()
            self._wakes.clear()
        if self._gone or self.complete:
            return {"type": "http.disconnect"}
        body = bytes(self._body)
        self._body.clear()
        ended = self._ended
        if not ended:
            self._wire.body_taken()
        return {"type": "http.request", "body": body, "more_body": not ended}

    async def _send(self, message: Message) -> None:
        if not self._gone:
            await self._wire.drained()
        if self._gone:
            return
        kind = message["type"]
        if not self.began and kind == "http.response.start":
            self._start(message["status"], list(message.get("headers", ())))
        elif self.began and not self.complete and kind == "http.response.body":
            self._write_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"'{kind}' does not belong here")

    def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        lines: list[bytes] = []
        says_close = False
        for name, value in headers:
            if _ENDS_LINE.search(name + value):
                raise RuntimeError("A header has a line break in it")
            lowered = name.lower()
            if lowered == b"content-length":
                self._left = int(value)
            elif lowered == b"connection" and value.lower() == b"close":
                says_close = True
            lines += (lowered, b": ", value, b"\r\n")
        self.keep_alive = self._wire.goes_on and not says_close
        if self._left is None and status not in _BODILESS and self._head.method != b"HEAD":
            if self._head.version == "1.1":
                self._chunks = True
            else:
                self.keep_alive = False
        if not self.keep_alive and not says_close:
            lines.append(_CLOSE)
        if self._chunks:
            lines.append(b"transfer-encoding: chunked\r\n")
        self.began = True
        self._must_continue = False
        begin = b"HTTP/1.1 %d %b\r\n" % (status, _phrase(status))
        self._wire.transport.write(b"".join((begin, self._wire.default_lines(), *lines, b"\r\n")))

    def _write_body(self, body: bytes, *, more: bool) -> None:
        transport = self._wire.transport
        if self._head.method == b"HEAD":
            self._left = None
        elif self._chunks:
            framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            transport.write(framed if more else framed + b"0\r\n\r\n")
        else:
            if self._left is not None:
                self._left -= len(body)
                if self._left < 0 or (self._left and not more):
                    raise RuntimeError("The answer is not as long as its head says")
            if body:
                transport.write(body)
        if not more:
            self.complete = True
            self._body.clear()
            self._wakes.set()
            self._wire.answered()


def scope_of(head: Head, *, server: Any, client: Any) -> Scope:
    """The ASGI scope of a request; `server` and `client` are the two ends of the connection, host and port."""
    path, _, query = head.target.partition(b"?")
    text = path.decode("ascii")
    return {
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "type": "http",
        "http_version": head.version,
        "server": server,
        "client": client,
        "scheme": "http",
        "root_path": "",
        "headers": list(head.headers),
        "state": {},
        "method": head.method.decode("ascii"),
        "path": unquote(text) if "%" in text else text,
        "raw_path": path,
        "query_string": query,
    }


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
