"""The dump views: queues that come from another server, and those of this one for another.

Both do their work in slices, with a turn of the loop in between: however large a dump is, polls are answered.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request

from tidewire.cluster.awaitable import AwaitableWaiter
from tidewire.core.dump import DumpedQueue, Unreadable, read_pair, split_dump
from tidewire.core.events.encoding import list_pieces
from tidewire.engine.transfer import Imports
from tidewire.http import responses
from tidewire.http.context import ServerContext
from tidewire.http.parameters import read_body
from tidewire.http.responses import Response
from tidewire.http.views.publish import check_internal

SLICE_BYTES = 64 * 1024
"""Of a dump, read or written without a turn of the loop: a few milliseconds. A slice doesn't end within a queue."""

BAD_QUEUE = "BAD_QUEUE"
"""Why a queue was skipped: it can't be read."""

QUEUE_EXISTS = "QUEUE_EXISTS"
"""Why a queue was skipped: there is one of its id, which stays as it is."""

WRONG_SHARD = "WRONG_SHARD"
"""Why a queue was skipped: its user is another shard's."""

PART = b"tidewire-shard"
"""The header of an export that is one shard's part of several: its port, and those of the others."""

Skip: TypeAlias = dict[str, Any]


async def take(request: Request, context: ServerContext) -> Response:
    """`POST /api/internal/dump`: makes queues from a dump; what can't be made is named, and the rest is there."""
    check_internal(request, context)
    context.lifecycle.check_serving()
    pairs = split_dump(await read_body(request, context.dump_max_bytes or sys.maxsize))
    taking = _Taking(context)
    for index, pair in enumerate(pairs):
        taking.read(index, pair)
        if taking.is_full:
            await taking.flush()
    await taking.flush()
    skipped = sorted(taking.skipped, key=lambda skip: int(skip["index"]))
    for skip in skipped:
        context.log.warning("queue not imported", **skip)
    context.log.info("queues imported", imported=taking.imported, skipped=len(skipped))
    return responses.success({"imported": taking.imported, "skipped": skipped})


class _Taking:
    """An import under way: the queues read so far."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._shared: dict[bytes, bytes] = {}
        self._read: list[tuple[int, DumpedQueue]] = []
        self._bytes = 0
        self.imported = 0
        self.skipped: list[Skip] = []

    @property
    def is_full(self) -> bool:
        """Whether it is time for a turn of the loop."""
        return self._bytes >= SLICE_BYTES

    def read(self, index: int, pair: msgspec.Raw) -> None:
        """Reads one queue of the dump."""
        self._bytes += memoryview(pair).nbytes
        try:
            most = self._context.engine.shard.registration_bytes
            queue = read_pair(pair, self._shared, registration_bytes=most)
        except Unreadable as error:
            self._skip(index, error.queue_id, BAD_QUEUE, error.message)
            return
        port = self._port_of(queue)
        if port is None:
            self._read.append((index, queue))
        else:
            reason = f"its user is the shard's on port {port}: import the file there too"
            self._skip(index, queue.queue_id, WRONG_SHARD, reason)

    def _port_of(self, queue: DumpedQueue) -> int | None:
        """Of the other shard that serves its user; None when this one does."""
        peers = self._context.peers
        if peers is None:
            return None
        shard = peers.shard_of(queue.spec.user_id, queue.spec.realm_id)
        return None if shard == peers.index else peers.map.shards[shard].port

    async def flush(self) -> None:
        """Makes the queues that were read, and gives others a turn."""
        read, self._read, self._bytes = self._read, [], 0
        # Every time: the server may have begun to stop in between.
        self._context.lifecycle.check_serving()
        slot: AwaitableWaiter[Imports] = AwaitableWaiter()
        self._context.engine.dumps.take([queue for _, queue in read], slot, restart=self._context.restart)
        imports = await slot.wait()
        self.imported += imports.imported
        for place in imports.known:
            index, queue = read[place]
            self._skip(index, queue.queue_id, QUEUE_EXISTS, "there is a queue of this id already")
        await asyncio.sleep(0)

    def _skip(self, index: int, queue_id: str | None, code: str, reason: str) -> None:
        self.skipped.append({"index": index, "queue_id": queue_id, "code": code, "reason": reason})


async def write(request: Request, context: ServerContext) -> Response:
    """`GET /api/internal/dump`: all queues as a dump; each is as it is when its turn comes."""
    check_internal(request, context)
    peers = context.peers
    if peers is None or len(peers.map.shards) == 1:
        return Response(200, pieces=_pieces(request, context))
    ports = [shard.port for shard in peers.map.shards]
    own = ports.pop(peers.index)
    part = b"%d; others=%b" % (own, ",".join(map(str, ports)).encode())
    return Response(200, headers=((PART, part),), pieces=_pieces(request, context))


async def _pieces(request: Request, context: ServerContext) -> AsyncIterator[bytes]:
    for piece in list_pieces(context.engine.dumps.write(), SLICE_BYTES):
        slot: AwaitableWaiter[None] = AwaitableWaiter()
        context.engine.dumps.settle(slot)
        await slot.wait()
        yield piece
        await asyncio.sleep(0)
        if await request.is_disconnected():
            return
