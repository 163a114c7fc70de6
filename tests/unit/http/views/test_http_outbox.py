"""The routes of the outbox: reading, acknowledging, and who may."""

import json
from typing import Any

import pytest

from support import asgi
from support.events import Json
from support.raw_http import Answer
from support.server_process import SECRET
from support.site import LocalSite
from support.whole_messages import message_event, recipients
from tidewire.http.views.outbox import MOST_RECORDS

PUSHES = "/api/internal/outbox/missedmessage_mobile_notifications"
EMAILS = "/api/internal/outbox/missedmessage_emails"
WITH_SECRET = {"authorization": f"Bearer {SECRET}"}


async def send(local: LocalSite, *message_ids: int, **inputs: Any) -> None:
    """Direct messages to the user 2, who is not there."""
    for message_id in message_ids:
        notice = {"event": message_event(message_id, direct=True, **inputs), "users": recipients([2])}
        answer = await local.internal("/api/internal/notices", body=json.dumps(notice).encode())
        assert answer.status == 200


async def ask(local: LocalSite, method: str, path: str, **query: object) -> Answer:
    return await asgi.ask(local.app, method, path, query=query, headers=WITH_SECRET)


async def records(local: LocalSite, path: str, **query: object) -> list[Json]:
    answer = await ask(local, "GET", path, **query)
    assert answer.status == 200
    found: list[Json] = answer.json["records"]
    return found


async def test_a_worker_reads_records_in_their_form(local: LocalSite) -> None:
    await send(local, 7)
    answer = await ask(local, "GET", EMAILS)
    body = answer.json
    (record,) = body.pop("records")
    assert body == {"result": "success", "msg": "", "waiting": 1, "lost": 0}
    assert record == {
        "position": 1,
        "id": "email-2-7-2-1790000000000000",
        "record": {
            "user_profile_id": 2,
            "message_id": 7,
            "trigger": "direct_message",
            "mentioned_user_group_id": None,
        },
    }
    (record,) = await records(local, PUSHES)
    assert record["record"]["type"] == "add"


async def test_a_worker_goes_on_behind_what_it_has_and_acknowledges(local: LocalSite) -> None:
    await send(local, 7, 8, 9)
    assert [each["position"] for each in await records(local, PUSHES, after=1, limit=1)] == [2]
    for _ in range(2):
        answer = await ask(local, "DELETE", PUSHES, through=2)
        assert (answer.status, answer.json) == (200, {"result": "success", "msg": ""})
        assert [each["position"] for each in await records(local, PUSHES)] == [3]
    assert len(await records(local, EMAILS)) == 3


async def test_a_position_that_nobody_can_have_read_is_refused(local: LocalSite) -> None:
    await send(local, 7)
    answer = await ask(local, "DELETE", PUSHES, through=2)
    assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")
    assert len(await records(local, PUSHES)) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_queue_is_not_found(local: LocalSite, method: str) -> None:
    answer = await ask(local, method, "/api/internal/outbox/emails", through=0)
    assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")
    assert "missedmessage_emails" in answer.json["msg"]


@pytest.mark.parametrize(
    ("method", "query", "code"),
    [
        ("GET", {"after": -1}, "BAD_REQUEST"),
        ("GET", {"after": "x"}, "BAD_REQUEST"),
        ("GET", {"limit": 0}, "BAD_REQUEST"),
        ("DELETE", {}, "REQUEST_VARIABLE_MISSING"),
        ("DELETE", {"through": -1}, "BAD_REQUEST"),
    ],
)
async def test_wrong_parameters_are_refused(
    local: LocalSite, method: str, query: dict[str, object], code: str
) -> None:
    answer = await ask(local, method, PUSHES, **query)
    assert (answer.status, answer.json["code"]) == (400, code)


async def test_an_answer_is_bounded_however_much_is_asked_for(local: LocalSite) -> None:
    users = recipients(range(1000, 1000 + MOST_RECORDS + 5))
    notice = {"event": message_event(7, direct=True), "users": users}
    await local.internal("/api/internal/notices", body=json.dumps(notice).encode())
    assert len(await records(local, PUSHES, limit=10**6)) == MOST_RECORDS


async def test_the_secret_counts_in_the_header_only_r6_66(local: LocalSite) -> None:
    await send(local, 7)
    for method, query in (("GET", {}), ("DELETE", {"through": 1})):
        given = {**query, "secret": SECRET}
        answer = await local.ask(None, method, PUSHES, query=given)
        assert (answer.status, answer.json["code"]) == (400, "REQUEST_VARIABLE_MISSING")
        answer = await local.ask(None, method, PUSHES, query=query, headers={"authorization": "Bearer no"})
        assert answer.status == 403
        answer = await asgi.ask(
            local.app, method, PUSHES, query=query, headers=WITH_SECRET, peer=("192.0.2.1", 4000)
        )
        assert answer.status == 403
    assert len(await records(local, PUSHES)) == 1


async def test_a_server_that_stops_is_not_read(local: LocalSite) -> None:
    local.context.lifecycle.stopping = True
    for method in ("GET", "DELETE"):
        assert (await ask(local, method, PUSHES, through=0)).status == 503


async def test_inputs_that_cant_be_read_refuse_the_notice_with_its_place(local: LocalSite) -> None:
    notices = [
        {"event": {"type": "t"}, "users": [1]},
        {"event": message_event(7, direct=True, all_bot_user_ids=2), "users": [2]},
    ]
    answer = await local.internal("/api/internal/notices", body=json.dumps(notices).encode())
    assert (answer.status, answer.json["code"], answer.json["index"]) == (400, "INVALID_NOTICE", 1)


async def test_the_log_says_nothing_of_messages_r11_18(local: LocalSite) -> None:
    queue_id = await local.register("bob")
    await send(local, 7, stream_push_user_ids=[2])
    local.engine.tick()
    await local.ask("bob", "DELETE", "/api/v1/events", query={"queue_id": queue_id})
    assert len(await records(local, PUSHES)) == 1
    written = local.log_stream.getvalue()
    assert "secret *text*" not in written
    assert "direct_message" not in written
