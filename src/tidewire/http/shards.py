"""The routes by which shards and operators have users moved (D7)."""

import msgspec
from starlette.requests import Request

from tidewire.core.errors import BadRequest, NotFound, ShardMapDiffers
from tidewire.core.handing import decode_chunk
from tidewire.core.shard_map import ShardMap, decode_map
from tidewire.http import answers
from tidewire.http.answers import Answer
from tidewire.http.body import read_body
from tidewire.http.hand_over import HandOver
from tidewire.http.internal import check_internal
from tidewire.http.site import Site
from tidewire.http.slots import AsgiSlot

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


async def status(request: Request, site: Site) -> Answer:
    """`GET /api/internal/shards`: under which map this shard lives, and how far a hand-over is; all of it durable."""
    check_internal(request, site)
    hand_over = _hand_over(site)
    site.lifecycle.check_serving()
    said = hand_over.status()
    slot: AsgiSlot[None] = AsgiSlot()
    site.engine.handing.settle(slot)
    await slot.wait()
    return answers.success(said)


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
    return answers.success(hand_over.status())


async def plan(request: Request, site: Site) -> Answer:
    """`POST /api/internal/shards/plan`: how many users a map would have this shard hand over; nothing changes."""
    check_internal(request, site)
    hand_over = _hand_over(site)
    after, _ = _maps(await read_body(request, MAX_MAP_BYTES))
    return answers.success({"moves": await hand_over.plan(after)})


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
    return answers.success({})


def _maps(body: bytes) -> tuple[ShardMap, ShardMap | None]:
    try:
        said = msgspec.json.decode(body, type=_Maps)
        before = None if bytes(said.before) == b"null" else decode_map(bytes(said.before))
        return decode_map(bytes(said.after)), before
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadRequest(f"This is no map: {error}") from None
