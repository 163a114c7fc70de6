"""The shards that the console shows, and how each is."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from starlette.requests import Request

from tidewire.http.site import Site

Shards: TypeAlias = Callable[[Request, Site], Awaitable[Mapping[str, Any]]]
"""Gives `{"index": N, "shards": [{"index", "url", "healthy", ...}]}`: which shard is asked, and all that there are.

A shard may also have `serves` (which users, in words), `degraded` (names of what is wrong), `queues` (how many) and
`problem` (a sentence). The page shows what is there.
"""


async def this_shard_alone(request: Request, site: Site) -> Mapping[str, Any]:
    """The shards of a server that is the only one."""
    lifecycle = site.lifecycle
    own = {
        "index": 0,
        "url": f"{request.url.scheme}://{request.headers.get('host', '')}",
        "healthy": lifecycle.ready and not lifecycle.stopping,
        "degraded": list(lifecycle.degraded),
        "queues": site.engine.shard.queues(),
        "serves": "all users",
    }
    return {"index": 0, "shards": [own]}
