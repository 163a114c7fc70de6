"""Clients that wait, and come back at once when their connection ends: a program of its own for `coming_back.py`.

`returning.py PORT COUNT`: registers COUNT clients, the users from 1 on, prints `waiting` when all wait, and from then on
`back N S` at the end of each second in which clients had an answer on a new connection: N in all, S seconds after the
first lost its connection.
"""

import asyncio
import re
import sys
import time
from urllib.parse import urlencode

import uvloop

from talking import poll_path
from users import credentials

AT_ONCE = 200
"""Clients that register at the same time."""

TRY_AGAIN = 0.05
"""Seconds: these clients are in more of a hurry than any that people use."""

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_QUEUE = re.compile(rb'"queue_id": ?"([^"]+)"')
_IDS = re.compile(rb'"id": ?(\d+)')

FORM = urlencode({"event_types": '["benchmark", "restart"]'}).encode()


class Crowd:
    """What is known of all clients."""

    def __init__(self) -> None:
        self.waiting = 0
        self.back = 0
        self.first_lost: float | None = None
        self.changed = asyncio.Event()


class Client(asyncio.Protocol):
    """One client; each of its connections in turn."""

    def __init__(self, crowd: Crowd, port: int, user: int) -> None:
        self._crowd = crowd
        self._port = port
        self._head = (
            f"Host: shard\r\nAuthorization: {credentials(user)}\r\nUser-Agent: benchmark/1.0\r\n".encode()
        )
        self._queue_id = ""
        self._acknowledged = -1
        self._received = b""
        self._returns = False
        self._transport: asyncio.Transport | None = None
        self.waits = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Until it is connected."""
        while True:
            try:
                await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(TRY_AGAIN)
            else:
                return

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Registers, or polls."""
        self._transport = transport
        self._received = b""
        if self._queue_id:
            self._poll()
            return
        form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(FORM)
        transport.write(b"POST /api/v1/register HTTP/1.1\r\n" + self._head + form + FORM)

    def _poll(self) -> None:
        assert self._transport is not None
        path = poll_path(self._queue_id, self._acknowledged, block=True).encode()
        self._transport.write(b"GET %b HTTP/1.1\r\n%b\r\n" % (path, self._head))

    def data_received(self, data: bytes) -> None:
        """Part of an answer."""
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        self._received = b""
        if not self._queue_id:
            found = _QUEUE.search(body)
            assert found is not None, body
            self._queue_id = found[1].decode()
            self.waits.set_result(None)
        elif self._returns:
            self._returns = False
            self._crowd.back += 1
        ids = _IDS.findall(body)
        if ids:
            self._acknowledged = int(ids[-1])
        if b"connection: close" not in head.lower():
            self._poll()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """Comes back."""
        if self._crowd.first_lost is None:
            self._crowd.first_lost = time.monotonic()
        self._returns = True
        self._task = asyncio.get_running_loop().create_task(self.connect())


async def main(port: int, count: int) -> None:
    """The whole program; it ends when it is ended."""
    crowd = Crowd()
    turn = asyncio.Semaphore(AT_ONCE)

    async def register(user: int) -> Client:
        client = Client(crowd, port, user)
        async with turn:
            await client.connect()
            await client.waits
        return client

    clients = await asyncio.gather(*(register(user) for user in range(1, count + 1)))
    print("waiting", flush=True)
    told = 0
    while clients:
        await asyncio.sleep(0.05)
        if crowd.back != told and crowd.first_lost is not None:
            told = crowd.back
            print("back", told, round(time.monotonic() - crowd.first_lost, 2), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
