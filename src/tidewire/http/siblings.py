"""What shards ask each other while they hand users over."""

from typing import Any

import msgspec

from tidewire.core.errors import ShardMapDiffers, Unavailable
from tidewire.core.handing import Chunk, encode_chunk
from tidewire.http.calling import Reply
from tidewire.http.neighbours import Neighbours

STATUS_PATH = "/api/internal/shards"
CHUNK_PATH = "/api/internal/shards/users"

ANSWER_WITHIN = 2.0
CHUNK_WITHIN = 30.0

OK = 200


async def ask_status(neighbours: Neighbours, shard: int) -> dict[str, Any]:
    """How far another shard is.

    Raises:
        Unavailable: it does not say.
    """
    request = neighbours.internal_request(STATUS_PATH, b"", "application/json", method="GET")
    reply = await _reply(neighbours, shard, request, within=ANSWER_WITHIN)
    if reply.status != OK:
        raise Unavailable(f"shard {neighbours.address(shard).port} answers {reply.status}")
    said: dict[str, Any] = msgspec.json.decode(reply.body)
    return said


async def send_chunk(neighbours: Neighbours, shard: int, chunk: Chunk) -> None:
    """Sends a chunk, and returns when the other has it.

    Raises:
        Unavailable: it does not say so.
        ShardMapDiffers: it can't take it.
    """
    request = neighbours.internal_request(CHUNK_PATH, encode_chunk(chunk), "application/msgpack")
    reply = await _reply(neighbours, shard, request, within=CHUNK_WITHIN)
    if reply.status != OK:
        port = neighbours.address(shard).port
        raise ShardMapDiffers(f"shard {port} does not take users: {reply.body[:200]!r}")


async def _reply(neighbours: Neighbours, shard: int, request: bytes, *, within: float) -> Reply:
    try:
        return await neighbours.ask(shard, request, within=within, may_repeat=True)
    except Unavailable:
        # Whoever looks wants to know which.
        raise Unavailable(f"shard {neighbours.address(shard).port} does not answer") from None
