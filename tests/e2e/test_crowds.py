"""Crowds of waiting clients: others are served while all are told something (D2), and a stop ends their polls in time (D5).

`make bench ARGS="fairness stopping"` gives the figures of larger crowds; here the bounds leave room for a busy machine.
"""

import json
import resource
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.raw_http import RawConnection, request_bytes
from support.server_process import BEARER, STOP_WITHIN, ServerProcess, StartServer, credentials, poll_bytes
from support.stopwatch import Stopwatch

pytestmark = pytest.mark.slow

FILES_FOR_OTHERS = 200
"""Files that a process has open beside a crowd's connections."""

TOLD = 3000
ENDED = 1500
"""Waiting clients, where so many files may be open."""

ANSWERED_WITHIN = 0.5
"""Seconds for a request beside a fan-out: 0.05 is the aim on a machine of its own."""


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Lets the test and the server that it starts open as many files as they may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def server(start_server: StartServer) -> ServerProcess:
    """A server where one user may own the queues of a whole crowd."""
    return start_server(f"queues.max_per_user={max(TOLD, ENDED)}")


@pytest.fixture
def crowd() -> Iterator[ExitStack]:
    """Closes the connections that are entered into it."""
    with ExitStack() as stack:
        yield stack


def gather(server: ServerProcess, crowd: ExitStack, wanted: int) -> dict[str, RawConnection]:
    """Clients that wait, by the id of their queue."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    waiting: dict[str, RawConnection] = {}
    registration = request_bytes("POST", "/api/v1/register", form={}, headers=credentials("ada"))
    for _ in range(wanted if allowed < 0 else min(wanted, allowed - FILES_FOR_OTHERS)):
        connection = crowd.enter_context(RawConnection(server.port))
        queue_id = connection.answer_to(registration).json["queue_id"]
        connection.send(poll_bytes("ada", queue_id))
        waiting[queue_id] = connection
    # One loop, one order: what was sent before is handled before a later connection's request.
    assert server.ask("GET", "/health/live").status == 200
    return waiting


def test_others_are_served_while_a_crowd_is_told_something(server: ServerProcess, crowd: ExitStack) -> None:
    waiting = gather(server, crowd, TOLD)
    own_queue = server.register("bob")
    query = {"queue_id": own_queue, "last_event_id": -1, "dont_block": True}
    on_lane = request_bytes("GET", "/api/v1/events", query=query, headers=credentials("bob"))
    ordinary = request_bytes("GET", "/health/ready")
    publisher, other = (
        crowd.enter_context(RawConnection(server.port)),
        crowd.enter_context(RawConnection(server.port)),
    )
    notice = json.dumps({"event": {"type": "t", "text": "x" * 600}, "users": [1]}).encode()
    publisher.send(request_bytes("POST", "/api/internal/notices", headers=BEARER, body=notice))
    longest = 0.0
    for request in [on_lane, ordinary] * 20:
        watch = Stopwatch(server.pid)
        assert other.answer_to(request).status == 200
        longest = max(longest, watch.seconds)
    assert longest < ANSWERED_WITHIN
    assert publisher.answer().status == 200
    for queue_id, connection in waiting.items():
        answer = connection.answer().json
        assert (answer["queue_id"], [event["type"] for event in answer["events"]]) == (queue_id, ["t"])


def test_a_stop_ends_the_polls_of_a_crowd_in_time(server: ServerProcess, crowd: ExitStack) -> None:
    waiting = gather(server, crowd, ENDED)
    watch = Stopwatch(server.pid)
    server.signal(signal.SIGTERM)
    for queue_id, connection in waiting.items():
        answer = connection.answer()
        assert (answer.status, answer.json["events"], answer.json["queue_id"]) == (200, [], queue_id)
        assert connection.is_closed()
    assert server.seconds_to_end(watch) < STOP_WITHIN
    assert "Traceback" not in server.log
