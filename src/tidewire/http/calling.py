"""Asking another server: connections that are kept, one request at a time on each, and no task for a long wait."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from httptools import HttpParserError, HttpResponseParser

from tidewire.http.slots import AsgiSlot

HeaderLines: TypeAlias = tuple[tuple[bytes, bytes], ...]

CONNECT_WITHIN = 2.0
"""Seconds: the other is on the same machine or in the same network."""

IDLE_FOR = 50.0
"""Seconds that an idle connection may be used again; the server closes it after 75."""

IDLE_MOST = 1000
"""Idle connections that are kept: as many requests as come at once after a quiet time."""


class Unreachable(Exception):
    """No connection could be had, or it broke before the answer was there whole."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the other answered; header names are in lower case."""

    status: int
    headers: HeaderLines
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The value of the first header of that name."""
        return next((value for header, value in self.headers if header == name), None)


BROKEN = Reply(0, (), b"")
"""In place of a reply that will not come."""

GONE = Reply(200, (), b"")
"""In place of a reply that nobody waits for any more, because the client went away; it is not sent."""


class Call(asyncio.Protocol):
    """One connection. While a request is under way its slot waits; in between the connection is idle."""

    def __init__(self, on_idle: Callable[["Call"], None]) -> None:
        self._on_idle = on_idle
        self._slot: AsgiSlot[Reply] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing() and self._slot is None

    def send(self, request: bytes, slot: AsgiSlot[Reply]) -> None:
        """Sends a whole request; the slot gets the reply, or `BROKEN`."""
        self._slot = slot
        self._headers, self._body = [], []
        if self._transport is None or self._transport.is_closing():
            self._complete(BROKEN)
        else:
            self._transport.write(request)

    def end(self, reply: Reply = BROKEN) -> None:
        """Waits no longer: whoever does gets this, and the other learns that nobody does."""
        self._complete(reply)
        if self._transport is not None:
            self._transport.abort()

    def give_up(self, slot: AsgiSlot[Reply], reply: Reply = BROKEN) -> None:
        """The same for one request, if it is still the one under way."""
        if self._slot is slot:
            self.end(reply)

    # Called by the transport.

    def connection_made(  # type: ignore[override]  # of a stream protocol it is always one of these
        self, transport: asyncio.Transport
    ) -> None:
        """It is there."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Part of a reply has come."""
        if self._slot is None:
            self.end()  # nothing was asked: whatever that is, it belongs to no request
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """It is gone."""
        self._complete(BROKEN)

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        """Part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The reply is there whole."""
        parser = self._parser
        reply = Reply(parser.get_status_code(), tuple(self._headers), b"".join(self._body))
        goes_on = parser.should_keep_alive()
        # A parser is not used twice: what one reply leaves in it can't harm the next.
        self._parser = HttpResponseParser(self)
        self._complete(reply)
        if goes_on:
            self._on_idle(self)
        elif self._transport is not None:
            self._transport.close()

    def _complete(self, reply: Reply) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            slot.complete(reply)


class Sibling:
    """Another server, and the connections to it."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: deque[Call] = deque()

    async def begin(self, request: bytes, slot: AsgiSlot[Reply], *, fresh: bool = False) -> Call:
        """Sends a request; the slot gets the reply. `fresh` takes no connection that was used before.

        Raises:
            Unreachable: nobody is there.
        """
        call = None if fresh else self._kept()
        if call is None:
            call = await self._connected()
        call.send(request, slot)
        return call

    def close(self) -> None:
        """Closes what is idle."""
        while self._idle:
            self._idle.pop().end()

    def _kept(self) -> Call | None:
        earliest = asyncio.get_running_loop().time() - IDLE_FOR
        while self._idle:
            call = self._idle.pop()
            if call.is_usable and call.idle_since > earliest:
                return call
            call.end()
        return None

    def _keep(self, call: Call) -> None:
        call.idle_since = asyncio.get_running_loop().time()
        self._idle.append(call)
        if len(self._idle) > IDLE_MOST:
            self._idle.popleft().end()

    async def _connected(self) -> Call:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                _, call = await loop.create_connection(lambda: Call(self._keep), self._host, self._port)
        except OSError as error:
            raise Unreachable(str(error) or "no connection in time") from None
        return call
