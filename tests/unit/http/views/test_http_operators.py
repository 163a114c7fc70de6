"""The operators' routes: who may ask, what is shown, and what is not."""

import json
from typing import Any

import pytest

from support.raw_http import Answer
from support.server_process import SECRET
from support.site import LocalSite

BEARER = {"authorization": f"Bearer {SECRET}"}
NOTICE = json.dumps({"event": {"type": "deploy", "text": "hush"}, "users": [1], "id": "d-1"}).encode()


async def get(local: LocalSite, path: str, **query: Any) -> Answer:
    return await local.ask(None, "GET", f"/api/internal/{path}", headers=BEARER, query=query)


@pytest.mark.parametrize("path", ["queues", "queues/x", "explain", "stats"])
async def test_only_who_has_the_secret_and_is_inside_may_ask(local: LocalSite, path: str) -> None:
    for headers, status in (
        ({}, 400),
        ({"authorization": "Bearer wrong"}, 403),
        ({**BEARER, "x-forwarded-for": "127.0.0.1"}, 403),
        ({**BEARER, "origin": "http://127.0.0.1"}, 403),
    ):
        answer = await local.ask(None, "GET", f"/api/internal/{path}", headers=headers)
        assert answer.status == status


async def test_payloads_are_hidden_unless_asked_for(local: LocalSite) -> None:
    queue_id = await local.register("ada")
    await local.publish("ada", type="deploy", text="hush")
    for path, query in (
        (f"queues/{queue_id}", {}),
        ("explain", {"queue_id": queue_id, "event_id": 0}),
        ("explain", {"queue_id": queue_id}),
        ("explain", {"user_id": 1}),
    ):
        assert b"hush" not in (await get(local, path, **query)).body
        assert b"hush" in (await get(local, path, payload=True, **query)).body
    dry = {"headers": BEARER, "body": NOTICE}
    path = "/api/internal/explain/dry-run"
    assert b"hush" not in (await local.ask(None, "POST", path, **dry)).body
    assert b"hush" in (await local.ask(None, "POST", path, query={"payload": True}, **dry)).body


async def test_a_queue_is_shown_with_what_it_was_made_with(local: LocalSite) -> None:
    narrow = [["channel", "ops"]]
    queue_id = await local.register("ada", event_types=["message", "deploy"], narrow=narrow)
    await local.publish("ada", type="deploy")
    await local.publish("ada", type="other")
    queue = (await get(local, f"queues/{queue_id}")).json["queue"]
    assert (queue["user_id"], queue["narrow"], queue["event_types"]) == (1, narrow, ["message", "deploy"])
    assert [(one["id"], one["type"], one["state"]) for one in queue["contents"]] == [(0, "deploy", "waiting")]
    assert [(step["what"], step["rule"]) for step in queue["timeline"]] == [
        ("registered", None),
        ("held", None),
        ("refused", "event_types"),
    ]
    await local.ask("ada", "DELETE", "/api/v1/events", query={"queue_id": queue_id})
    queue = (await get(local, f"queues/{queue_id}")).json["queue"]
    assert (queue["row"], queue["ended"], queue["contents"]) == (None, "deleted", [])


async def test_a_notice_is_explained_by_its_id(local: LocalSite) -> None:
    queue_id = await local.register("ada")
    await local.internal("/api/internal/notices", body=NOTICE)
    (story,) = (await get(local, "explain", queue_id=queue_id, notice_id="d-1")).json["stories"]
    assert (story["event_id"], story["type"], story["state"]) == (0, "deploy", "waiting")
    (story,) = (await get(local, "explain", queue_id=queue_id, notice_id="d-2")).json["stories"]
    assert story["state"] == "unknown"


@pytest.mark.parametrize(
    ("path", "query", "status", "sentence"),
    [
        ("explain", {}, 400, "queue_id"),
        ("explain", {"user_id": 1, "event_id": 0}, 400, "need a queue_id"),
        ("explain", {"queue_id": "x"}, 404, "There is no queue x"),
        ("explain", {"queue_id": "x", "event_id": "one"}, 400, "event_id"),
        ("explain", {"user_id": 1, "last": 0}, 400, "last"),
        ("queues", {"sort": "beauty"}, 400, "sort must be one of"),
        ("queues/x", {}, 404, "There is no queue x"),
    ],
)
async def test_what_is_wrong_is_said(
    local: LocalSite, path: str, query: dict[str, Any], status: int, sentence: str
) -> None:
    answer = await get(local, path, **query)
    assert answer.status == status
    assert sentence in answer.json["msg"]


@pytest.mark.parametrize("body", [b"", b"{}", b"nonsense", NOTICE + b"\n" + NOTICE])
async def test_a_dry_run_takes_one_right_notice(local: LocalSite, body: bytes) -> None:
    answer = await local.ask(None, "POST", "/api/internal/explain/dry-run", headers=BEARER, body=body)
    assert answer.status == 400


async def test_a_dry_run_delivers_nothing(local: LocalSite) -> None:
    queue_id = await local.register("ada")
    answer = await local.ask(None, "POST", "/api/internal/explain/dry-run", headers=BEARER, body=NOTICE)
    assert answer.json["counts"] == {"queued": 1}
    assert await local.events("ada", queue_id) == []
    assert (await get(local, "stats")).json["notices"] == {}
