"""A client that costs little: raw bytes out, answers counted as they come in; thousands of requests a second."""

import asyncio
import re
import socket
import ssl
import struct
from typing import NamedTuple, Self

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+) *\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked *\r\n", re.IGNORECASE)
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")
_NO_BODY = (204, 304)


class WireAnswer(NamedTuple):
    """One answer."""

    status: int
    body: bytes


class Wire(asyncio.Protocol):
    """One connection.

    Attributes:
        received: all that came.
        answers: those that are whole, in their order; interim ones (1xx) are none.
        is_closed: the other side has closed it.
    """

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.received = bytearray()
        self.answers: list[WireAnswer] = []
        self.is_closed = False
        self._begin = 0
        self._woken: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # of a stream
        """It is open."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Finds the answers that are whole."""
        self.received += data
        while self._take():
            pass
        self._wake()

    def connection_lost(self, _error: Exception | None) -> None:
        """It is gone."""
        self.is_closed = True
        self._wake()

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def _take(self) -> bool:
        end = self.received.find(_HEAD_END, self._begin)
        if end < 0:
            return False
        head = bytes(self.received[self._begin : end + 4])
        status = int(head[9:12]) if head[9:12].isdigit() else 0
        begin = end + 4
        if 100 <= status < 200:
            self._begin = begin
            return True
        if _CHUNKED.search(head):
            return self._take_chunks(status, begin)
        found = _LENGTH.search(head)
        length = int(found[1]) if found and status not in _NO_BODY else 0
        if len(self.received) < begin + length:
            return False
        self.answers.append(WireAnswer(status, bytes(self.received[begin : begin + length])))
        self._begin = begin + length
        return True

    def _take_chunks(self, status: int, begin: int) -> bool:
        body = b""
        while True:
            line_end = self.received.find(b"\r\n", begin)
            if line_end < 0:
                return False
            line = bytes(self.received[begin:line_end])
            if not _SIZE.fullmatch(line):
                return (
                    False  # as behind the answer to a HEAD, which has no chunks: nothing more is understood
                )
            size = int(line, 16)
            begin = line_end + 2 + size + 2
            if len(self.received) < begin:
                return False
            if not size:
                break
            body += self.received[line_end + 2 : line_end + 2 + size]
        self.answers.append(WireAnswer(status, body))
        self._begin = begin
        return True

    def send(self, data: bytes) -> None:
        """Writes bytes."""
        if not self.is_closed:
            self.transport.write(data)

    async def more(self, within: float) -> bool:
        """Waits until something comes or it is closed; whether anything did in `within` seconds."""
        if self.is_closed:
            return False
        loop = asyncio.get_running_loop()
        self._woken = loop.create_future()
        timer = loop.call_later(within, self._woken.cancel)
        try:
            await self._woken
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return False
        finally:
            timer.cancel()
            self._woken = None
        return True

    async def answer(self, within: float) -> WireAnswer | None:
        """The next answer; None when there is none in time, or the connection ends before."""
        seen = len(self.answers)
        deadline = asyncio.get_running_loop().time() + within
        while len(self.answers) == seen:
            left = deadline - asyncio.get_running_loop().time()
            if self.is_closed or left <= 0:
                return None
            await self.more(left)
        return self.answers[seen]

    def restart(self) -> None:
        """Forgets what came before."""
        self.received.clear()
        self.answers.clear()
        self._begin = 0

    def is_at_rest(self) -> bool:
        """Whether one answer came and nothing behind it."""
        return len(self.answers) == 1 and self._begin == len(self.received)

    async def ask(self, request: bytes, within: float) -> WireAnswer | None:
        """Sends a request and returns its answer, if there is one in time."""
        self.send(request)
        return await self.answer(within)

    def close(self) -> None:
        """Ends it in order, at once."""
        self.transport.abort()

    def reset(self) -> None:
        """Ends it as if the client's machine had gone."""
        connection: socket.socket | None = self.transport.get_extra_info("socket")
        if connection is not None and not self.is_closed:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    @classmethod
    async def connect(cls, port: int, trust: ssl.SSLContext | None = None) -> Self:
        """A new connection to a port of 127.0.0.1, inside TLS when there is a context for it."""
        loop = asyncio.get_running_loop()
        name = "chat.example.com" if trust else None
        _, wire = await loop.create_connection(cls, "127.0.0.1", port, ssl=trust, server_hostname=name)
        return wire


def own_trust() -> ssl.SSLContext:
    """For certificates that tests have made themselves."""
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    return trust
