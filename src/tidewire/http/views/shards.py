"""The routes by which shards and operators have users moved (D7)."""

import asyncio
from collections import defaultdict
from typing import Any

import msgspec
from starlette.requests import Request

from tidewire.cluster.awaitable import AwaitableWaiter
from tidewire.cluster.peers import Peers
from tidewire.cluster.relocation import LOOK_AT, RelocationCoordinator
from tidewire.core.errors import BadRequest, NotFound, ShardMapDiffers
from tidewire.core.transitions.relocate import decode_chunk
from tidewire.engine.transfer import RelocationSteps
from tidewire.http import responses
from tidewire.http.context import ServerContext
from tidewire.http.parameters import read_body
from tidewire.http.responses import Response
from tidewire.http.views.publish import check_internal
from tidewire.sharding.shard_map import ShardMap, decode_map

MAX_CHUNK_BYTES = 256 * 1024 * 1024
"""A chunk has about a megabyte, but doesn't end within a queue, and one of these may be as long as `queues.max_bytes`."""

MAX_MAP_BYTES = 4 * 1024 * 1024


ABSENT = msgspec.Raw(b"null")


class _Maps(msgspec.Struct):
    """A map to live under, and the one before."""

    after: msgspec.Raw
    before: msgspec.Raw = ABSENT


def _hand_over(context: ServerContext) -> RelocationCoordinator:
    if context.relocation is None:
        raise NotFound("This server is no shard: shards.map_file is not set")
    return context.relocation


def status_of(relocation: RelocationCoordinator, relocation_steps: RelocationSteps) -> dict[str, Any]:
    """How far a shard is."""
    relocations, peers = relocation_steps.relocations, relocation.neighbours
    is_alone = relocations.agreed and peers.splits_by_this_map_alone
    waits = relocation.waits
    users, queues, away, here = relocation_steps.totals
    return {
        "index": peers.index,
        "port": peers.own.port,
        "version": relocations.version,
        "before": None if peers.before is None else peers.before.version,
        "before_map": relocations.before.decode() or None,
        "unsure": peers.unsure,
        "agreed": relocations.agreed,
        "closed": relocations.closed,
        # All that counts is that no part is under way which an older map made.
        "splits_by": relocations.version if is_alone else 0,
        "awaited": [peers.address(shard).port for shard in relocations.awaited],
        "users": users,
        "queues": queues,
        "left": relocation.left,
        "moved_away": away,
        "moved_here": here,
        "waits": None if waits is None else {"reason": waits[0], "seconds": round(waits[1], 1)},
        "longest_hold_ms": round(relocation.longest_hold * 1000, 1),
    }


async def planned(peers: Peers, relocation_steps: RelocationSteps, newer: ShardMap) -> list[dict[str, int]]:
    """How many users and queues a map would have this shard hand over, by where to."""
    found: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    for place, user_id in enumerate(relocation_steps.users_to_move()):
        realm_id = peers.realm_of(user_id, None)
        after = newer.shard_of(user_id, None if realm_id is None else peers.host_of(realm_id))
        if peers.shard_of(user_id, realm_id) == peers.index != after:
            found[after][0] += 1
            found[after][1] += relocation_steps.queues_of([user_id])
        if place % LOOK_AT == 0:
            await asyncio.sleep(0)
    return [
        {"to": newer.shards[shard].port, "users": users, "queues": queues}
        for shard, (users, queues) in sorted(found.items())
    ]


async def status(request: Request, context: ServerContext) -> Response:
    """`GET /api/internal/shards`: under which map this shard lives, and how far a hand-over is; all of it durable."""
    check_internal(request, context)
    relocation = _hand_over(context)
    context.lifecycle.check_serving()
    said = status_of(relocation, context.engine.relocation_steps)
    slot: AwaitableWaiter[None] = AwaitableWaiter()
    context.engine.relocation_steps.answer_when_durable(slot)
    await slot.wait()
    return responses.success(said)


async def take_map(request: Request, context: ServerContext) -> Response:
    """`POST /api/internal/shards/map`: lives under another map from here on, and hands users over by it."""
    check_internal(request, context)
    relocation = _hand_over(context)
    after, before = _maps(await read_body(request, MAX_MAP_BYTES))
    context.lifecycle.check_serving()
    problem = relocation.take_map(after, before)
    if problem is not None:
        raise ShardMapDiffers(f"The map can't be put in force: {problem}")
    slot: AwaitableWaiter[None] = AwaitableWaiter()
    context.engine.relocation_steps.answer_when_durable(slot)
    await slot.wait()
    return responses.success(status_of(relocation, context.engine.relocation_steps))


async def plan(request: Request, context: ServerContext) -> Response:
    """`POST /api/internal/shards/plan`: how many users a map would have this shard hand over; nothing changes."""
    check_internal(request, context)
    relocation = _hand_over(context)
    after, _ = _maps(await read_body(request, MAX_MAP_BYTES))
    return responses.success(
        {"moves": await planned(relocation.neighbours, context.engine.relocation_steps, after)}
    )


async def take_users(request: Request, context: ServerContext) -> Response:
    """`POST /api/internal/shards/users`: what another shard hands over; answered once it is durable."""
    check_internal(request, context)
    _hand_over(context)
    chunk = decode_chunk(await read_body(request, MAX_CHUNK_BYTES))
    context.lifecycle.check_serving()
    slot: AwaitableWaiter[None] = AwaitableWaiter()
    adopted = context.engine.relocation_steps.take(chunk, slot)
    changed = context.engine.relocation_steps.whose_rights_changed(adopted, context.authenticator.rights)
    if changed:
        # On the way, or there is another users file here.
        context.engine.revoke(changed)
    await slot.wait()
    if adopted:
        port = context.relocation and context.relocation.port_of(chunk.source)
        context.log.debug("users taken", source=port, users=len(adopted))
    return responses.success({})


def _maps(body: bytes) -> tuple[ShardMap, ShardMap | None]:
    try:
        said = msgspec.json.decode(body, type=_Maps)
        before = None if bytes(said.before) == b"null" else decode_map(bytes(said.before))
        return decode_map(bytes(said.after)), before
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadRequest(f"This is no map: {error}") from None
