"""Requests to other shards, over connections that are kept open, one request at a time on each.

`PeerPool` holds the connections to one shard, `Peers` all shards by the map in force. No request needs a task of its
own, because a forwarded poll may wait for a minute.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec
from httptools import HttpParserError, HttpResponseParser
from starlette.types import Receive
from structlog.typing import FilteringBoundLogger

from tidewire.cluster.awaitable import AwaitableWaiter
from tidewire.cluster.locator import Directory, UserLocator
from tidewire.core.errors import ShardMapDiffers, Unavailable
from tidewire.core.relocation.relocations import Relocations
from tidewire.core.transitions.relocate import Chunk, encode_chunk
from tidewire.sharding.shard_map import ShardAddress, ShardMap

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
        self._slot: AwaitableWaiter[Reply] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing() and self._slot is None

    def send(self, request: bytes, slot: AwaitableWaiter[Reply]) -> None:
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

    def give_up(self, slot: AwaitableWaiter[Reply], reply: Reply = BROKEN) -> None:
        """Abandons one request, if it is still the one under way."""
        if self._slot is slot:
            self.end(reply)

    # Called by the transport.

    def connection_made(  # type: ignore[override]  # of a stream protocol it is always one of these
        self, transport: asyncio.Transport
    ) -> None:
        """Keeps the transport of the new connection."""
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
        """Fails the request under way, if the connection was lost before its answer was complete."""
        self._complete(BROKEN)

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser: checks what bounds the reply."""
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        """Called by the parser: adds a part of the reply's body."""
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


class PeerPool:
    """Another server, and the connections to it."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: deque[Call] = deque()

    async def begin(self, request: bytes, slot: AwaitableWaiter[Reply], *, fresh: bool = False) -> Call:
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
        """Closes connections that are idle."""
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


Mode = Literal["proxy", "redirect"]


FORWARDED = "tidewire-forwarded"
"""The header of a request that another shard or the proxy sends on: the version of the sender's map, and how often it
has been sent on, once if that is not said; of notices that came by different ways, a digit for each. Whoever sets it from outside only gets an error where help was to be had."""


MOST_HOPS = 3
"""How often a request is sent on. While users move a shard may be wrong by one step; then there is a way back and
forth. More than that is a disagreement, in which it would go round for ever."""


class Peers(UserLocator):
    """The other shards, and how to ask them.

    Attributes:
        by_bus: hands a notice to another shard's bus queue, where there is a bus that all shards share; for what must
            reach a shard that does not answer.
    """

    def __init__(
        self,
        shard_map: ShardMap,
        *,
        index: int,
        mode: Mode,
        directory: Directory,
        secret: str,
        log: FilteringBoundLogger,
        by_bus: Callable[[int, bytes], Awaitable[None]] | None = None,
        relocations: Relocations | None = None,
    ) -> None:
        super().__init__(shard_map, index=index, directory=directory, relocations=relocations)
        self.mode = mode
        self._secret = secret
        self._log = log
        self.by_bus = by_bus
        self._siblings: dict[ShardAddress, PeerPool] = {}
        self._silent: set[int] = set()
        """Shards that did not answer when last asked: the log says so once, not for each request."""
        self._waiting: dict[AwaitableWaiter[Reply], tuple[Call, Reply]] = {}
        """Requests at other shards, each with its connection and with what ends it. By slot: as soon as the reply is
        there the connection carries the next request, which may be before whoever waited has run."""

    def use_map(self, shard_map: ShardMap, before: ShardMap | None) -> None:
        """Uses these shard maps from now on, and closes connections to shards that are in neither."""
        super().use_map(shard_map, before)
        for address in self._siblings.keys() - {self.address(shard) for shard in self.others()}:
            self._siblings.pop(address).close()

    # Asking.

    async def ask(
        self,
        shard: int,
        request: bytes,
        *,
        within: float,
        may_repeat: bool,
        receive: Receive | None = None,
        if_stopping: Reply = BROKEN,
    ) -> Reply:
        """The reply of another shard to a whole request.

        Args:
            shard: whom to ask.
            request: all of it.
            within: seconds.
            may_repeat: whether it does no harm to ask again, on a new connection, when an old one turns out closed.
            receive: where to learn that whoever waits has gone; then it is `GONE`.
            if_stopping: what `release` ends it with.

        Raises:
            Unavailable: the shard does not answer.
        """
        address = self.address(shard)
        try:
            reply = await self._ask(address, request, within, receive, if_stopping, fresh=False)
            if reply is BROKEN and may_repeat:
                reply = await self._ask(address, request, within, receive, if_stopping, fresh=True)
        except Unreachable as error:
            self._note_silent(shard, str(error))
            raise _unavailable() from None
        if reply is BROKEN:
            self._note_silent(shard, "no answer")
            raise _unavailable()
        if shard in self._silent:
            self._silent.discard(shard)
            self._log.info("shard answers again", shard=address.port)
        return reply

    async def _ask(
        self,
        address: ShardAddress,
        request: bytes,
        within: float,
        receive: Receive | None,
        if_stopping: Reply,
        *,
        fresh: bool,
    ) -> Reply:
        sibling = self._siblings.setdefault(address, PeerPool(address.host, address.port))
        slot: AwaitableWaiter[Reply] = AwaitableWaiter()
        call = await sibling.begin(request, slot, fresh=fresh)
        self._waiting[slot] = (call, if_stopping)
        giving_up = asyncio.get_running_loop().call_later(within, call.give_up, slot)
        try:
            if receive is None:
                return await slot.wait()
            return await slot.wait_connected(receive) or GONE
        finally:
            giving_up.cancel()
            del self._waiting[slot]
            call.give_up(slot)

    def _note_silent(self, shard: int, error: str) -> None:
        if shard not in self._silent:
            self._silent.add(shard)
            self._log.warning("shard does not answer", shard=self.address(shard).port, error=error)

    def internal_request(
        self, path: str, body: bytes, kind: str, *, method: str = "POST", hops: int | str = 1
    ) -> bytes:
        """A request to an internal route of another shard, which this one answers for; `hops` counts this one."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: shard\r\nAuthorization: Bearer {self._secret}\r\n"
            f"{FORWARDED}: {self._map.version} {hops}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    # Stopping.

    def release(self) -> None:
        """Ends what waits for other shards, as polls of this one's own are ended (D5)."""
        for slot, (call, reply) in list(self._waiting.items()):
            if reply is not BROKEN:
                call.give_up(slot, reply)

    def close(self) -> None:
        """Lets go of the connections."""
        for sibling in self._siblings.values():
            sibling.close()


def _unavailable() -> Unavailable:
    return Unavailable("The shard that serves this user does not answer; try again")


STATUS_PATH = "/api/internal/shards"


CHUNK_PATH = "/api/internal/shards/users"


ANSWER_WITHIN = 2.0


CHUNK_WITHIN = 30.0


OK = 200


async def ask_status(peers: Peers, shard: int) -> dict[str, Any]:
    """How far another shard is.

    Raises:
        Unavailable: it does not say.
    """
    request = peers.internal_request(STATUS_PATH, b"", "application/json", method="GET")
    reply = await _reply(peers, shard, request, within=ANSWER_WITHIN)
    if reply.status != OK:
        raise Unavailable(f"shard {peers.address(shard).port} answers {reply.status}")
    said: dict[str, Any] = msgspec.json.decode(reply.body)
    return said


async def send_chunk(peers: Peers, shard: int, chunk: Chunk) -> None:
    """Sends a chunk, and returns when the other has it.

    Raises:
        Unavailable: it does not say so.
        ShardMapDiffers: it can't take it.
    """
    request = peers.internal_request(CHUNK_PATH, encode_chunk(chunk), "application/msgpack")
    reply = await _reply(peers, shard, request, within=CHUNK_WITHIN)
    if reply.status != OK:
        port = peers.address(shard).port
        raise ShardMapDiffers(f"shard {port} does not take users: {reply.body[:200]!r}")


async def _reply(peers: Peers, shard: int, request: bytes, *, within: float) -> Reply:
    try:
        return await peers.ask(shard, request, within=within, may_repeat=True)
    except Unavailable:
        # Whoever looks wants to know which.
        raise Unavailable(f"shard {peers.address(shard).port} does not answer") from None
