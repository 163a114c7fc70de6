"""Logging in over real sockets: the application is asked, tokens are taken, and what is revoked is over (R6.2, D11)."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from support.http_stub import Reply, StubServer
from support.raw_http import RawConnection, request_bytes
from support.server_process import BEARER, ServerProcess, StartServer
from support.stopwatch import Stopwatch
from support.waiting import eventually

pytestmark = pytest.mark.slow

USER = {"id": 70, "realm_id": 1, "email": "vi@test.example", "full_name": "Vi"}
COOKIE = {"Cookie": "sid=1", "Host": "test.example", "Origin": "https://test.example"}
KEY = "a key that is long enough for the algorithm that is used with it"
WITHIN = 2.0
"""Seconds in which a revoked session's polls are over."""


@pytest.fixture
def application() -> Iterator[StubServer]:
    with StubServer() as stub:
        yield stub


def register(server: ServerProcess, path: str, headers: dict[str, str]) -> str:
    answer = server.ask("POST", path, form={"event_types": ["note"]}, headers=headers)
    assert answer.status == 200, answer
    return str(answer.json["queue_id"])


def poll(
    server: ServerProcess, path: str, queue_id: str, headers: dict[str, str], last: int = -1
) -> RawConnection:
    connection = server.connect()
    query = {"queue_id": queue_id, "last_event_id": last}
    connection.send(request_bytes("GET", path, query=query, headers=headers))
    return connection


def note(server: ServerProcess, user_id: int, **members: Any) -> None:
    answer = server.publish({"event": {"type": "note", **members}, "users": [user_id]})
    assert answer.status == 200, answer


def test_a_browser_session_lives_and_ends(start_server: StartServer, application: StubServer) -> None:
    server = start_server(
        "auth.kind=users,http", f"auth.http_url={application.url}/whoami", "auth.http_cookies=sid"
    )
    application.script(Reply({"user": USER, "session": "s1"}))
    queue_id = register(server, "/json/register", COOKIE)
    waiting = poll(server, "/json/events", queue_id, COOKIE)
    note(server, 70, text="for the session")
    assert [event["text"] for event in waiting.answer().json["events"]] == ["for the session"]
    # One question was enough for all of it.
    assert len(application.asked) == 1

    waiting = poll(server, "/json/events", queue_id, COOKIE, last=0)
    watch = Stopwatch(server.pid)
    answer = server.ask("POST", "/api/internal/revoke_session", form={"session": "s1"}, headers=BEARER)
    assert (answer.status, answer.json["queues_ended"]) == (200, 1)
    note(server, 70, text="after the session")
    assert waiting.answer().json["events"] == []
    assert watch.seconds < WITHIN
    application.script(Reply(status=401))
    assert poll(server, "/json/events", queue_id, COOKIE).answer().status == 401
    # The same user's new session does not find the old one's queue.
    application.script(Reply({"user": USER, "session": "s2"}))
    other = {**COOKIE, "Cookie": "sid=2"}
    assert poll(server, "/json/events", queue_id, other).answer().json["code"] == "BAD_EVENT_QUEUE_ID"


def test_an_application_that_is_away_hinders_only_those_whom_nobody_knows(
    start_server: StartServer, application: StubServer
) -> None:
    server = start_server("auth.kind=users,http", f"auth.http_url={application.url}/whoami")
    application.stop()
    answer = server.ask("POST", "/json/register", form={}, headers=COOKIE)
    assert (answer.status, answer.json["code"]) == (503, "AUTHENTICATION_UNAVAILABLE")
    assert server.register("ada")
    assert "authentication failed to ask" in server.log
    assert "sid=1" not in server.log


def test_a_slow_application_holds_up_nobody_else(start_server: StartServer, application: StubServer) -> None:
    server = start_server(
        "auth.kind=users,http", f"auth.http_url={application.url}/whoami", "auth.http_timeout=20"
    )
    application.script(Reply(hang=True))
    connection = server.connect()
    connection.send(request_bytes("GET", "/json/users/me", headers=COOKIE))
    eventually(lambda: application.asked, what="the application is asked")
    watch = Stopwatch(server.pid)
    queue_id = server.register("ada")
    server.publish_event("ada", type="a")
    assert len(server.events("ada", queue_id)) == 1
    assert watch.seconds < WITHIN
    application.stop()
    assert connection.answer().status == 503


def token(seconds: float, **changes: Any) -> dict[str, str]:
    claims = {
        "iss": "me",
        "aud": "tidewire",
        "sub": "71",
        "realm_id": 1,
        "name": "To",
        "email": "to@test.example",
        "exp": int(time.time() + seconds),
        **changes,
    }
    return {"Authorization": f"Bearer {jwt.encode(claims, KEY, algorithm='HS256')}"}


JWT_SETTINGS = (
    "auth.kind=jwt",
    "auth.jwt_audience=tidewire",
    "auth.jwt_issuer=me",
    f"auth.jwt_key={KEY}",
    "auth.jwt_algorithms=HS256",
)


def test_tokens_are_taken_on_all_routes_and_revoked(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(*JWT_SETTINGS, f"auth.users_file={tmp_path / 'there-is-none.toml'}")
    mine = token(600, jti="t1")
    queue_id = register(server, "/api/v1/register", mine)
    waiting = poll(server, "/api/v1/events", queue_id, mine)
    note(server, 71, text="x")
    assert len(waiting.answer().json["events"]) == 1
    own = server.ask("GET", "/api/v1/users/me", headers=mine).json
    assert (own["user_id"], own["full_name"], own["role"]) == (71, "To", 400)
    waiting = poll(server, "/api/v1/events", queue_id, mine, last=0)
    watch = Stopwatch(server.pid)
    answer = server.ask("POST", "/api/internal/revoke_session", form={"session": "t1"}, headers=BEARER)
    assert answer.json["queues_ended"] == 1
    assert waiting.answer().json["events"] == []
    assert watch.seconds < WITHIN
    assert poll(server, "/api/v1/events", queue_id, mine, last=0).answer().json["code"] == "INVALID_TOKEN"
    assert server.ask_as("ada", "POST", "/api/v1/register", form={}).status == 401


@pytest.mark.parametrize("path", ["/api/v1/events", "/json/events"])
def test_a_poll_ends_with_its_token(start_server: StartServer, path: str) -> None:
    server = start_server(*JWT_SETTINGS)
    host = {"Host": "test.example", "Origin": "http://test.example"} if path.startswith("/json") else {}
    queue_id = register(server, "/api/v1/register", token(600))
    # It has ended by its own account, but not yet by the ten seconds that clocks may differ.
    short = {**token(-8), **host}
    watch = Stopwatch(server.pid)
    answer = poll(server, path, queue_id, short).answer()
    assert answer.status == 401
    assert watch.seconds < 2 + WITHIN + 1
    assert answer.json["code"] == ("INVALID_TOKEN" if path.startswith("/api") else "UNAUTHORIZED")
    longer = {**token(600), **host}
    note(server, 71, text="kept")
    assert len(poll(server, path, queue_id, longer).answer().json["events"]) == 1


def test_a_revoked_user_s_token_is_of_no_use(start_server: StartServer) -> None:
    server = start_server(*JWT_SETTINGS)
    mine = token(600)
    queue_id = register(server, "/api/v1/register", mine)
    waiting = poll(server, "/api/v1/events", queue_id, mine)
    server.publish({"event": {"type": "revoke_user", "user_id": 71}, "users": []})
    assert waiting.answer().json["events"] == []
    assert poll(server, "/api/v1/events", queue_id, mine).answer().json["code"] == "USER_DEACTIVATED"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (["auth.kind=http"], "auth.http_url"),
        (["auth.kind=jwt", "auth.jwt_issuer=me", "auth.jwt_key=k"], "auth.jwt_audience"),
        (["auth.kind=jwt", "auth.jwt_audience=a"], "auth.jwt_keys or auth.jwt_issuer"),
        (["auth.kind=jwt", "auth.jwt_audience=a", "auth.jwt_issuer=me"], "auth.jwt_key or auth.jwt_key_file"),
        (["auth.kind=all"], '"users" or "http" or "jwt"'),
        (["auth.kind="], '"users" or "http" or "jwt"'),
    ],
)
def test_what_would_leave_a_door_open_or_shut_for_ever_is_no_configuration(
    tmp_path: Path, settings: list[str], problem: str
) -> None:
    server = ServerProcess(tmp_path, *settings)
    server.launch()
    assert server.wait() == 2
    assert problem in server.log
