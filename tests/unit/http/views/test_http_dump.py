"""The routes of dumps: who may, what is answered, and that the loop is not held (R10.2, R10.5, R6.66)."""

import asyncio
import json

import pytest

from support import asgi
from support.dumps import descriptor, dump, pair, read_all, stored_queue
from support.events import Json
from support.raw_http import Answer
from support.server_process import SECRET
from support.site import LocalSite
from tidewire.http.views.dump import SLICE_BYTES

PATH = "/api/internal/dump"
WITH_SECRET = {"authorization": f"Bearer {SECRET}"}
RESTART = {"type": "restart", "server_generation": 7}


async def send(local: LocalSite, body: bytes) -> Answer:
    return await local.internal(PATH, body=body)


async def exported(local: LocalSite) -> Answer:
    return await asgi.ask(local.app, "GET", PATH, headers=WITH_SECRET)


async def test_an_import_says_what_became_of_each_queue(local: LocalSite) -> None:
    mine = await local.register("ada")
    bad = pair("bad", user_profile_id="x")
    answer = await send(local, dump(pair("a"), bad, pair(mine), pair("a"), pair("b")))
    assert answer.status == 200
    body = answer.json
    assert (body["result"], body["imported"]) == ("success", 2)
    assert [(skip["index"], skip["queue_id"], skip["code"]) for skip in body["skipped"]] == [
        (1, "bad", "BAD_QUEUE"),
        (2, mine, "QUEUE_EXISTS"),
        (3, "a", "QUEUE_EXISTS"),
    ]
    assert "user_profile_id" in body["skipped"][0]["reason"]
    assert local.engine.shard.queue_ids() == [mine, "a", "b"]
    assert local.logged("queues imported") == [{"imported": 2, "skipped": 3}]
    assert [entry["index"] for entry in local.logged("queue not imported")] == [1, 2, 3]


async def test_a_pair_without_an_id_is_skipped_with_its_place(local: LocalSite) -> None:
    answer = await send(local, b'[7, ["a"]]')
    assert [(skip["index"], skip["queue_id"]) for skip in answer.json["skipped"]] == [(0, None), (1, None)]


@pytest.mark.parametrize("body", [b"", b"{}", b'[["q0", {', b"[" * 1000])
async def test_what_is_no_dump_changes_nothing_r10_5(local: LocalSite, body: bytes) -> None:
    answer = await send(local, body)
    assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")
    assert local.engine.shard.queues() == 0


async def test_imported_queues_are_told_of_the_restart(local: LocalSite) -> None:
    local = local.changed(restart=RESTART)
    await send(local, dump(pair("a", user_profile_id=1)))
    assert await local.events("ada", "a") == [{**RESTART, "id": 0}]


async def test_a_dump_that_is_too_large_is_refused_whole(local: LocalSite) -> None:
    local = local.changed(dump_max_bytes=100)
    answer = await send(local, dump(pair("a")))
    assert (answer.status, answer.json["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert local.engine.shard.queues() == 0


async def test_a_server_that_stops_takes_none(local: LocalSite) -> None:
    local.context.lifecycle.stopping = True
    assert (await send(local, dump(pair("a")))).status == 503


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nobody_without_the_secret_imports_or_exports_r6_66(local: LocalSite, method: str) -> None:
    headers = {"authorization": "Bearer wrong"}
    assert (await asgi.ask(local.app, method, PATH, headers=headers)).status == 403
    assert (
        await asgi.ask(local.app, method, PATH, headers=WITH_SECRET, peer=("203.0.113.7", 1))
    ).status == 403


async def test_an_export_is_a_dump_whose_length_is_not_known_before(local: LocalSite) -> None:
    queue_id = await local.register("ada")
    await local.publish("ada", type="deploy")
    answer = await exported(local)
    assert answer.status == 200
    assert "content-length" not in answer.headers
    assert answer.headers["content-type"] == "application/json"
    (queue,) = json.loads(answer.body)
    assert queue[0] == queue_id
    assert queue[1]["event_queue"]["queue"] == [{"type": "deploy", "id": 0}]


async def test_an_empty_server_exports_an_empty_dump(local: LocalSite) -> None:
    assert json.loads((await exported(local)).body) == []


async def turns_during(exchange: asgi.Exchange) -> int:
    """How many turns others had while a request was answered."""
    turns = 0
    while not exchange.is_answered:
        turns += 1
        await asyncio.sleep(0)
    return turns


def large(queue_id: str) -> tuple[str, Json]:
    event_queue = stored_queue({"type": "t", "x": "x" * SLICE_BYTES}, queue_id=queue_id)
    return queue_id, descriptor(event_queue)


async def test_others_have_their_turns_during_a_large_import_and_export(local: LocalSite) -> None:
    body = dump(*(large(f"q{number}") for number in range(40)))
    importing = asgi.begin(local.app, "POST", PATH, headers=WITH_SECRET, body=body)
    assert await turns_during(importing) >= 40
    assert (await importing.answer()).json["imported"] == 40
    exporting = asgi.begin(local.app, "GET", PATH, headers=WITH_SECRET)
    assert await turns_during(exporting) >= 40
    assert len(read_all((await exporting.answer()).body)) == 40


async def test_an_export_ends_when_nobody_reads_it_any_more(local: LocalSite) -> None:
    await send(local, dump(*(large(f"q{number}") for number in range(40))))
    exporting = asgi.begin(local.app, "GET", PATH, headers=WITH_SECRET)
    await asgi.settle()
    exporting.disconnect()
    assert await turns_during(exporting) < 20
