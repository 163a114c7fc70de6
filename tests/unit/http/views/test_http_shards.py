"""The routes by which users are moved between shards."""

import asyncio
from pathlib import Path

import jsonschema_rs
import pytest

from support.raw_http import Answer
from support.server_process import SECRET, USER_IDS
from support.site import LocalSite, local_site
from tidewire.cluster.peers import Peers
from tidewire.cluster.relocation import RelocationCoordinator
from tidewire.core.ids import UserId
from tidewire.core.transitions.relocate import FORM, Chunk, encode_chunk
from tidewire.http.openapi import document
from tidewire.http.openapi.relocation_operations import STATUS
from tidewire.sharding.shard_map import ShardMap, encode_map, even_map

ONE = even_map([1])
TWO = even_map([1, 2], version=2)
INTERNAL = {"authorization": f"Bearer {SECRET}"}


def shard(folder: Path, shard_map: ShardMap = ONE, index: int = 0) -> LocalSite:
    """A shard that lives under a map from its beginning."""
    local = local_site(folder)
    relocation_steps = local.engine.relocation_steps
    peers = Peers(
        shard_map,
        index=index,
        mode="proxy",
        directory=local.context.authenticator,
        secret=SECRET,
        log=local.context.log,
        relocations=relocation_steps.relocations,
    )
    relocation = RelocationCoordinator(relocation_steps, peers, log=local.context.log, timer=lambda: 0.0)
    assert relocation.adopt_initial_map(shard_map) is None
    return local.changed(peers=peers, relocation=relocation)


async def told(local: LocalSite, after: ShardMap, before: ShardMap | None = None) -> Answer:
    """The answer to a map."""
    body = b'{"after":%b' % encode_map(after)
    body += b"}" if before is None else b',"before":%b}' % encode_map(before)
    return await local.internal("/api/internal/shards/map", body=body)


async def test_the_status_is_as_described(tmp_path: Path) -> None:
    answer = await shard(tmp_path).ask(None, "GET", "/api/internal/shards", headers=INTERNAL)
    assert answer.status == 200
    path = document()["paths"]["/api/internal/shards"]["get"]
    schema = path["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["properties"].keys() >= STATUS.keys()
    jsonschema_rs.validate({**schema, "components": document()["components"]}, answer.json)
    assert answer.json.keys() - STATUS.keys() == {"result", "msg"}
    assert (answer.json["version"], answer.json["before"], answer.json["unsure"]) == (1, None, False)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", "/map"), ("POST", "/plan"), ("POST", "/users")]
)
async def test_they_need_the_secret_and_a_map(tmp_path: Path, method: str, path: str) -> None:
    local = local_site(tmp_path)
    target = f"/api/internal/shards{path}"
    assert (await local.ask(None, method, target, body=b"")).status == 400
    answer = await local.ask(None, method, target, headers=INTERNAL, body=b"")
    assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")


async def test_a_newer_map_begins_a_hand_over_and_the_same_again_changes_nothing(tmp_path: Path) -> None:
    local = shard(tmp_path)
    for _ in range(2):
        answer = await told(local, TWO, ONE)
        assert (answer.status, answer.json["version"], answer.json["before"]) == (200, 2, 1)
    assert len(local.logged("hand-over begins")) == 1


async def test_a_shard_that_was_away_and_missed_a_map_goes_by_the_one_before_that_all_others_had(
    tmp_path: Path,
) -> None:
    missed, newest = even_map([2], version=2), even_map([1, 2], version=3)
    local = shard(tmp_path)
    assert local.context.relocation is not None
    assert local.context.relocation.adopt_initial_map(newest) is None
    assert local.engine.relocation_steps.relocations.before == encode_map(ONE)
    for _ in range(2):
        answer = await told(local, newest, missed)
        assert (answer.status, answer.json["version"], answer.json["before"]) == (200, 3, 2)
    assert len(local.logged("hand-over begins")) == 2


async def test_a_shard_with_users_has_missed_no_map(tmp_path: Path) -> None:
    local = shard(tmp_path)
    await local.ask("ada", "POST", "/api/v1/register", form={})
    await told(local, even_map([1, 2], version=3))
    answer = await told(local, even_map([1, 2], version=3), even_map([2], version=2))
    assert (answer.status, answer.json["before"]) == (200, 1)


@pytest.mark.parametrize(
    ("after", "before"),
    [
        (even_map([1], version=1, host="other"), None),
        (even_map([7], version=2), None),
        (TWO, even_map([1, 2])),
    ],
)
async def test_a_map_that_can_t_follow_is_refused(
    tmp_path: Path, after: ShardMap, before: ShardMap | None
) -> None:
    local = shard(tmp_path)
    answer = await told(local, after, before)
    assert (answer.status, answer.json["code"]) == (409, "SHARD_MAP_DIFFERS")
    assert local.engine.relocation_steps.relocations.version == 1


async def test_no_other_map_is_taken_before_the_hand_over_is_over(tmp_path: Path) -> None:
    local = shard(tmp_path)
    await told(local, TWO)
    answer = await told(local, even_map([1, 2, 3], version=3))
    assert (answer.status, answer.json["code"]) == (409, "SHARD_MAP_DIFFERS")
    assert "is not over" in answer.json["msg"]


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"{}", b'{"after":1}', b'{"after":{"version":2}}', b'{"after":%b}' % encode_map(TWO)[:-9]],
)
async def test_what_is_no_map_is_a_bad_request(tmp_path: Path, body: bytes) -> None:
    answer = await shard(tmp_path).internal("/api/internal/shards/map", body=body)
    assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")


async def test_a_plan_counts_who_would_move_and_changes_nothing(tmp_path: Path) -> None:
    local = shard(tmp_path)
    for name in ("ada", "bob", "ada"):
        await local.ask(name, "POST", "/api/v1/register", form={})
    body = b'{"after":%b}' % encode_map(TWO)
    answer = await local.internal("/api/internal/shards/plan", body=body)
    assert USER_IDS["ada"] % 2
    assert answer.json["moves"] == [{"to": 2, "users": 1, "queues": 2}]
    assert local.engine.relocation_steps.relocations.version == 1


async def test_users_are_taken_under_the_same_map_and_in_the_same_form_alone(tmp_path: Path) -> None:
    local = shard(tmp_path, TWO, 1)
    assert (await told(local, TWO, ONE)).json["before"] == 1

    async def taken(chunk: Chunk) -> Answer:
        return await local.internal("/api/internal/shards/users", body=encode_chunk(chunk))

    ada = UserId(USER_IDS["ada"])
    good = Chunk(form=FORM, version=2, source=0, arriving=(ada,), users=((ada, (("0@2", 0),)),))
    for bad in (
        Chunk(form=FORM + 1, version=2, source=0),
        Chunk(form=FORM, version=1, source=0),
        Chunk(form=FORM, version=3, source=0),
    ):
        answer = await taken(bad)
        assert (answer.status, answer.json["code"]) == (409, "SHARD_MAP_DIFFERS")
    broken = await local.internal("/api/internal/shards/users", body=b"\xc1")
    assert (broken.status, broken.json["code"]) == (400, "BAD_REQUEST")
    for _ in range(2):
        assert (await taken(good)).status == 200
        assert list(local.engine.relocation_steps.relocations.adopted) == [ada]


async def test_what_comes_for_a_shard_that_is_not_sure_of_its_map_is_held(tmp_path: Path) -> None:
    local = shard(tmp_path, TWO, 1)
    asked = asyncio.create_task(local.ask("ada", "POST", "/api/v1/register", form={}))
    await asyncio.sleep(0)
    assert not asked.done()
    # By the map before nobody was elsewhere, so it has the user at once.
    assert (await told(local, TWO, even_map([1, 2]))).json["unsure"] is False
    assert (await asked).status == 200
