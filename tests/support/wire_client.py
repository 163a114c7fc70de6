"""HTTP for hundreds of connections in one process: asyncio streams, one request at a time on each."""

import asyncio
import contextlib
import time
from typing import NamedTuple

import msgspec

from support.events import Json

PATIENCE = 90.0
"""Seconds after which a request counts as hung."""


class Gone(Exception):
    """The connection ended before a whole answer."""


class Told(NamedTuple):
    """An answer."""

    status: int
    json: Json


class Pulse:
    """When the server answered last, and the longest time in which it answered nobody."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.longest = 0.0

    def beat(self) -> None:
        """An answer came."""
        now = time.monotonic()
        self.longest = max(self.longest, now - self._last)
        self._last = now


class Link:
    """One connection, made when it is needed."""

    def __init__(self, port: int, pulse: Pulse) -> None:
        self._port = port
        self._pulse = pulse
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> Told:
        """Sends a request and reads its answer.

        Raises:
            Gone: there is none.
            TimeoutError: it does not come.
        """
        async with asyncio.timeout(PATIENCE):
            await self.send(request)
            return await self._answer()

    async def send(self, request: bytes) -> None:
        """Sends a request, whose answer may never be read.

        Raises:
            Gone: it can't be.
        """
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            _, writer = self._streams
            writer.write(request)
            await writer.drain()
        except OSError as error:
            self.close()
            raise Gone from error

    def close(self) -> None:
        """Closes it, whatever is on its way."""
        streams, self._streams = self._streams, None
        if streams is not None:
            with contextlib.suppress(OSError):
                streams[1].transport.abort()

    async def _answer(self) -> Told:
        assert self._streams is not None
        reader, _ = self._streams
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = await reader.readexactly(length)
        except (OSError, EOFError) as error:
            self.close()
            raise Gone from error
        if "connection: close" in head:
            self.close()
        self._pulse.beat()
        # A proxy in front has errors of its own, in HTML.
        decoded: Json = msgspec.json.decode(body) if "application/json" in head else {}
        return Told(int(head.split(" ", 2)[1]), decoded)
