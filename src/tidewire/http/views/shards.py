"""The routes by which shards and operators have users moved (D7)."""

import asyncio
from collections import defaultdict
from typing import Any

import msgspec
from starlette.requests import Request

from tidewire.cluster.awaitable import AsgiSlot
from tidewire.cluster.peers import Neighbours
from tidewire.cluster.relocation import LOOK_AT, HandOver
from tidewire.core.errors import BadRequest, NotFound, ShardMapDiffers
from tidewire.core.transitions.relocate import decode_chunk
from tidewire.engine.transfer import Handing
from tidewire.http import responses
from tidewire.http.context import Site
from tidewire.http.parameters import read_body
from tidewire.http.responses import Answer
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


def _hand_over(site: Site) -> HandOver:
    if site.hand_over is None:
        raise NotFound("This server is no shard: shards.map_file is not set")
    return site.hand_over


def status_of(hand_over: HandOver, handing: Handing) -> dict[str, Any]:
    """How far a shard is."""
    moves, neighbours = handing.moves, hand_over.neighbours
    is_alone = moves.agreed and neighbours.splits_by_this_map_alone
    waits = hand_over.waits
    users, queues, away, here = handing.totals
    return {
        "index": neighbours.index,
        "port": neighbours.own.port,
        "version": moves.version,
        "before": None if neighbours.before is None else neighbours.before.version,
        "before_map": moves.before.decode() or None,
        "unsure": neighbours.unsure,
        "agreed": moves.agreed,
        "closed": moves.closed,
        # All that counts is that no part is under way which an older map made.
        "splits_by": moves.version if is_alone else 0,
        "awaited": [neighbours.address(shard).port for shard in moves.awaited],
        "users": users,
        "queues": queues,
        "left": hand_over.left,
        "moved_away": away,
        "moved_here": here,
        "waits": None if waits is None else {"reason": waits[0], "seconds": round(waits[1], 1)},
        "longest_hold_ms": round(hand_over.longest_hold * 1000, 1),
    }


async def planned(neighbours: Neighbours, handing: Handing, newer: ShardMap) -> list[dict[str, int]]:
    """How many users and queues a map would have this shard hand over, by where to."""
    found: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    for place, user_id in enumerate(handing.concerned()):
        realm_id = neighbours.realm_of(user_id, None)
        after = newer.shard_of(user_id, None if realm_id is None else neighbours.host_of(realm_id))
        if neighbours.shard_of(user_id, realm_id) == neighbours.index != after:
            found[after][0] += 1
            found[after][1] += handing.queues_of([user_id])
        if place % LOOK_AT == 0:
            await asyncio.sleep(0)
    return [
        {"to": newer.shards[shard].port, "users": users, "queues": queues}
        for shard, (users, queues) in sorted(found.items())
    ]


async def status(request: Request, site: Site) -> Answer:
    """`GET /api/internal/shards`: under which map this shard lives, and how far a hand-over is; all of it durable."""
    check_internal(request, site)
    hand_over = _hand_over(site)
    site.lifecycle.check_serving()
    said = status_of(hand_over, site.engine.handing)
    slot: AsgiSlot[None] = AsgiSlot()
    site.engine.handing.settle(slot)
    await slot.wait()
    return responses.success(said)


async def take_map(request: Request, site: Site) -> Answer:
    """`POST /api/internal/shards/map`: lives under another map from here on, and hands users over by it."""
    check_internal(request, site)
    hand_over = _hand_over(site)
    after, before = _maps(await read_body(request, MAX_MAP_BYTES))
    site.lifecycle.check_serving()
    problem = hand_over.take_map(after, before)
    if problem is not None:
        raise ShardMapDiffers(f"The map can't be put in force: {problem}")
    slot: AsgiSlot[None] = AsgiSlot()
    site.engine.handing.settle(slot)
    await slot.wait()
    return responses.success(status_of(hand_over, site.engine.handing))


async def plan(request: Request, site: Site) -> Answer:
    """`POST /api/internal/shards/plan`: how many users a map would have this shard hand over; nothing changes."""
    check_internal(request, site)
    hand_over = _hand_over(site)
    after, _ = _maps(await read_body(request, MAX_MAP_BYTES))
    return responses.success({"moves": await planned(hand_over.neighbours, site.engine.handing, after)})


async def take_users(request: Request, site: Site) -> Answer:
    """`POST /api/internal/shards/users`: what another shard hands over; answered once it is durable."""
    check_internal(request, site)
    _hand_over(site)
    chunk = decode_chunk(await read_body(request, MAX_CHUNK_BYTES))
    site.lifecycle.check_serving()
    slot: AsgiSlot[None] = AsgiSlot()
    adopted = site.engine.handing.take(chunk, slot)
    changed = site.engine.handing.whose_rights_changed(adopted, site.authenticator.rights)
    if changed:
        # On the way, or there is another users file here.
        site.engine.revoke(changed)
    await slot.wait()
    if adopted:
        port = site.hand_over and site.hand_over.port_of(chunk.source)
        site.log.debug("users taken", source=port, users=len(adopted))
    return responses.success({})


def _maps(body: bytes) -> tuple[ShardMap, ShardMap | None]:
    try:
        said = msgspec.json.decode(body, type=_Maps)
        before = None if bytes(said.before) == b"null" else decode_map(bytes(said.before))
        return decode_map(bytes(said.after)), before
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadRequest(f"This is no map: {error}") from None
