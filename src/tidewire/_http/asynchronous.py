"""Requests on an event loop: as many at a time as there are tasks, over connections that are kept."""

import asyncio
import contextlib
import http.client
import io
import ssl
from collections.abc import Mapping
from typing import NamedTuple

from tidewire._http.address import Address
from tidewire._http.values import COMMON_HEADERS, CONNECT_TIMEOUT, Answer, TransportFailed

#: Bytes of the head of an answer, and of the line before a chunk.
HEAD_LIMIT = 65_536

FIRST_FINAL_STATUS = 200
WITHOUT_BODY = (204, 304)


class AsyncConnection:
    """Connections to one server, made when needed and kept when a request is done.

    One event loop. Credentials stand only in `headers`, and no exception repeats those.
    """

    def __init__(
        self, url: str, *, headers: Mapping[str, str], ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._address = Address.parse(url)
        self._headers = {**COMMON_HEADERS, **headers}
        self._tls = ssl_context
        self._idle: list[_Wire] = []
        self._is_closed = False

    async def request(
        self,
        method: str,
        path: str,
        *,
        timeout: float,  # noqa: ASYNC109  # as `Connection` has it
        body: bytes | None = None,
        content_type: str = "",
    ) -> Answer:
        """Sends one request and reads its whole answer, in `timeout` seconds altogether.

        A kept connection that turns out to be closed, with no answer begun, is replaced once: the request may
        then reach the server twice, so only repeatable requests may be sent.

        Raises:
            TransportFailed: no whole answer came in time.
        """
        request = self._encoded(method, path, body, content_type)
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(request)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, http.client.HTTPException) as error:
            raise TransportFailed(self._address.failure(error, timeout)) from error

    async def close(self) -> None:
        """Closes what is kept, and whatever is in use once it is done."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        for wire in idle:
            await wire.close()

    async def _exchange(self, request: bytes) -> Answer:
        if self._idle:
            wire = self._idle.pop()
            with contextlib.suppress(ConnectionError):
                return await self._over(wire, request)
        return await self._over(await self._connected(), request)

    async def _over(self, wire: "_Wire", request: bytes) -> Answer:
        try:
            wire.writer.write(request)
            await wire.writer.drain()
            answer, is_kept = await _read_answer(wire.reader)
        except BaseException:
            wire.writer.transport.abort()  # a broken off exchange leaves an answer behind that nothing may read
            raise
        if is_kept and not self._is_closed:
            self._idle.append(wire)
        else:
            await wire.close()
        return answer

    async def _connected(self) -> "_Wire":
        address = self._address
        tls = (self._tls or ssl.create_default_context()) if address.is_secure else None
        port = address.port or (443 if address.is_secure else 80)
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return _Wire(*await asyncio.open_connection(address.host, port, ssl=tls, limit=HEAD_LIMIT))

    def _encoded(self, method: str, path: str, body: bytes | None, content_type: str) -> bytes:
        address = self._address
        host = f"[{address.host}]" if ":" in address.host else address.host
        headers = {"Host": host if address.port is None else f"{host}:{address.port}", **self._headers}
        if body is not None:
            headers |= {"Content-Length": str(len(body)), "Content-Type": content_type}
        lines = [f"{method} {address.prefix}{path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


class _Wire(NamedTuple):
    """One connection, with its reader and writer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


async def _read_answer(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    """Reads an answer, and whether the connection can be used again."""
    status = 0
    while status < FIRST_FINAL_STATUS:
        version, status, headers = _head(await _read_head(reader))
    body, is_delimited = await _read_body(reader, status, headers)
    says = headers.get("Connection", "").lower()
    is_kept = is_delimited and "close" not in says and (version == "HTTP/1.1" or "keep-alive" in says)
    return Answer.of(status, headers, body), is_kept


async def _read_head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        raise http.client.RemoteDisconnected("") from None  # a `ConnectionError`: no answer was begun


def _head(head: bytes) -> tuple[str, int, http.client.HTTPMessage]:
    status_line, _, rest = head.partition(b"\r\n")
    version, _, code = status_line.decode("latin-1").partition(" ")
    if not version.startswith("HTTP/1.") or not code[:3].isdecimal():
        raise http.client.BadStatusLine("")
    return version, int(code[:3]), http.client.parse_headers(io.BytesIO(rest))


async def _read_body(
    reader: asyncio.StreamReader, status: int, headers: http.client.HTTPMessage
) -> tuple[bytes, bool]:
    """Reads a body, and whether it had an end of its own."""
    if status in WITHOUT_BODY:
        return b"", True
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return await _read_chunks(reader), True
    length = headers.get("Content-Length")
    if length is None:
        return await reader.read(), False
    if not length.isdecimal():
        raise http.client.HTTPException
    return await reader.readexactly(int(length)), True


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        if size < 0:
            raise http.client.HTTPException
        chunks.append((await reader.readexactly(size + 2))[:-2])
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers
    return b"".join(chunks)
