"""Settings of the wire on a real server: rate limits, pages of other origins, and what web clients are told at a restart."""

import pytest

from support.raw_http import request_bytes
from support.server_process import BEARER, ServerProcess, StartServer, credentials

pytestmark = pytest.mark.slow

ME = request_bytes("GET", "/api/v1/users/me", headers=credentials("ada"))


def test_limits_hold_per_user_and_per_address(start_server: StartServer) -> None:
    """R6.13: and what is refused keeps its connection."""
    server = start_server("limits.user_requests_per_minute=3", "limits.address_requests_per_minute=2")
    with server.connect() as connection:
        assert [connection.answer_to(ME).status for _ in range(4)] == [200, 200, 200, 429]
        hit = connection.answer_to(ME)
        assert hit.json["code"] == "RATE_LIMIT_HIT"
        assert 0 < hit.json["retry-after"] <= int(hit.headers["retry-after"]) <= 20
    assert server.ask_as("bob", "GET", "/api/v1/users/me").status == 200
    statuses = [server.ask("GET", "/api/v1/server_settings").status for _ in range(3)]
    assert statuses == [200, 200, 429]
    server.publish_event("bob", type="t")


def test_listed_origins_may_read_public_routes_alone(start_server: StartServer) -> None:
    """R6.12."""
    server = start_server('server.cors_origins=["https://chat.example"]')
    origin = {"Origin": "https://chat.example"}
    answer = server.ask_as("ada", "GET", "/api/v1/users/me", headers=origin)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin["Origin"])
    answer = server.ask("OPTIONS", "/api/v1/events", headers=origin)
    assert (answer.status, answer.headers["access-control-allow-headers"]) == (204, "Authorization")
    answer = server.ask("POST", "/api/internal/notices", headers={**BEARER, **origin}, body=b"{}")
    assert (answer.status, "access-control-allow-origin" in answer.headers) == (403, False)


def types(server: ServerProcess, queue_id: str) -> list[str]:
    return [event["type"] for event in server.events("ada", queue_id)]


def test_after_a_restart_web_clients_are_told_to_reload_when_asked_for(server: ServerProcess) -> None:
    """C22, R1.23, R1.28, R6.70."""
    queue_id = server.register("ada")
    server.restart()
    assert types(server, queue_id) == ["restart"]
    for taken in (1, 0):
        answer = server.ask("POST", "/api/internal/web_reload_clients", headers=BEARER)
        assert answer.json == {"result": "success", "msg": "", "sent_events": taken, "complete": True}
    assert types(server, queue_id) == ["restart", "web_reload_client"]


def test_a_start_may_tell_them_itself(start_server: StartServer) -> None:
    """R1.28."""
    server = start_server("compat.reload_web_clients=true")
    queue_id = server.register("ada")
    server.restart()
    assert types(server, queue_id) == ["restart", "web_reload_client"]
