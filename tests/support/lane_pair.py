"""The same bytes on two connections without a socket: on one the lane takes what it can, on the other it takes nothing.

Each has a site of its own, and both sites live through the same, so every answer must be the same to the last byte.
"""

import asyncio
import itertools
import random
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.asgi import settle
from support.broken_requests import (
    AUTH,
    CHUNKED,
    FORM,
    INTERNAL,
    LIVE,
    TYPES,
    get,
    notices,
    poll,
    post,
    sized,
)
from support.site import LocalSite, local_site
from tidewire.http.lane.connection import LaneConnection
from tidewire.http.lane.parsing import Head
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.lane.shared import Lane

HEADERS = ((b"date", b"Tue, 24 Nov 2026 12:00:00 GMT"),)


class MemoryTransport(asyncio.Transport):
    """Keeps what is written, and what becomes of the connection."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__({"peername": (address, 50_000), "sockname": ("127.0.0.1", 80)})
        self.written = bytearray()
        self.ended = False
        """Nothing more is written."""
        self.closed = False
        self.reading = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def write(self, data: Any) -> None:
        """Takes bytes, unless nothing more may come."""
        assert not self.ended
        assert not self.closed
        self.written += data

    def can_write_eof(self) -> bool:
        """Always."""
        return True

    def write_eof(self) -> None:
        """The end of what is written."""
        self.ended = True

    def close(self) -> None:
        """Ends it."""
        self.ended = self.closed = True

    def abort(self) -> None:
        """The same."""
        self.close()

    def pause_reading(self) -> None:
        """Nothing more is taken in."""
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        """It is again."""
        assert not self.reading
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is ever buffered."""

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def taken(self) -> bytes:
        """What was written since the last time."""
        written = bytes(self.written)
        self.written.clear()
        return written


class PlainConnection(LaneConnection):
    """A connection on which the ordinary routes answer everything."""

    __slots__ = ()

    def _take(self, _head: Head) -> bool:
        return False

    def _take_again(self, _data: bytes) -> bool:
        return False


@dataclass
class Side:
    """One of the two."""

    local: LocalSite
    lane: Lane
    kind: type[LaneConnection]

    def connect(self) -> tuple[LaneConnection, MemoryTransport]:
        """A new connection."""
        connection, transport = self.kind(self.lane), MemoryTransport()
        connection.connection_made(transport)
        return connection, transport


def side(folder: Path, kind: type[LaneConnection], bounds: Bounds) -> Side:
    """A site and its lane; to be made on a running loop."""
    folder.mkdir()
    local = local_site(folder)
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def start(serving: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(serving)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    lane = Lane(
        local.context,
        bounds=bounds,
        application=local.app,
        start=start,
        default_headers=lambda: HEADERS,
        connections=set(),
        call_soon=loop.call_soon,
        now=0.0,
    )
    return Side(local, lane, kind)


class LanePair:
    """The two sides."""

    def __init__(self, sides: tuple[Side, Side]) -> None:
        self.sides = sides

    async def answers(self, *pieces: bytes) -> tuple[tuple[bytes, bool], tuple[bytes, bool]]:
        """What each side says to the same pieces on a new connection, and whether it then ends the connection."""
        fast, plain = [await self._answer(one, pieces) for one in self.sides]
        return fast, plain

    async def _answer(self, one: Side, pieces: tuple[bytes, ...]) -> tuple[bytes, bool]:
        connection, transport = one.connect()
        for piece in pieces:
            if not transport.closed:
                connection.data_received(piece)
            await _quiet()
        ended = transport.ended
        transport.closed = True
        connection.connection_lost(None)
        await _quiet()
        one.local.log_stream.seek(0)
        one.local.log_stream.truncate()
        return transport.taken(), ended


async def _quiet() -> None:
    """Until nothing is left to be done at once: an ordinary request takes some turns of the loop."""
    for _ in range(3):
        await settle()


@asynccontextmanager
async def lane_pair(bounds: Bounds | None = None) -> AsyncIterator[LanePair]:
    """Two sides with a queue each, `queue-0`, which has two events."""
    with tempfile.TemporaryDirectory() as folder:
        fast, plain = (
            side(Path(folder) / kind.__name__, kind, bounds or Bounds())
            for kind in (LaneConnection, PlainConnection)
        )
        for one in (fast, plain):
            await one.local.register("ada")
            await one.local.publish("ada", type="a")
            await one.local.publish("ada", type="b")
        yield LanePair((fast, plain))


POLL = poll(b"queue_id=queue-0&last_event_id=0&dont_block=true")
NOTICE = notices(b'{"event":{"type":"c"},"users":[2]}')

GOOD = (
    POLL,
    POLL.replace(b"last_event_id=0", b"last_event_id=-1"),
    poll(b"queue_id=unknown&last_event_id=0"),
    poll(b"queue_id=queue-0&last_event_id=99&client=me"),
    NOTICE,
    NOTICE,
    notices(b'{"event":{"type":"c"},"users":[2]}\n{"event":{"type":"d"},"users":[2]}'),
    notices(b"[1,2"),
    post(CHUNKED, b"5\r\nevent\r\n0;a=b\r\nA: b\r\n\r\n", b"/api/internal/notices").replace(AUTH, INTERNAL),
    get(b"/api/v1/events?queue_id=queue-0&last_event_id=0&dont_block=true"),
    get(b"/json/events?queue_id=queue-0&last_event_id=0&dont_block=true", b"Cookie: session=x\r\n"),
    LIVE,
    sized(TYPES[:-2]),
    post(FORM + b"Content-Length: 0\r\n", target=b"/nowhere"),
    get(b"/api/internal/queues", INTERNAL),
)

PIECES = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b";",
    b"0",
    b"-1",
    b"1e3",
    b"%0a",
    b"%",
    b"&",
    b"&last_event_id=0",
    b"?",
    b"/",
    b"//",
    b"\x00",
    b"\xff",
    b"HTTP/1.0",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"Expect: x\r\n",
    b"Host: y\r\n",
    b"Origin: http://x\r\n",
    b"X-Forwarded-For: 10.0.0.1\r\n",
    b"User-Agent: ZulipTerminal/1\r\n",
    b"Authorization: Basic x\r\n",
)


def mutated(chance: random.Random) -> bytes:
    """A request of which up to four places are changed."""
    request = chance.choice(GOOD)
    for _ in range(chance.randint(0, 4)):
        at, kind = chance.randrange(len(request) + 1), chance.randrange(6)
        if kind == 0:  # another byte
            request = request[:at] + bytes([chance.randrange(256)]) + request[at + 1 :]
        elif kind == 1:  # fewer
            request = request[:at] + request[at + chance.randint(1, 8) :]
        elif kind == 2:  # twice
            request = request[:at] + request[max(0, at - chance.randint(1, 40)) :]
        elif kind == 3:  # something that means something
            request = request[:at] + chance.choice(PIECES) + request[at:]
        else:  # the same where a line begins
            line = request.find(b"\r\n", at) + 2
            request = request[:line] + chance.choice(PIECES) + request[line:]
    return request


def sequences(seed: int) -> Iterator[tuple[bytes, ...]]:
    """What is sent on one connection: up to three requests, in pieces that have nothing to do with them."""
    chance = random.Random(seed)
    while True:
        requests = [mutated(chance) for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.5:
            requests.insert(0, chance.choice(GOOD))
        if chance.random() < 0.5:
            yield tuple(requests)
        else:
            whole = b"".join(requests)
            places = sorted(
                {0, len(whole), *(chance.randrange(len(whole)) for _ in range(chance.randint(0, 3)))}
            )
            yield tuple(whole[start:end] for start, end in itertools.pairwise(places))


async def compare(seed: int, count: int) -> tuple[int, dict[bytes, int]]:
    """Sends `count` requests or more to both sides.

    Returns:
        How many were sent, and how many answers there were by status.

    Raises:
        AssertionError: two answers differ; the message has the bytes that show it.
    """
    sent, statuses = 0, dict[bytes, int]()
    generated = sequences(seed)
    while sent < count:
        async with lane_pair() as pair:
            for _ in range(2_000):
                pieces = next(generated)
                fast, plain = await pair.answers(*pieces)
                assert fast == plain, (seed, pieces, fast, plain)
                sent += len(pieces)
                for part in fast[0].split(b"HTTP/1.1 ")[1:]:
                    statuses[part[:3]] = statuses.get(part[:3], 0) + 1
                if sent >= count:
                    break
            assert pair.sides[0].lane.statistics.polls
            assert not pair.sides[1].lane.statistics.polls
    return sent, statuses
