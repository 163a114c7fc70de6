"""Two shards in one process, over real sockets: users with even ids are the first's, the others the second's."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from support.lane_server import LaneServer, lane_server
from support.raw_http import Answer, request_bytes
from support.server_process import SECRET, USER_IDS, credentials
from support.site import LocalSite, local_site
from tidewire.cluster.peers import Mode, Peers
from tidewire.sharding.shard_map import ShardAddress, ShardMap, even_map

OWN, OTHER = "bob", "ada"
"""A user of the first shard, and one of the second."""


class TwoShards:
    """Both of them; what is asked is asked of the first."""

    def __init__(self, first: LaneServer, second: LaneServer, neighbours: list[Peers]) -> None:
        self.first = first
        self.second = second
        self.neighbours = neighbours

    async def ask(self, name: str | None, method: str, path: str, **request: Any) -> Answer:
        """One request to the first shard."""
        headers = request.pop("headers", {}) | ({} if name is None else credentials(name))
        (raw,) = await self.first.ask(request_bytes(method, path, headers=headers, **request))
        return parsed(raw)

    async def publish(self, body: bytes) -> Answer:
        """Notices to the first shard."""
        headers = {"Authorization": f"Bearer {SECRET}"}
        return await self.ask(None, "POST", "/api/internal/notices", body=body, headers=headers)

    async def events(self, name: str, queue_id: str, last_event_id: int = -1) -> list[dict[str, Any]]:
        """What a queue holds, asked of the first shard."""
        query = {"queue_id": queue_id, "last_event_id": last_event_id, "dont_block": True}
        answer = await self.ask(name, "GET", "/api/v1/events", query=query)
        assert answer.status == 200, answer
        events: list[dict[str, Any]] = answer.json["events"]
        return events

    async def register(self, name: str, **parameters: Any) -> str:
        """Makes a queue by way of the first shard."""
        answer = await self.ask(name, "POST", "/api/v1/register", form=parameters)
        assert answer.status == 200, answer
        return str(answer.json["queue_id"])


def parsed(raw: bytes) -> Answer:
    """An answer's bytes as an answer."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    return Answer(int(status.split()[1]), headers, body)


@contextlib.asynccontextmanager
async def two_shards(directory: Path, mode: Mode = "proxy") -> AsyncIterator[TwoShards]:
    """Runs both for the time of the block."""
    assert USER_IDS[OWN] % 2 == 0
    assert USER_IDS[OTHER] % 2 == 1
    neighbours: list[Peers] = []
    async with contextlib.AsyncExitStack() as stack:
        servers = []
        for index in (0, 1):
            folder = directory / str(index)
            folder.mkdir()
            local = _with_neighbours(local_site(folder), index, mode)
            assert local.context.peers is not None
            neighbours.append(local.context.peers)
            servers.append(await stack.enter_async_context(lane_server(local)))
        addresses = tuple(ShardAddress(server.port) for server in servers)
        for one in neighbours:
            one._map = ShardMap(shards=addresses, version=2, default=(0, 1))
            stack.callback(one.close)
        yield TwoShards(servers[0], servers[1], neighbours)


def _with_neighbours(local: LocalSite, index: int, mode: Mode) -> LocalSite:
    made = Peers(
        even_map([1, 2]),
        index=index,
        mode=mode,
        directory=local.context.authenticator,
        secret=SECRET,
        log=local.context.log,
    )
    return local.changed(peers=made)
