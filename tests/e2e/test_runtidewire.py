"""A server inside a Django process: the project's sessions, tokens and state, and how rarely the project is asked."""

import json
import re
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.django_process import Project, session_headers
from support.raw_http import Answer, Closed, RawConnection, request_bytes
from support.server_process import BEARER, free_port
from support.stopwatch import Stopwatch
from support.waiting import eventually

pytestmark = pytest.mark.slow

WITHIN = 2.0
"""Seconds in which a logout has ended the session's polls."""

WHOAMI = "/tidewire/whoami/"


class Shard:
    """The server inside the project, and its clients."""

    def __init__(self, project: Project, *options: str) -> None:
        self.project = project
        self.port = free_port()
        self.options = options
        self._connections: list[RawConnection] = []
        project.environment["TEST_SERVER"] = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, and waits until it serves."""
        state = f"storage.directory={self.project.folder / 'state'}"
        self.process = process = self.project.start("runtidewire", "--set", state, *self.options)

        def is_ready() -> bool:
            assert process.poll() is None, self.project.log
            try:
                return self.ask("GET", "/health/ready").status == 200
            except (OSError, Closed):
                return False

        eventually(is_ready, what="the shard is ready")

    def ask(self, method: str, path: str, **request: Any) -> Answer:
        """One request."""
        with RawConnection(self.port) as connection:
            return connection.answer_to(request_bytes(method, path, **request))

    def register(self, headers: dict[str, str], root: str = "/json") -> Answer:
        """Makes a queue."""
        form = {"fetch_event_types": ["todos"]}
        return self.ask("POST", f"{root}/register", form=form, headers=headers)

    def poll(
        self, queue_id: str, headers: dict[str, str], last: int = -1, root: str = "/json"
    ) -> RawConnection:
        """A poll on its way."""
        connection = RawConnection(self.port)
        self._connections.append(connection)
        query = {"queue_id": queue_id, "last_event_id": last}
        connection.send(request_bytes("GET", f"{root}/events", query=query, headers=headers))
        return connection

    def close(self) -> None:
        """Closes the connections of its clients."""
        for connection in self._connections:
            connection.close()

    def publish(self, user: int, **event: Any) -> None:
        """Publishes one event."""
        notice = {"event": event, "users": [user]}
        answer = self.ask("POST", "/api/internal/notices", headers=BEARER, body=json.dumps(notice).encode())
        assert answer.status == 200, answer


MakeShard = Callable[..., Shard]


@pytest.fixture
def make_shard(project: Project) -> Iterator[MakeShard]:
    """Makes servers with options, and has them serve."""
    made: list[Shard] = []

    def make(*options: str) -> Shard:
        made.append(Shard(project, *options))
        made[-1].start()
        return made[-1]

    yield make
    for shard in made:
        shard.close()


@pytest.fixture
def shard(make_shard: MakeShard) -> Shard:
    """A server inside the project, which empties the outbox too, and the project's pages beside it."""
    made = make_shard("--relay")
    made.project.serve()
    return made


def test_a_session_is_asked_about_once_and_no_event_costs_a_pass_through_any_framework(shard: Shard) -> None:
    project = shard.project
    ada, cookie = project.log_in("ada")
    project.ask("/add", owner=ada, text="before")
    headers = session_headers(cookie)
    registered = shard.register(headers)
    assert registered.status == 200, registered
    assert list(registered.json["todos"].values()) == ["before"]
    queue_id, last = registered.json["queue_id"], registered.json["last_event_id"]
    # As browsers poll their own site.
    polling = {"Host": headers["Host"], "Cookie": headers["Cookie"], "Sec-Fetch-Site": "same-origin"}
    seen: list[int] = []
    with RawConnection(shard.port) as connection:
        while len(seen) < 200:
            shard.publish(ada, type="count", number=len(seen))
            query = {"queue_id": queue_id, "last_event_id": last}
            events = connection.answer_to(
                request_bytes("GET", "/json/events", query=query, headers=polling)
            ).json["events"]
            last = events[-1]["id"]
            seen += [event["number"] for event in events if event["type"] == "count"]
    assert seen == list(range(200))
    assert project.requests().count(WHOAMI) == 1
    metrics = shard.ask("GET", "/metrics").body.decode()
    assert int(re.findall(r'lane_requests_total\{.*"repoll"\} (\d+)', metrics)[0]) > 150


def test_a_logout_ends_the_session_s_polls_and_takes_what_waits(shard: Shard) -> None:
    project = shard.project
    ada, cookie = project.log_in("ada")
    headers = session_headers(cookie)
    queue_id = shard.register(headers).json["queue_id"]
    unread = shard.register(headers).json["queue_id"]
    other = project.log_in("ada")[1]
    kept = shard.register(session_headers(other)).json["queue_id"]
    shard.publish(ada, type="secret", text="unread")
    with shard.poll(queue_id, headers) as first:
        last = first.answer().json["events"][-1]["id"]
    waiting = shard.poll(queue_id, headers, last)
    assert shard.ask("GET", "/health/live").status == 200
    watch = Stopwatch(*project.pids)
    project.ask("/logout", cookie)
    answer = waiting.answer()
    assert watch.seconds < WITHIN
    assert answer.status in (200, 401)
    assert answer.status == 401 or answer.json["events"] == []
    assert shard.poll(unread, headers).answer().status == 401
    # Not for the same user's other session either: the queue is gone with what it held.
    gone = shard.poll(unread, session_headers(other)).answer()
    assert gone.json["code"] == "BAD_EVENT_QUEUE_ID"
    assert [event["text"] for event in shard.poll(kept, session_headers(other)).answer().json["events"]] == [
        "unread"
    ]


def test_a_revoked_token_ends_its_polls_and_queues(shard: Shard) -> None:
    project = shard.project
    headers = {"Authorization": "Token bob"}
    queue_id = shard.register(headers, "/api/v1").json["queue_id"]
    waiting = shard.poll(queue_id, headers, root="/api/v1")
    assert shard.ask("GET", "/health/live").status == 200
    watch = Stopwatch(*project.pids)
    project.ask("/revoke", name="bob")
    waiting.answer()
    assert watch.seconds < WITHIN
    assert shard.register(headers, "/api/v1").status == 401
    key = {"Authorization": "Key bob"}  # of the same user, and not revoked
    assert shard.poll(queue_id, key, root="/api/v1").answer().json["code"] == "BAD_EVENT_QUEUE_ID"
    assert shard.register(key, "/api/v1").status == 200


def test_a_committed_change_reaches_who_registered_and_who_registers(shard: Shard) -> None:
    project = shard.project
    ada, cookie = project.log_in("ada")
    headers = session_headers(cookie)
    queue_id = shard.register(headers).json["queue_id"]
    project.ask("/add", owner=ada, text="rolled back", then="roll back")
    project.ask("/add", owner=ada, text="committed")
    events = shard.poll(queue_id, headers).answer().json["events"]
    assert [event["text"] for event in events] == ["committed"]
    assert list(shard.register(headers).json["todos"].values()) == ["committed"]


def test_nobody_without_a_session_is_let_in(shard: Shard) -> None:
    wrong = session_headers("sessionid=made-up")
    assert shard.register(wrong).status == 401
    assert shard.register(session_headers("")).status == 401
    assert shard.register({"Authorization": "Key nobody"}, "/api/v1").status == 401
    cookie = shard.project.log_in("ada")[1]
    elsewhere = {**session_headers(cookie), "Host": "other.example", "Origin": "http://other.example"}
    assert shard.register(elsewhere).status == 401  # a host that the project does not serve
    assert shard.register({**session_headers(cookie), "Origin": "http://other.example"}).status == 403
    assert shard.register(session_headers(cookie), "/api/v1").status == 401  # cookies count on /json alone


def test_it_stops_and_comes_back_with_its_queues(project: Project, make_shard: MakeShard) -> None:
    shard = make_shard()
    project.serve()
    ada, cookie = project.log_in("ada")
    headers = session_headers(cookie)
    queue_id = shard.register(headers).json["queue_id"]
    waiting = shard.poll(queue_id, headers)
    assert shard.ask("GET", "/health/live").status == 200
    shard.process.send_signal(signal.SIGTERM)
    assert waiting.answer().json["events"] == []
    assert shard.process.wait(60) == 0, project.log
    shard.start()
    shard.publish(ada, type="note", text="again")
    assert [event["type"] for event in shard.poll(queue_id, headers).answer().json["events"]][-1] == "note"


def test_pages_are_served_on_the_same_port_when_asked_for(project: Project, make_shard: MakeShard) -> None:
    shard = make_shard("--pages", "--relay")
    project.port = shard.port  # one port for both
    ada, cookie = project.log_in("ada")
    headers = session_headers(cookie)
    queue_id = shard.register(headers).json["queue_id"]
    project.ask("/add", owner=ada, text="one process")
    events = shard.poll(queue_id, headers).answer().json["events"]
    assert [event["text"] for event in events] == ["one process"]
    assert shard.ask("GET", "/nothing").status == 404


def test_it_says_in_one_line_what_is_wrong(project: Project) -> None:
    def failing(*options: str) -> tuple[int, str]:
        process = project.start("runtidewire", *options)
        code = process.wait(60)
        assert "Traceback" not in project.log, project.log
        return code, project.log.splitlines()[-1]

    assert failing("--set", "server.secret=another")[0] == 2
    assert failing("--set", "server.secret=another")[1].startswith("CommandError: ")
    assert failing("--set", "queues.max=1")[0] == 2
