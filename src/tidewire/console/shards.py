"""The shards that the console shows, and how each is: what it says itself when it is asked whether it is ready."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from tidewire.core.errors import Unavailable
from tidewire.core.shard_map import ShardMap
from tidewire.http.neighbours import Neighbours
from tidewire.http.site import Site

OK = 200

PATIENCE = 2.0
"""Seconds that another shard has to answer: the page asks again soon."""

ASKED = b"GET /health/ready HTTP/1.1\r\nHost: shard\r\n\r\n"


class Health(msgspec.Struct):
    """What a shard answers, as far as it is shown."""

    degraded: tuple[str, ...] = ()
    msg: str = ""


_HEALTH = msgspec.json.Decoder(Health)


async def all_shards(request: Request, site: Site) -> Mapping[str, Any]:
    """Which shard this one is, and all that there are.

    Each shard has an `index`, a `url`, and `healthy`; `degraded` names what is wrong, `serves` says whose users it has,
    `queues` how many queues, as far as that is known here, and `problem` why it is not healthy.
    """
    neighbours = site.neighbours
    if neighbours is None:
        url = f"{request.url.scheme}://{request.headers.get('host', '')}"
        return {"index": 0, "shards": [{"index": 0, "url": url, "serves": "all users", **_own(site)}]}
    index, shard_map = neighbours.index, neighbours.map
    others = [number for number in range(len(shard_map.shards)) if number != index]
    answered = await asyncio.gather(*(_other(neighbours, number) for number in others))
    health = {**dict(zip(others, answered, strict=True)), index: _own(site)}
    return {
        "index": index,
        "shards": [
            {
                "index": number,
                "url": f"http://{address.host}:{address.port}",
                "serves": serves(shard_map, number),
                **health[number],
            }
            for number, address in enumerate(shard_map.shards)
        ],
    }


def _own(site: Site) -> dict[str, Any]:
    lifecycle = site.lifecycle
    return {
        "healthy": lifecycle.ready and not lifecycle.stopping,
        "degraded": list(lifecycle.degraded),
        "queues": site.engine.shard.queues(),
    }


async def _other(neighbours: Neighbours, shard: int) -> dict[str, Any]:
    try:
        reply = await neighbours.ask(shard, ASKED, within=PATIENCE, may_repeat=True)
        said = _HEALTH.decode(reply.body)
    except Unavailable:
        return {"healthy": False, "problem": "it does not answer"}
    except msgspec.DecodeError:
        return {"healthy": False, "problem": "what answers is no shard"}
    if reply.status != OK:
        return {"healthy": False, "problem": said.msg}
    return {"healthy": True, "degraded": list(said.degraded)}


def serves(shard_map: ShardMap, shard: int) -> str:
    """Whose users a shard has, in words."""
    if shard_map.is_uniform:
        return _share("all users", shard_map.default) if shard in shard_map.default else "nobody"
    named = [_share(host, shards) for host, shards in shard_map.hosts.items() if shard in shards]
    named += [_share(rule.pattern, rule.shards) for rule in shard_map.patterns if shard in rule.shards]
    if shard in shard_map.default:
        named.append(_share("all other realms", shard_map.default))
    return ", ".join(named) or "nobody"


def _share(whom: str, shards: tuple[int, ...]) -> str:
    return whom if len(shards) == 1 else f"{whom}, shared by {len(shards)}"
