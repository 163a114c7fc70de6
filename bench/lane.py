"""A delivery on the fast lane without the kernel: connections whose bytes come from and go to nowhere."""

import asyncio
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import uvloop

from candidates import notice
from measure import Case, alternate, print_table
from shards import engine_with_queues
from talking import poll_path
from tidewire.auth import UsersFileAuthenticator
from tidewire.auth.cache import CachingAuthenticator
from tidewire.core.state.limits import IdleTimeouts, Limits
from tidewire.http.context import Compat, ServerContext, ServerStatus
from tidewire.http.lane.connection import LaneConnection
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.lane.shared import Lane
from tidewire.http.security import Access
from tidewire.observability.log import build_log
from tidewire.observability.request_lines import RequestLines
from users import SECRET, credentials, write_users

CLIENTS = 1_000
FAN_OUTS = 20
"""In one run."""

WHOLE = "as it comes"


class _Sink(asyncio.Transport):
    """Takes what is written, and keeps none of it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50_000)})
        self.written = 0

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        self.written += len(data)


def main(*, rounds: int) -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as folder, _loop():
        cases = {
            WHOLE: _case(Path(folder)),
            "without the log": _case(Path(folder), writes=False),
            "without trails": _case(Path(folder), trails=0),
            "an event for one client": _case(Path(folder), reached=1),
        }
        timings = alternate(cases, rounds=rounds)
    print_table(
        f"A delivery to one of {CLIENTS:,} clients and its next poll, without the kernel",
        timings,
        unit="us a delivery",
        base=WHOLE,
    )


@contextmanager
def _loop() -> Iterator[None]:
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        loop.close()


def _case(folder: Path, *, writes: bool = True, trails: int = 2048, reached: int = CLIENTS) -> Case:
    soon: deque[Callable[[], None]] = deque()
    lane, queue_ids = _lane(folder, soon, writes=writes, trails=trails)
    connections = [_connected(lane) for _ in range(CLIENTS)]
    publisher = _connected(lane)
    requests = [
        _poll(number, queue_id).partition(b"%d") for number, queue_id in enumerate(queue_ids, start=1)
    ]
    acknowledged = [-1] * CLIENTS
    for number, connection in enumerate(connections):
        connection.data_received(b"-1".join(requests[number][::2]))
    body = (
        notice(range(1, reached + 1)).replace("{seq}", "1").replace("{ts}", "1.5").replace("{pad}", "x" * 380)
    )
    head = f"POST /api/internal/notices HTTP/1.1\r\nHost: bar.test\r\nAuthorization: Bearer {SECRET}\r\n"
    publishing = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    def run() -> int:
        for _ in range(FAN_OUTS * CLIENTS // reached // (1 if reached == CLIENTS else 4)):
            publisher.data_received(publishing)
            while soon:
                soon.popleft()()
            for number in range(reached):
                last = acknowledged[number] = acknowledged[number] + 1
                before, _, after = requests[number]
                connections[number].data_received(b"%b%d%b" % (before, last, after))
        return FAN_OUTS * CLIENTS // (1 if reached == CLIENTS else 4)

    return Case(run)


def _lane(
    folder: Path, soon: deque[Callable[[], None]], *, writes: bool, trails: int
) -> tuple[Lane, list[str]]:
    write_users(folder, CLIENTS)
    users = UsersFileAuthenticator(path=folder / "users.toml")
    engine, queue_ids = engine_with_queues(
        CLIENTS + 1, call_soon=soon.append, limits=Limits(explain_bytes=trails)
    )
    stream = Path("/dev/null").open("w")  # noqa: SIM115 - for as long as the process
    context = ServerContext(
        engine=engine,
        authenticator=CachingAuthenticator(users),
        access=Access(secret=SECRET, internal_from=[ip_network("127.0.0.1")], trusted_proxies=[]),
        idle_timeouts=IdleTimeouts(),
        compat=Compat(version="12.0", feature_level=491, bad_queue_text="never"),
        lifecycle=ServerStatus(ready=True),
        log=build_log(form="console", level="info" if writes else "warning", stream=stream),
        lines=RequestLines(form="console", stream=stream, call_soon=soon.append),
    )
    headers = [(b"date", b"Tue, 24 Nov 2026 12:00:00 GMT"), (b"server", b"tidewire")]
    lane = Lane(
        context,
        bounds=Bounds(),
        application=_nobody,
        start=_nobody,
        default_headers=lambda: headers,
        connections=set(),
        call_soon=soon.append,
        now=time.monotonic(),
    )
    return lane, queue_ids[1:]


def _nobody(*_: Any) -> Any:
    raise AssertionError("every request is for the lane")


def _connected(lane: Lane) -> LaneConnection:
    connection = LaneConnection(lane)
    connection.connection_made(_Sink())
    return connection


def _poll(number: int, queue_id: str) -> bytes:
    path = poll_path(queue_id, -1, block=True).replace("=-1", "=%d")
    head = f"GET {path} HTTP/1.1\r\nHost: bar.test\r\nUser-Agent: fanout/1.0 (longpoll benchmark)\r\n"
    return f"{head}Authorization: {credentials(number)}\r\nAccept: application/json\r\n\r\n".encode()
