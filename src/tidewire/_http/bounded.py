"""HTTP as the server speaks it to applications: one request, one whole answer, bounded in time and size.

Nothing is followed and nothing kept: an answer that sends elsewhere is an answer like any other, and each request has
a connection of its own. Addresses come from the settings, never from a client.
"""

import asyncio
import ssl
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from tidewire import TidewireError, __version__

MAX_HEAD_BYTES = 65_536
READ_SIZE = 65_536
AT_ONCE = 32
"""Requests under way to one address; more wait for their turn, so that a restart does not fall upon the application."""

Lines = Iterable[tuple[str, str]]


class CallFailed(TidewireError):
    """The server's answer did not come, or not whole."""

    code = "CALL_FAILED"
    http_status = 503
    retry_helps = True


class Reply(NamedTuple):
    """A whole answer, whatever its status."""

    status: int
    body: bytes


class Caller:
    """One address, and how it is asked."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        max_bytes: int,
        headers: Lines = (),
        ssl_context: ssl.SSLContext | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        """Takes an `http` or `https` address, the seconds and bytes of one answer, and headers of every request."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = (
            ("Host", parts.netloc),
            ("User-Agent", f"Tidewire/{__version__}"),
            ("Accept", "application/json"),
            ("Connection", "close"),
            *headers,
        )
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._ssl_context = ssl_context
        self._turns = asyncio.Semaphore(at_once)

    async def post(self, body: bytes, headers: Lines = ()) -> Reply:
        """Sends JSON.

        Raises:
            CallFailed: no whole answer came in time, or one that is too large.
        """
        own = (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers)
        return await self._ask(self._head("POST", own) + body)

    async def get(self) -> Reply:
        """Asks for what is there.

        Raises:
            CallFailed: no whole answer came in time, or one that is too large.
        """
        return await self._ask(self._head("GET", ()))

    def _head(self, method: str, headers: Lines) -> bytes:
        lines = [f"{method} {self._target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (*self._headers, *headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    async def _ask(self, request: bytes) -> Reply:
        try:
            async with asyncio.timeout(self._timeout), self._turns:
                return await self._exchange(request)
        except TimeoutError:
            raise CallFailed(f"No answer came within {self._timeout:g} seconds") from None
        except (OSError, ssl.SSLError) as error:
            raise CallFailed(f"The connection failed: {error}") from error

    async def _exchange(self, request: bytes) -> Reply:
        context = self._context() if self._secure else None
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=context)
        try:
            writer.write(request)
            await writer.drain()
            return await self._read(reader)
        finally:
            writer.close()

    def _context(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
        return self._ssl_context

    async def _read(self, reader: asyncio.StreamReader) -> Reply:
        incoming = _Incoming(self._max_bytes)
        parser = HttpResponseParser(incoming)
        while not incoming.complete:
            data = await reader.read(READ_SIZE)
            if not data:
                if not incoming.ends_with_the_connection:
                    raise CallFailed("The answer broke off")
                break
            try:
                incoming.count(data)
                parser.feed_data(data)
            except (HttpParserError, HttpParserUpgrade) as error:
                raise incoming.failure or CallFailed("What came is no HTTP answer") from error
        return Reply(parser.get_status_code(), bytes(incoming.body))


class _Incoming:
    """Takes an answer from the parser."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._head_bytes = 0
        self._has_head = False
        self._has_length = False
        self.body = bytearray()
        self.complete = False
        self.failure: CallFailed | None = None

    @property
    def ends_with_the_connection(self) -> bool:
        """Whether the answer is whole when nothing more comes."""
        return self._has_head and not self._has_length

    def count(self, data: bytes) -> None:
        """Bounds the head."""
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES + READ_SIZE:
                raise CallFailed("The answer's head is too large")

    def on_header(self, name: bytes, _value: bytes) -> None:
        """Called by the parser."""
        self._has_length = self._has_length or name.lower() in (b"content-length", b"transfer-encoding")

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._has_head = True

    def on_body(self, part: bytes) -> None:
        """Called by the parser."""
        self.body += part
        if len(self.body) > self._max_bytes:
            self.failure = CallFailed(f"The answer is larger than {self._max_bytes} bytes")
            self.failure.retry_helps = False
            raise self.failure

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self.complete = True
