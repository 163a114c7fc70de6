"""Publishing over HTTP, and queues on a user's behalf, against a real server (6E, D4)."""

import json
from typing import Any

import pytest

from support.raw_http import Answer
from support.server_process import BEARER, SECRET, ServerProcess

pytestmark = pytest.mark.slow

PATH = "/api/internal/notices"


def notice(**more: Any) -> dict[str, Any]:
    return {"event": {"type": "t"}, "users": [1], **more}


def post(server: ServerProcess, text: str, path: str = PATH) -> Answer:
    return server.ask("POST", path, headers=BEARER, body=text.encode())


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (json.dumps(notice()), 1),
        (json.dumps([notice()] * 3), 3),
        ((json.dumps(notice()) + "\n") * 3, 3),
    ],
)
def test_notices_come_alone_in_a_list_or_one_a_line(
    shared_server: ServerProcess, text: str, accepted: int
) -> None:
    queue_id = shared_server.register("ada")
    assert post(shared_server, text).json == {"result": "success", "msg": "", "accepted": accepted}
    assert [event["id"] for event in shared_server.events("ada", queue_id)] == list(range(accepted))


def test_one_wrong_notice_refuses_all_of_its_request_and_says_which(shared_server: ServerProcess) -> None:
    queue_id = shared_server.register("ada")
    good, wrong = notice(id="good-after-wrong"), notice(users=["x"])
    answer = shared_server.publish(notice(), good, wrong, notice())
    assert (answer.status, answer.json["code"], answer.json["index"]) == (400, "INVALID_NOTICE", 2)
    assert shared_server.events("ada", queue_id) == []
    assert shared_server.publish(good).json["accepted"] == 1
    assert len(shared_server.events("ada", queue_id)) == 1


def test_a_repeated_notice_is_confirmed_and_delivered_once(shared_server: ServerProcess) -> None:
    queue_id = shared_server.register("ada")
    for _ in range(3):
        assert shared_server.publish(notice(id="once")).json["accepted"] == 1
    respelled = '{"users": [1], "id": "once", "event": {"type": "t"}, "traceparent": "another"}'
    assert post(shared_server, respelled).json["accepted"] == 1
    assert len(shared_server.events("ada", queue_id)) == 1


def test_another_notice_under_the_same_id_is_a_conflict(shared_server: ServerProcess) -> None:
    queue_id = shared_server.register("ada")
    shared_server.publish(notice(id="taken"))
    answer = shared_server.publish(notice(id="free"), notice(id="taken", event={"type": "u"}))
    assert (answer.status, answer.json["code"], answer.json["index"]) == (409, "NOTICE_ID_REUSED", 1)
    assert len(shared_server.events("ada", queue_id)) == 1


def test_ids_are_remembered_over_a_restart(server: ServerProcess) -> None:
    queue_id = server.register("ada", event_types=["t"])
    server.publish(notice(id="a"))
    server.restart()
    assert server.publish(notice(id="a")).json["accepted"] == 1
    assert server.publish(notice(id="a", users=[2])).status == 409
    assert len(server.events("ada", queue_id)) == 1


def test_the_secret_decides_and_never_in_the_query_string(shared_server: ServerProcess) -> None:
    """R6.66, C25."""
    body = json.dumps(notice()).encode()
    queue_id = shared_server.register("ada")
    for request, status in (
        ({}, 400),
        ({"query": {"secret": SECRET}}, 400),
        ({"headers": {"Authorization": "Bearer wrong"}}, 403),
        ({"headers": {**BEARER, "X-Forwarded-For": "127.0.0.1"}}, 403),
        ({"headers": {**BEARER, "Origin": "http://127.0.0.1"}}, 403),
    ):
        assert shared_server.ask("POST", PATH, body=body, **request).status == status
    assert shared_server.ask("GET", PATH, headers=BEARER).status == 405
    assert shared_server.events("ada", queue_id) == []


def test_a_notice_may_come_in_a_form(shared_server: ServerProcess) -> None:
    """R6.69."""
    queue_id = shared_server.register("ada")
    path = "/api/internal/notify_tornado"
    form = {"secret": SECRET, "data": notice()}
    assert shared_server.ask("POST", path, form=form).json == {"result": "success", "msg": ""}
    answer = shared_server.ask("POST", path, form={"secret": SECRET})
    assert (answer.json["code"], answer.json["var_name"]) == ("REQUEST_VARIABLE_MISSING", "data")
    assert len(shared_server.events("ada", queue_id)) == 1


@pytest.mark.parametrize("user_id", [1, 4711])
def test_queues_are_made_and_read_on_a_users_behalf(shared_server: ServerProcess, user_id: int) -> None:
    """R6.68: one of the users file, and one that only the caller knows."""
    path = "/api/v1/events/internal"
    form = {"secret": SECRET, "user_profile_id": user_id, "dont_block": True}
    described = {**form, "realm_id": 1, "can_access_public_streams": True}
    if user_id == 4711:
        answer = shared_server.ask("POST", path, form=form)
        assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")
    queue_id = shared_server.ask("POST", path, form=described).json["queue_id"]
    shared_server.publish(notice(users=[user_id]))
    read = {**described, "queue_id": queue_id, "last_event_id": -1}
    for _ in range(2):
        assert len(shared_server.ask("POST", path, form=read).json["events"]) == 1
    other = {**read, "user_profile_id": 2}
    assert shared_server.ask("POST", path, form=other).json["code"] == "BAD_EVENT_QUEUE_ID"


def test_a_poll_on_a_users_behalf_may_wait(shared_server: ServerProcess) -> None:
    queue_id = shared_server.register("ada")
    form = {"secret": SECRET, "user_profile_id": 1, "queue_id": queue_id, "last_event_id": -1}
    own = shared_server.park("ada", queue_id)
    with shared_server.connect() as connection:
        body = "&".join(f"{name}={value}" for name, value in form.items()).encode()
        head = b"Host: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        connection.send(
            b"POST /api/v1/events/internal HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b"
            % (head, len(body), body)
        )
        assert own.answer().json["events"] == []
        shared_server.publish_event("ada", type="t")
        assert len(connection.answer().json["events"]) == 1
