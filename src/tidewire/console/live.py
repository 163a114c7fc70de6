"""Live values of the console: the statistics that an open page asks for every second, and the health of each shard."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request

from tidewire import __version__
from tidewire.cluster.peers import Peers
from tidewire.core.errors import Unavailable
from tidewire.core.inspection.survey import Survey
from tidewire.http import responses
from tidewire.http.context import ServerContext
from tidewire.http.request_info import note_of
from tidewire.http.responses import Response
from tidewire.http.views.operators import surveyed
from tidewire.observability.counters import Histogram
from tidewire.sharding.shard_map import ShardMap

Times: TypeAlias = Callable[[], Mapping[str, Collection[Histogram]]]
"""Gives what is measured of how long things take, by name."""


NO_TIMES: Mapping[str, Collection[Histogram]] = MappingProxyType({})


KEPT = 0.9
"""Seconds for which what was found in the queues is used again: less than passes between two questions of a page."""


SPARED = 20
"""And so many times as long as the look took: of very many queues it is had more rarely, for a twentieth of the time."""


class LiveStats:
    """The view, with what it last found."""

    def __init__(self, times: Times = lambda: NO_TIMES) -> None:
        self._times = times
        self._survey: Survey[Any] | None = None
        self._found_at = 0.0
        self._kept = KEPT
        self._looking = asyncio.Lock()

    async def view(self, request: Request, context: ServerContext) -> Response:
        """`GET /console/api/pulse`: the totals of `stats`, how the server is, and how long its loop lets others wait."""
        note_of(request).quiet = True
        began = context.timer()
        await asyncio.sleep(0)
        turn = context.timer() - began
        status = context.lifecycle
        survey = await self._surveyed(context)
        payload = {
            **msgspec.structs.asdict(context.engine.shard.overview(survey)),
            "now": context.now(),
            "loop_turn": turn,
            "times": {name: _together(measured) for name, measured in self._times().items()},
            "ready": status.ready,
            "stopping": status.stopping,
            "degraded": status.degraded,
            "version": __version__,
        }
        return responses.success(payload)

    async def _surveyed(self, context: ServerContext) -> Survey[Any]:
        async with self._looking:
            if self._survey is None or not 0 <= context.now() - self._found_at < self._kept:
                began = context.timer()
                self._survey = await surveyed(context)
                self._found_at = context.now()
                self._kept = max(KEPT, SPARED * (context.timer() - began))
            return self._survey


def _together(measured: Collection[Histogram]) -> dict[str, float]:
    """How often, and how many seconds in all: two readings give the mean in between."""
    return {
        "count": sum(sum(histogram.counts) for histogram in measured),
        "seconds": sum(histogram.total for histogram in measured),
    }


OK = 200


PATIENCE = 2.0
"""Seconds that another shard has to answer: the page asks again soon."""


ASKED = b"GET /health/ready HTTP/1.1\r\nHost: shard\r\n\r\n"


class Health(msgspec.Struct):
    """What a shard answers, as far as it is shown."""

    degraded: tuple[str, ...] = ()
    msg: str = ""


_HEALTH = msgspec.json.Decoder(Health)


async def all_shards(request: Request, context: ServerContext) -> Mapping[str, Any]:
    """Which shard this one is, and all that there are.

    Each shard has an `index`, a `url`, and `healthy`; `degraded` names what is wrong, `serves` says whose users it has,
    `queues` how many queues, as far as that is known here, and `problem` why it is not healthy.
    """
    peers = context.peers
    if peers is None:
        url = f"{request.url.scheme}://{request.headers.get('host', '')}"
        return {"index": 0, "shards": [{"index": 0, "url": url, "serves": "all users", **_own(context)}]}
    index, shard_map = peers.index, peers.map
    others = [number for number in range(len(shard_map.shards)) if number != index]
    answered = await asyncio.gather(*(_other(peers, number) for number in others))
    health = {**dict(zip(others, answered, strict=True)), index: _own(context)}
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


def _own(context: ServerContext) -> dict[str, Any]:
    status = context.lifecycle
    return {
        "healthy": status.ready and not status.stopping,
        "degraded": list(status.degraded),
        "queues": context.engine.shard.queues(),
    }


async def _other(peers: Peers, shard: int) -> dict[str, Any]:
    try:
        reply = await peers.ask(shard, ASKED, within=PATIENCE, may_repeat=True)
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
