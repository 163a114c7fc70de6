"""A Django project beside a real server: its transactions, sessions and state, and what a crash costs."""

import signal
from typing import Any

import pytest

from support.django_process import Project, session_headers
from support.raw_http import Answer, Closed, RawConnection, request_bytes
from support.server_process import ServerProcess, StartServer
from support.stopwatch import Stopwatch

pytestmark = pytest.mark.slow

WITHIN = 2.0
"""Seconds in which a logout has ended the session's polls."""


@pytest.fixture
def live(project: Project, start_server: StartServer) -> ServerProcess:
    """A server that asks the project, whose pages are served."""
    server = start_server(
        "auth.kind=http",
        f"auth.http_url={project.url}/live/whoami",
        "auth.http_cookies=sessionid",
        f"state.callback_url={project.url}/live/state",
    )
    project.environment["TEST_SERVER"] = server.url
    project.serve()
    return server


def register(server: ServerProcess, cookie: str) -> Answer:
    answer = server.ask(
        "POST", "/json/register", form={"fetch_event_types": ["todos"]}, headers=session_headers(cookie)
    )
    assert answer.status == 200, answer
    return answer


def poll(server: ServerProcess, queue_id: str, cookie: str, last: int) -> RawConnection:
    connection = server.connect()
    query = {"queue_id": queue_id, "last_event_id": last}
    connection.send(request_bytes("GET", "/json/events", query=query, headers=session_headers(cookie)))
    return connection


def test_a_session_has_its_state_and_every_committed_event_and_ends_with_its_logout(
    project: Project, live: ServerProcess
) -> None:
    ada, cookie = project.log_in("ada")
    project.ask("/add", owner=ada, text="before")
    relay = project.start("tidewire_relay")
    registered = register(live, cookie)
    assert list(registered.json["todos"].values()) == ["before"]
    queue_id, last = registered.json["queue_id"], registered.json["last_event_id"]
    project.ask("/add", owner=ada, text="rolled back", then="roll back")
    project.ask("/add", owner=ada, text="committed")
    seen: list[str] = []
    while "committed" not in seen:
        events = poll(live, queue_id, cookie, last).answer().json["events"]
        last = events[-1]["id"]
        seen += [event["text"] for event in events if event["type"] == "todo"]
    # What was there before may be told again; what was rolled back never is.
    assert set(seen) <= {"before", "committed"}

    waiting = poll(live, queue_id, cookie, last)
    assert live.ask("GET", "/health/live").status == 200
    watch = Stopwatch(live.pid, *project.pids)
    project.ask("/logout", cookie)
    assert waiting.answer().json["events"] == []
    assert watch.seconds < WITHIN
    assert poll(live, queue_id, cookie, last).answer().status == 401
    relay.send_signal(signal.SIGTERM)
    assert relay.wait(60) == 0


def test_a_crash_between_commit_and_publish_loses_nothing(project: Project, live: ServerProcess) -> None:
    bob, cookie = project.log_in("bob")
    queue_id = register(live, cookie).json["queue_id"]
    with pytest.raises((Closed, OSError)):
        project.ask("/add", owner=bob, text="the last words", then="die")
    # Nobody is there to publish it, and then somebody is.
    live.restart()
    project.manage("tidewire_relay", "--once")
    project.serve()
    seen: list[Any] = []
    last = -1
    while "the last words" not in [event.get("text") for event in seen]:
        seen += poll(live, queue_id, cookie, last).answer().json["events"]
        last = seen[-1]["id"]


def test_a_relay_waits_for_a_server_that_is_away(project: Project, live: ServerProcess) -> None:
    bob, cookie = project.log_in("bob")
    queue_id = register(live, cookie).json["queue_id"]
    assert live.stop() == 0
    relay = project.start("tidewire_relay")
    project.ask("/add", owner=bob, text="meanwhile")
    live.start()
    events: list[Any] = []
    last = -1
    while "todo" not in [event["type"] for event in events]:
        events = poll(live, queue_id, cookie, last).answer().json["events"]
        last = events[-1]["id"]
    assert events[-1]["text"] == "meanwhile"
    assert relay.poll() is None
