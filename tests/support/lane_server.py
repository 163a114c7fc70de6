"""A `LocalSite` behind real sockets and the fast lane, on the test's own loop, so that both can be looked at."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Self

from support.site import LocalSite
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.lane.shared import Lane
from tidewire.http.server.listener import Listener, bind

TIMEOUT = 20.0
LOOK_EVERY = 0.005


class Peer:
    """The client's end of a connection: what it sends may be anything."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._writer.close()

    def send(self, *data: bytes) -> None:
        """Sends bytes, each part by itself."""
        for part in data:
            self._writer.write(part)

    @property
    def unsent(self) -> int:
        """Bytes that wait here because the server does not read."""
        return self._writer.transport.get_write_buffer_size()

    def end_sending(self) -> None:
        """Says that no more will be sent."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Cuts the connection off."""
        self._writer.transport.abort()

    def stop_reading(self) -> None:
        """Takes nothing more from the socket."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # of a stream it reads too

    async def answer(self) -> bytes:
        """One whole answer with its head, its date left out.

        Raises:
            asyncio.IncompleteReadError: the server closed the connection before.
        """
        async with asyncio.timeout(TIMEOUT):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            body = await self._reader.readexactly(int(length[1])) if length else b""
        return without_date(head) + body

    async def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        async with asyncio.timeout(TIMEOUT):
            return without_date(await self._reader.read())


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop run until the condition holds."""
    for _ in range(int(TIMEOUT / LOOK_EVERY)):
        if condition():
            return
        await asyncio.sleep(LOOK_EVERY)
    raise AssertionError("what was waited for did not come")


def without_date(answer: bytes) -> bytes:
    """Two answers of different seconds may be the same."""
    return re.sub(rb"date: [^\r]*\r\n", b"", answer)


@dataclass
class LaneServer:
    """The server, and ways to reach it."""

    local: LocalSite
    lane: Lane
    port: int
    peers: list[Peer] = field(default_factory=list)

    async def connect(self) -> Peer:
        """A new connection; it is closed with the server, if not before."""
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self.peers.append(peer)
        return peer

    async def ask(self, *requests: bytes) -> list[bytes]:
        """The answers to requests on one connection, each sent when the one before is answered."""
        async with await self.connect() as peer:
            answers = []
            for request in requests:
                peer.send(request)
                answers.append(await peer.answer())
            return answers


@contextlib.asynccontextmanager
async def lane_server(local: LocalSite, bounds: Bounds | None = None) -> AsyncIterator[LaneServer]:
    """Serves the site until the end of the block."""
    socket = bind("127.0.0.1", 0)
    listener = Listener(local.app, socket, context=local.context, bounds=bounds or Bounds())
    await listener.open()
    server = LaneServer(local, listener.lane, socket.getsockname()[1])
    try:
        yield server
    finally:
        for peer in server.peers:
            peer.close()
        await listener.close()
        socket.close()
