"""The shards that the console shows: whose users each has, and what becomes of one that does not answer."""

from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from support.console_site import console_site
from support.two_shards import TwoShards, two_shards
from tidewire.console.live import serves
from tidewire.sharding.shard_map import RealmPattern, ShardAddress, ShardMap, even_map

MAP = ShardMap(
    shards=(ShardAddress(9800), ShardAddress(9801), ShardAddress(9802)),
    hosts=MappingProxyType({"chat.example": (0, 1)}),
    patterns=(RealmPattern(r".*\.test", (1,)),),
    default=(0,),
)


@pytest.mark.parametrize(
    ("shard", "words"),
    [
        (0, "chat.example, shared by 2, all other realms"),
        (1, "chat.example, shared by 2, .*\\.test"),
        (2, "nobody"),
    ],
)
def test_whose_users_a_shard_has_is_said_in_words(shard: int, words: str) -> None:
    assert serves(MAP, shard) == words


def test_shards_that_share_all_users_say_so() -> None:
    assert serves(even_map([9800]), 0) == "all users"
    assert serves(even_map([9800, 9801]), 1) == "all users, shared by 2"


async def shown(both: TwoShards) -> list[dict[str, Any]]:
    console = console_site(both.first.local)
    await console.log_in()
    answer = (await console.get("/api/shards")).json
    assert answer["index"] == 0
    shards: list[dict[str, Any]] = answer["shards"]
    return shards


async def test_each_shard_says_itself_how_it_is(tmp_path: Path) -> None:
    async with two_shards(tmp_path) as both:
        own, other = await shown(both)
        assert (own["healthy"], own["queues"], other["healthy"], other["degraded"]) == (True, 0, True, [])
        assert [shard["url"].rpartition(":")[2] for shard in (own, other)] == [
            str(server.port) for server in (both.first, both.second)
        ]
        status = both.second.local.context.lifecycle
        status.journal_fails(True)
        assert (await shown(both))[1]["degraded"] == ["journal"]
        status.stopping = True
        assert (await shown(both))[1].items() >= {
            "healthy": False,
            "problem": "The server is stopping",
        }.items()


async def test_a_shard_that_is_not_there_is_not_healthy(tmp_path: Path) -> None:
    async with two_shards(tmp_path) as both:
        nobody = ShardAddress(1)
        peers = both.neighbours[0]
        peers._map = ShardMap(shards=(peers.map.shards[0], nobody), version=3, default=(0, 1))
        own, other = await shown(both)
        assert own["healthy"] is True
        assert (other["healthy"], other["problem"]) == (False, "it does not answer")
