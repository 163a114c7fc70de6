"""A real server for the benchmarks, and clients that poll it from this process: one loop, no work that can be left out."""

import asyncio
import base64
import contextlib
import itertools
import os
import random
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec

SECRET = "benchmark-secret"  # noqa: S105 - of a server that lives for seconds
START_WITHIN = 20.0
EVENT_ID = re.compile(rb'"id":([0-9]+)')


def free_port() -> int:
    """A free port below the range that outgoing connections take theirs from."""
    for port in random.sample(range(15000, 32000), 100):
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")


class Server:
    """One `tidewire serve`."""

    def __init__(self, pid: int, port: int, keys: list[str]) -> None:
        self.pid = pid
        self.port = port
        self.keys = keys
        """Of the users 1, 2, ... in order."""

    def cpu(self) -> float:
        """Seconds of CPU that it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(folder: Path, *, users: int, durability: str) -> Iterator[Server]:
    """Runs a server with so many users in a folder of its own."""
    folder.mkdir()
    keys = [secrets.token_hex(16) for _ in range(users)]
    entries = [
        f'[[user]]\nid = {number}\nrealm_id = 1\nemail = "{_email(number)}"\napi_key = "{key}"\nfull_name = "U"\n'
        for number, key in enumerate(keys, 1)
    ]
    file = folder / "users.toml"
    file.write_text('[[realm]]\nid = 1\nhost = "bench.example"\nname = "B"\n' + "".join(entries))
    port = free_port()
    settings = {
        "server.secret": SECRET,
        "auth.users_file": file,
        "storage.directory": folder / "state",
        "storage.durability": durability,
        "log.level": "warning",
    }
    command = [sys.executable, "-m", "tidewire", "serve", "--port", str(port)]
    command += itertools.chain.from_iterable(("--set", f"{key}={value}") for key, value in settings.items())
    with subprocess.Popen(command) as process:  # noqa: S603 - ours
        try:
            _wait_for(port)
            yield Server(process.pid, port, keys)
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _email(number: int) -> str:
    return f"user{number}@bench.example"


class Connection(asyncio.Protocol):
    """A connection on which one request follows the other."""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        """Some of an answer, mostly all of it."""
        received = self._received + data
        head, found, body = received.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0]):
            self._received = received
            return
        self._received = b""
        assert head.startswith(b"HTTP/1.1 200"), received
        self.answered(body)

    def answered(self, body: bytes) -> None:
        """A whole answer."""
        assert self._waiter is not None
        self._waiter.set_result(body)

    def send(self, request: bytes) -> None:
        """Sends a request."""
        assert self._transport is not None
        self._transport.write(request)

    async def ask(self, request: bytes) -> bytes:
        """Sends a request and waits for its answer."""
        self._waiter = asyncio.get_running_loop().create_future()
        self.send(request)
        return await self._waiter

    def close(self) -> None:
        """Closes it."""
        assert self._transport is not None
        self._transport.close()


class Count:
    """What all clients were given together."""

    def __init__(self) -> None:
        self.events = 0
        self._wanted = 0
        self._reached: asyncio.Future[None] | None = None

    def add(self, events: int) -> None:
        """A client was given events."""
        self.events += events
        if self._reached is not None and self.events >= self._wanted:
            self._reached.set_result(None)
            self._reached = None

    async def reaches(self, wanted: int) -> None:
        """Waits until there are so many."""
        if self.events < wanted:
            self._wanted = wanted
            self._reached = asyncio.get_running_loop().create_future()
            await self._reached


class Client(Connection):
    """Polls one queue for ever."""

    def __init__(self, number: int, key: str, count: Count) -> None:
        super().__init__()
        self._auth = base64.b64encode(f"{_email(number)}:{key}".encode()).decode()
        self._count = count
        self._queue_id = ""

    async def register(self) -> None:
        """Makes the queue, and sends the first poll."""
        answer = await self.ask(_request("POST /api/v1/register", f"Basic {self._auth}", b""))
        self._queue_id = msgspec.json.decode(answer)["queue_id"]
        self._poll(b"-1")

    def answered(self, body: bytes) -> None:
        """Counts the events and polls again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(body)
            return
        ids = EVENT_ID.findall(body)
        if ids:  # else the server stops
            self._poll(ids[-1])
            self._count.add(len(ids))

    def _poll(self, last: bytes) -> None:
        path = f"/api/v1/events?queue_id={self._queue_id}&last_event_id={last.decode()}"
        self.send(_request(f"GET {path}", f"Basic {self._auth}", None))


def publish_request(notice: bytes) -> bytes:
    """A request that publishes a notice."""
    return _request("POST /api/internal/notices", f"Bearer {SECRET}", notice)


def _request(target: str, authorization: str, body: bytes | None) -> bytes:
    length = "" if body is None else f"Content-Length: {len(body)}\r\n"
    head = f"{target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {authorization}\r\n{length}\r\n"
    return head.encode() + (body or b"")


async def connect(server: Server) -> Connection:
    """A connection."""
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", server.port)
    return connection


async def clients(server: Server, count: Count) -> list[Client]:
    """A client for each user, registered and polling."""
    loop = asyncio.get_running_loop()
    made = []
    for number, key in enumerate(server.keys, 1):
        client = Client(number, key, count)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", server.port)  # type: ignore[misc] # a default binds it now
        await client.register()
        made.append(client)
    return made
