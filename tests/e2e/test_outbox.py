"""Notifications over a real server: who is told, restarts in between, a full outbox, and what the log says."""

import pytest

from support.server_process import BEARER, USER_IDS, ServerProcess, StartServer
from support.waiting import eventually
from support.whole_messages import message_event, recipients

pytestmark = pytest.mark.slow

PUSHES = "/api/internal/outbox/missedmessage_mobile_notifications"


def send(server: ServerProcess, *message_ids: int) -> None:
    """Direct messages to Bob."""
    users = recipients([USER_IDS["bob"]])
    notices = [
        {"event": message_event(message_id, direct=True), "users": users} for message_id in message_ids
    ]
    assert server.publish(*notices).json["accepted"] == len(message_ids)


def waiting(server: ServerProcess) -> list[tuple[int, int]]:
    """Position and message of each push that waits."""
    records = server.ask("GET", PUSHES, headers=BEARER).json["records"]
    return [(record["position"], record["record"]["message_id"]) for record in records]


def test_what_was_missed_is_told_once_over_restarts(server: ServerProcess) -> None:
    queue_id = server.register("bob")
    send(server, 7)
    assert waiting(server) == []
    server.restart()
    server.ask_as("bob", "DELETE", "/api/v1/events", query={"queue_id": queue_id})
    assert waiting(server) == [(1, 7)]
    send(server, 8)
    server.restart()
    assert waiting(server) == [(1, 7), (2, 8)]
    server.ask("DELETE", PUSHES, headers=BEARER, query={"through": 1})
    server.restart()
    assert waiting(server) == [(2, 8)]


def test_a_full_outbox_drops_the_oldest_and_says_so(start_server: StartServer) -> None:
    server = start_server("notifications.outbox_max=2")
    send(server, 7, 8)
    answer = server.ask("GET", PUSHES, headers=BEARER).json
    assert (waiting(server), answer["lost"]) == ([(2, 8)], 1)
    eventually(lambda: "notifications lost" in server.log, what="the log says that notifications were lost")
    assert "secret *text*" not in server.log
