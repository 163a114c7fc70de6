"""Stopping and starting again: parked polls, busy connections, new work, and what is kept (D5, R9.14, R9.15)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.raw_http import Closed, request_bytes
from support.server_process import (
    BEARER,
    STOP_WITHIN,
    ServerProcess,
    StartServer,
    clean_environment,
    credentials,
    free_port,
    poll_bytes,
    users_file,
)
from support.stopwatch import Stopwatch
from support.waiting import eventually

pytestmark = pytest.mark.slow

NOTICE = b'{"event":{"type":"t"},"users":[1]}'


def test_parked_polls_end_empty_take_no_id_and_go_on_after_the_restart(server: ServerProcess) -> None:
    names = ["ada", "bob", "gil", "botty"] * 5
    queues = [(name, server.register(name)) for name in names]
    server.publish_event("ada", "bob", "gil", "botty", type="t", number=0)
    parked = [server.park(name, queue_id, 0) for name, queue_id in queues]
    watch = Stopwatch(server.pid)
    server.signal(signal.SIGTERM)
    for connection, (_, queue_id) in zip(parked, queues, strict=True):
        answer = connection.answer()
        assert (answer.status, answer.json["events"], answer.json["queue_id"]) == (200, [], queue_id)
        assert answer.headers["connection"] == "close"
        assert connection.is_closed()
    assert watch.seconds < 2
    assert server.seconds_to_end(watch) < STOP_WITHIN
    server.start()
    server.publish_event("ada", "bob", "gil", "botty", type="t", number=1)
    for name, queue_id in queues:
        restart, event = server.events(name, queue_id, 0)
        assert (restart["type"], restart["id"], restart["zulip_feature_level"]) == ("restart", 1, 491)
        assert "immediate" not in restart
        assert event == {"type": "t", "number": 1, "id": 2}
    assert "Traceback" not in server.log


def test_a_restart_is_told_only_to_queues_that_take_the_type(server: ServerProcess) -> None:
    """R1.23."""
    queue_id = server.register("ada", event_types=["message"])
    server.restart()
    assert server.events("ada", queue_id) == []


def test_new_work_is_refused_while_stopping_and_polls_end_with_nothing(server: ServerProcess) -> None:
    """R9.15: on connections that are open already, and each is closed by its answer; what is in queues stays there."""
    queue_id = server.register("ada")
    server.publish_event("ada", type="t")
    requests = {
        "publish": request_bytes("POST", "/api/internal/notices", headers=BEARER, body=NOTICE),
        "register": request_bytes("POST", "/api/v1/register", headers=credentials("ada")),
        "ready": request_bytes("GET", "/health/ready"),
        "read": poll_bytes("ada", queue_id, -1),
        "poll": poll_bytes("ada", queue_id, 0),
    }
    # A request that is not whole yet keeps its connection open and busy.
    connections = {name: server.connect() for name in requests}
    for name, connection in connections.items():
        connection.send(requests[name][:-1])
    assert server.ask("GET", "/health/live").status == 200
    server.signal(signal.SIGTERM)
    eventually(lambda: "snapshot kept" in server.log, what="the server has written its state")
    answers = {}
    for name, connection in connections.items():
        connection.send(requests[name][-1:])
        try:
            answers[name] = connection.answer()
        except Closed:
            continue  # its head was not whole, and the connection may be closed then
    assert answers["publish"].status == 503
    for name in answers.keys() & {"publish", "register", "ready"}:
        assert (answers[name].status, answers[name].json["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert int(answers[name].headers["retry-after"]) >= 1
    for name in answers.keys() & {"poll", "read"}:
        assert (answers[name].status, answers[name].json["events"]) == (200, [])
    assert all(answer.headers["connection"] == "close" for answer in answers.values())
    assert server.wait() == 0
    assert "Traceback" not in server.log


def test_connections_that_stay_busy_are_cut_off_and_nothing_fails(server: ServerProcess) -> None:
    """Requests that never come whole, and a client that does not read (C30): no 5xx, no error in the log."""
    queue_id = server.register("ada")
    for _ in range(10):
        server.publish_event("ada", type="t", text="x" * 400_000)
    slow = server.connect()
    for _ in range(8):
        slow.send(poll_bytes("ada", queue_id))
    whole = request_bytes("POST", "/api/v1/register", form={"a": "x" * 100}, headers=credentials("ada"))
    halves = [server.connect() for _ in range(3)]
    for connection, end in zip(halves, (-50, -105, 30), strict=True):
        connection.send(whole[:end])
    assert len(server.events("ada", queue_id)) >= 1
    watch = Stopwatch(server.pid)
    server.signal(signal.SIGTERM)
    assert server.seconds_to_end(watch) < STOP_WITHIN
    assert [connection.rest() for connection in halves] == [b"", b"", b""]
    assert "Traceback" not in server.log
    assert "[error" not in server.log


def test_an_interrupt_stops_the_same_way(server: ServerProcess) -> None:
    """R9.15; and a second signal changes nothing."""
    queue_id = server.register("ada")
    server.signal(signal.SIGINT)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    server.start()
    assert [event["type"] for event in server.events("ada", queue_id)] == ["restart"]


def test_state_that_is_thrown_away_ends_the_queues(server: ServerProcess) -> None:
    """C26, R10.7."""
    queue_id = server.register("ada")
    server.restart(keep_state=False)
    query = {"queue_id": queue_id, "last_event_id": -1}
    answer = server.ask_as("ada", "GET", "/api/v1/events", query=query)
    assert answer.json["code"] == "BAD_EVENT_QUEUE_ID"


def test_queues_of_before_a_crash_are_not_brought_back_without_a_journal(start_server: StartServer) -> None:
    """R10.7: their clients have moved on since, and are told so."""
    server = start_server("storage.durability=none")
    queue_id = server.register("ada")
    server.restart()
    server.signal(signal.SIGKILL)
    server.wait()
    server.start()
    query = {"queue_id": queue_id, "last_event_id": -1}
    assert server.ask_as("ada", "GET", "/api/v1/events", query=query).json["code"] == "BAD_EVENT_QUEUE_ID"


@pytest.mark.parametrize("durability", ["process", "power"])
def test_after_kill_9_queues_go_on_where_they_were(start_server: StartServer, durability: str) -> None:
    """D4: what was confirmed is there, under the same ids, and again after a second crash."""
    server = start_server(f"storage.durability={durability}")
    first = server.register("ada")
    server.publish_event("ada", type="t", number=0)
    server.restart()
    second = server.register("ada")
    server.publish_event("ada", type="t", number=1)
    for crashes in (1, 2):
        server.signal(signal.SIGKILL)
        server.wait()
        server.start()
        server.publish_event("ada", type="after", crashes=crashes)
    kinds = [
        [(event["type"], event["id"]) for event in server.events("ada", queue)] for queue in (first, second)
    ]
    told = ["t", "restart", "after", "restart", "after"]
    assert [kind for kind, _ in kinds[0]] == ["t", "restart", *told]
    assert [kind for kind, _ in kinds[1]] == told
    assert [[number for _, number in kind] for kind in kinds] == [list(range(7)), list(range(5))]
    assert server.events("ada", second, 3)[0]["crashes"] == 2
    assert "crashed=True" in server.log
    assert "Traceback" not in server.log


STOPPED_WHILE_STARTING = """
import os, signal
import tidewire.server.server
from tidewire.cli.main import main

build = tidewire.server.server.build

def build_and_be_signalled(*arguments, **keywords):
    app = build(*arguments, **keywords)
    for name in os.environ["SIGNALS"].split():
        os.kill(os.getpid(), getattr(signal, name))
    return app

tidewire.server.server.build = build_and_be_signalled
main()
"""


@pytest.mark.parametrize("signals", ["SIGINT", "SIGHUP SIGTERM"])
def test_a_stop_while_starting_keeps_the_state(tmp_path: Path, signals: str) -> None:
    """R9.14: between the snapshot's being set aside and the listening, a signal must not end the process."""
    first = ServerProcess(tmp_path)
    try:
        first.start()
        queue_id = first.register("ada")
        assert first.stop() == 0
        command = [sys.executable, "-c", STOPPED_WHILE_STARTING, "serve", "--port", str(free_port())]
        command += ["--state-dir", str(first.state), "--set", f"auth.users_file={first.users_path}"]
        environment = {**clean_environment(), "SIGNALS": signals}
        done = subprocess.run(  # noqa: S603 - the command is made here
            command, capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        first.start()
        assert [event["type"] for event in first.events("ada", queue_id)] == ["restart", "restart"]
    finally:
        first.destroy()


def test_a_second_server_on_the_same_state_is_refused_and_harms_nothing(
    server: ServerProcess, tmp_path: Path
) -> None:
    queue_id = server.register("ada")
    users = tmp_path / "users.toml"
    users.write_text(users_file("ada"))
    command = [sys.executable, "-m", "tidewire", "serve", "--port", str(free_port())]
    command += ["--state-dir", str(server.state), "--set", f"auth.users_file={users}"]
    done = subprocess.run(  # noqa: S603 - the command is made here
        command, capture_output=True, text=True, env=clean_environment(), timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"tidewire: {server.state} is in use by another server; give this one a --state-dir"
    ]
    assert server.events("ada", queue_id) == []


def test_the_port_is_free_again_at_once(server: ServerProcess) -> None:
    """Connections that the server closed itself don't keep it (R9.16)."""
    parked = [server.park("ada", server.register("ada")) for _ in range(3)]
    server.restart()
    assert all(connection.rest() for connection in parked)
    assert os.listdir(server.state)  # noqa: PTH208 - names are enough
