"""Polls over real sockets: displaced, ended by heartbeats, lost, expired, and foreign (C7-C9, C20, D-31)."""

import json
import time

import pytest

from support.raw_http import Answer, RawConnection
from support.server_process import BEARER, KEYS, SECRET, ServerProcess, StartServer, credentials, email
from support.stopwatch import Stopwatch
from support.waiting import eventually

pytestmark = pytest.mark.slow


def logged(server: ServerProcess, *words: str) -> list[str]:
    """The lines of the log with all those words in them."""
    return [line for line in server.log.splitlines() if all(word in line for word in words)]


def test_a_second_poll_displaces_the_first_and_waits_itself(shared_server: ServerProcess) -> None:
    """R2.18, C7."""
    queue_id = shared_server.register("ada")
    first = shared_server.park("ada", queue_id)
    second = shared_server.park("ada", queue_id)
    answer = first.answer()
    assert (answer.status, answer.json["events"], answer.json["queue_id"]) == (200, [], queue_id)
    assert "connection" not in answer.headers
    shared_server.publish_event("ada", type="t")
    assert [event["id"] for event in second.answer().json["events"]] == [0]


def test_all_events_of_a_request_reach_a_waiting_poll_in_one_answer(shared_server: ServerProcess) -> None:
    """D-31."""
    queue_id = shared_server.register("ada")
    poll = shared_server.park("ada", queue_id)
    shared_server.publish(*[{"event": {"type": "t", "number": number}, "users": [1]} for number in range(50)])
    events = poll.answer().json["events"]
    assert [(event["number"], event["id"]) for event in events] == [(number, number) for number in range(50)]


def test_a_connection_serves_poll_after_poll(shared_server: ServerProcess) -> None:
    queue_id = shared_server.register("ada")
    with shared_server.connect() as connection:
        for number in range(20):
            connection.send(poll_bytes_of(queue_id, number - 1))
            shared_server.publish_event("ada", type="t", number=number)
            assert connection.answer().json["events"] == [{"type": "t", "number": number, "id": number}]


def poll_bytes_of(queue_id: str, last_event_id: int) -> bytes:
    query = f"queue_id={queue_id}&last_event_id={last_event_id}"
    head = f"Host: x\r\nAuthorization: {credentials('ada')['Authorization']}\r\n"
    return f"GET /api/v1/events?{query} HTTP/1.1\r\n{head}\r\n".encode()


@pytest.mark.parametrize("how", ["close", "end sending"])
def test_a_client_that_goes_away_is_noticed_and_loses_nothing(shared_server: ServerProcess, how: str) -> None:
    """R2.21, R11.7."""
    queue_id = shared_server.register("ada")
    poll = shared_server.park("ada", queue_id)
    if how == "close":
        poll.close()
    else:
        poll.end_sending()
    eventually(lambda: logged(shared_server, "client disconnected", queue_id), what="the loss is logged")
    shared_server.publish_event("ada", type="t")
    assert [event["id"] for event in shared_server.events("ada", queue_id)] == [0]


def test_clients_that_go_away_while_they_are_answered_lose_nothing(shared_server: ServerProcess) -> None:
    """R1.20: the answer may be lost, the events may not."""
    queues = [shared_server.register("ada") for _ in range(30)]
    parked = [shared_server.park("ada", queue_id) for queue_id in queues]
    for number, connection in enumerate(parked):
        connection.close()
        if number == len(parked) // 2:
            shared_server.publish_event("ada", type="t")
    for queue_id in queues:
        assert [event["id"] for event in shared_server.events("ada", queue_id)] == [0]


def test_a_deleted_queues_poll_ends(shared_server: ServerProcess) -> None:
    """R6.65."""
    queue_id = shared_server.register("ada")
    poll = shared_server.park("ada", queue_id)
    deletion = {"queue_id": queue_id}
    assert shared_server.ask_as("ada", "DELETE", "/api/v1/events", query=deletion).status == 200
    assert poll.answer().json["events"] == []


def test_a_foreign_queue_looks_like_an_unknown_one_and_is_logged(shared_server: ServerProcess) -> None:
    """R2.10, C9."""
    queue_id = shared_server.register("bob")
    unknown = "0" * len(queue_id)

    def ask(method: str, asked: str) -> Answer:
        return shared_server.ask_as(
            "ada", method, "/api/v1/events", query={"queue_id": asked, "last_event_id": -1}
        )

    for method in ("GET", "DELETE"):
        foreign, absent = ask(method, queue_id), ask(method, unknown)
        assert foreign.status == absent.status == 400
        assert foreign.body.replace(queue_id.encode(), unknown.encode()) == absent.body
        assert foreign.headers.keys() == absent.headers.keys()
    eventually(lambda: len(logged(shared_server, "warning", queue_id)) == 2, what="both are told of")
    assert not logged(shared_server, "warning", unknown)
    assert shared_server.events("bob", queue_id) == []


def test_no_content_key_or_secret_is_logged(server: ServerProcess) -> None:
    """R11.18: planted wherever a request can carry one, at the level that logs most.

    A client's name and the queue ids that it asks for are no such thing: they are logged (R11.1, R11.15).
    """
    planted = "planted-content-0815"
    queue_id = server.register("ada", narrow=[["topic", planted]], odd=planted)
    server.publish_event("ada", type="t", content=planted)
    body = json.dumps({"event": {"type": planted}, "users": [planted]}).encode()
    assert server.ask("POST", "/api/internal/notices", headers=BEARER, body=body).status == 400
    server.ask("POST", "/api/internal/notices", headers={"Authorization": f"Bearer {planted}"}, body=body)
    server.ask("POST", "/api/internal/notify_tornado", form={"secret": planted, "data": planted})
    server.ask("POST", "/api/internal/notify_tornado", query={"secret": SECRET}, form={"data": planted})
    server.ask_as("bob", "GET", "/api/v1/events", query={"queue_id": queue_id, "last_event_id": -1})
    server.ask_as("ada", "GET", "/api/v1/events", query={"queue_id": "no", "last_event_id": planted})
    server.ask("GET", "/nope", query={"secret": SECRET, "key": planted}, headers={"Cookie": planted})
    server.ask("GET", "/api/v1/users/me", headers={"Authorization": f"Basic {planted}"})
    (event,) = server.events("ada", queue_id)
    assert event["content"] == planted
    server.park("ada", queue_id, event["id"]).close()
    eventually(lambda: logged(server, "client disconnected"), what="the loss is logged")
    server.restart()
    assert logged(server, "POST", "200", "/api/internal/notices", "(internal via Unspecified)")
    assert logged(server, "notice", "users=1", "type='t'")
    for word in (planted, SECRET, *KEYS.values(), email("ada"), credentials("ada")["Authorization"]):
        assert word not in server.log


def test_heartbeats_end_polls_whatever_types_were_asked_for(start_server: StartServer) -> None:
    """R1.21, R2.12, C8: each takes an id and must be acknowledged."""
    server = start_server("queues.heartbeat_min=1", "queues.heartbeat_max=3")
    queues = [server.register("ada"), server.register("ada", event_types=["message"])]
    began = time.monotonic()
    watch = Stopwatch(server.pid)
    parked = [server.park("ada", queue_id) for queue_id in queues]
    for poll in parked:
        assert poll.answer().json["events"] == [{"type": "heartbeat", "id": 0}]
    assert time.monotonic() - began >= 1
    assert watch.seconds < 5
    for queue_id in queues:
        assert server.events("ada", queue_id) == [{"type": "heartbeat", "id": 0}]
        assert server.events("ada", queue_id, 0) == []


def test_only_queues_that_nobody_polls_expire(start_server: StartServer) -> None:
    """R2.22, D-3, C20: polling without waiting keeps a queue, and so does a poll that waits."""
    server = start_server("queues.min_idle_timeout=0", "queues.idle_timeout=1", "queues.collect_every=1")
    polled, waited, left = (server.register("ada", client=name) for name in ("polled", "waited", "left"))
    parked = server.park("ada", waited)

    def collected() -> bool:
        assert server.events("ada", polled) == []
        return bool(logged(server, "expired queues removed", "removed=1", "queues=2"))

    eventually(collected, what="the queue that nobody polls has expired")
    query = {"queue_id": left, "last_event_id": -1}
    answer = server.ask_as("ada", "GET", "/api/v1/events", query=query)
    assert (answer.status, answer.json["code"]) == (400, "BAD_EVENT_QUEUE_ID")
    server.publish_event("ada", type="t")
    assert len(parked.answer().json["events"]) == 1
    assert len(server.events("ada", polled)) == 1


def test_time_without_the_server_is_nobodys_idle_time(start_server: StartServer) -> None:
    """D4."""
    server = start_server("queues.min_idle_timeout=0", "queues.idle_timeout=1", "queues.collect_every=1")
    queue_id = server.register("ada")
    assert server.stop() == 0
    stopped = time.monotonic()
    eventually(lambda: time.monotonic() - stopped > 1.5, what="the idle time has passed")
    server.start()
    assert [event["type"] for event in server.events("ada", queue_id)] == ["restart"]


def test_a_client_that_stops_reading_holds_up_nobody(shared_server: ServerProcess) -> None:
    """C30."""
    queue_id = shared_server.register("bob")
    for _ in range(5):
        shared_server.publish_event("bob", type="t", text="x" * 200_000)
    query = f"queue_id={queue_id}&last_event_id=-1"
    head = f"Host: x\r\nAuthorization: {credentials('bob')['Authorization']}\r\n"
    with RawConnection(shared_server.port) as slow:
        slow.send(f"GET /api/v1/events?{query} HTTP/1.1\r\n{head}\r\n".encode() * 10)
        other = shared_server.register("ada")
        poll = shared_server.park("ada", other)
        shared_server.publish_event("ada", "bob", type="t")
        assert len(poll.answer().json["events"]) == 1


def test_large_queues_come_in_several_answers(shared_server: ServerProcess) -> None:
    """D2: each bounded, in order, nothing left out."""
    queue_id = shared_server.register("ada")
    for number in range(12):
        shared_server.publish_event("ada", type="t", number=number, text="x" * 200_000)
    seen: list[int] = []
    while events := shared_server.events("ada", queue_id, seen[-1] if seen else -1):
        assert sum(len(event["text"]) for event in events) <= 1_048_576
        seen += [event["id"] for event in events]
    assert seen == list(range(12))


def test_json_routes_and_odd_methods_over_a_real_socket(shared_server: ServerProcess) -> None:
    """R6.2, R6.6, R6.45: an answer to HEAD has no body, and the connection goes on."""
    answer = shared_server.ask_as("ada", "GET", "/json/events")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Session realm="zulip"')
    answer = shared_server.ask("GET", "/json/nothing")
    assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")
    answer = shared_server.ask("PUT", "/api/v1/events")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, GET, OPTIONS")
    assert answer.json["allowed_methods"] == ["DELETE", "GET", "OPTIONS"]
    with shared_server.connect() as connection:
        connection.send(b"OPTIONS /json/events HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.answer()
        assert (answer.status, answer.headers["allow"], answer.body) == (204, "DELETE, GET, OPTIONS", b"")
        connection.send(b"HEAD /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.answer(to_head=True).status == 405
        connection.send(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.answer().status == 200
