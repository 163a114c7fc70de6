"""Real clients against a real server over its restarts: the published `zulip`, and Tidewire's own (C26, 6F)."""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import zulip

from support import zulip_reader
from support.reader_process import ReaderProcess
from support.server_process import KEYS, SECRET, ServerProcess, clean_environment, email
from support.waiting import eventually
from tidewire.client import Client, Gap

pytestmark = pytest.mark.slow

TIDEWIRE = [sys.executable, "-m", "tidewire"]


def publish(server: ServerProcess, numbers: range, *users: int) -> None:
    """Publishes numbered events with the real command."""
    lines = [
        json.dumps({"id": f"n{number}", "event": {"type": "t", "number": number}, "users": users or (1,)})
        for number in numbers
    ]
    done = subprocess.run(  # noqa: S603 - the command is made here
        [*TIDEWIRE, "publish", "--url", server.url, "--secret", SECRET, "-"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"confirmed {len(numbers)} of {len(numbers)} notices\n"


def numbers_of(events: list[dict[str, Any]]) -> list[int]:
    return [event["number"] for event in events if event["type"] == "t"]


@pytest.fixture
def zulip_client(server: ServerProcess) -> Iterator[zulip.Client]:
    client = zulip.Client(site=server.url, email=email("ada"), api_key=KEYS["ada"])
    yield client
    if client.session is not None:
        client.session.close()


def test_the_published_client_registers_polls_and_deregisters(
    server: ServerProcess, zulip_client: zulip.Client
) -> None:
    """R6.80-R6.86."""
    registered = zulip_client.register(event_types=["t"], narrow=[])
    assert (registered["result"], registered["last_event_id"]) == ("success", -1)
    queue = {"queue_id": registered["queue_id"], "last_event_id": -1}
    publish(server, range(3))
    server.publish_event("ada", type="other")
    answer = zulip_client.get_events(**queue)
    assert numbers_of(answer["events"]) == [0, 1, 2]
    assert answer["queue_id"] == registered["queue_id"]
    assert zulip_client.get_events(**{**queue, "last_event_id": 2, "dont_block": True})["events"] == []
    assert zulip_client.get_profile()["email"] == email("ada")
    assert zulip_client.get_server_settings()["zulip_feature_level"] == 491
    assert zulip_client.deregister(registered["queue_id"])["result"] == "success"
    answer = zulip_client.get_events(**queue)
    assert (answer["result"], answer["code"]) == ("error", "BAD_EVENT_QUEUE_ID")


def test_the_published_client_is_told_of_wrong_credentials(server: ServerProcess) -> None:
    client = zulip.Client(site=server.url, email=email("ada"), api_key=KEYS["bob"])
    assert client.register()["code"] == "INVALID_API_KEY"
    if client.session is not None:
        client.session.close()


def zulip_bot(server: ServerProcess) -> ReaderProcess:
    script = [sys.executable, zulip_reader.__file__, server.url, email("ada"), KEYS["ada"]]
    return ReaderProcess(script, server.directory)


def test_the_published_clients_loop_gets_all_in_order_over_a_restart_without_registering_again(
    server: ServerProcess,
) -> None:
    """C26: state kept."""
    with zulip_bot(server) as bot:
        registered = bot.wait_for(1)
        publish(server, range(20))
        bot.wait_for(21)
        server.restart()
        publish(server, range(20, 40))
        lines = bot.wait_for(42)
    events = [line["event"] for line in lines[1:]]
    assert numbers_of(events) == list(range(40))
    assert [event["id"] for event in events] == list(range(41))
    assert [line for line in lines if "registered" in line] == registered
    assert [event["type"] for event in events].count("restart") == 1


def test_the_published_clients_loop_registers_again_when_its_queue_is_gone(server: ServerProcess) -> None:
    """C26: deleted, then state thrown away."""
    with zulip_bot(server) as bot:
        (first,) = bot.wait_for(1)
        publish(server, range(1))
        bot.wait_for(2)
        deletion = {"queue_id": first["registered"]}
        assert server.ask_as("ada", "DELETE", "/api/v1/events", query=deletion).status == 200
        second = bot.wait_for(3)[2]
        publish(server, range(1, 2))
        bot.wait_for(4)
        server.restart(keep_state=False)
        third = bot.wait_for(5)[4]
        publish(server, range(2, 3))
        lines = bot.wait_for(6)
    assert len({first["registered"], second["registered"], third["registered"]}) == 3
    events = [line["event"] for line in lines if "event" in line]
    assert [(event["number"], event["id"]) for event in events] == [(0, 0), (1, 0), (2, 0)]


def test_tail_misses_nothing_and_prints_nothing_twice_over_a_restart(server: ServerProcess) -> None:
    command = [*TIDEWIRE, "tail", "--url", server.url, "--email", email("ada"), "--key", KEYS["ada"]]
    with ReaderProcess([*command, "--json", "--event-types", "t"], server.directory) as tail:
        known = probe_until_printed(server, tail)
        publish(server, range(50))
        tail.wait_for(known + 50)
        server.restart()
        publish(server, range(50, 100))
        lines = tail.wait_for(known + 100)
        assert numbers_of(lines[known:]) == list(range(100))
        assert [line["id"] for line in lines] == list(range(len(lines)))
        assert "is gone" not in tail.errors
        assert tail.terminate() == 0
    assert "Traceback" not in tail.errors
    # It has said goodbye: at the stop there is no queue left.
    assert server.stop() == 0
    assert "queues=0" in server.log.splitlines()[-1]


def probe_until_printed(server: ServerProcess, tail: ReaderProcess) -> int:
    """Publishes probes until the reader shows that it has registered; returns how many it printed."""
    while not tail.lines:
        server.publish_event("ada", type="t", number=-1)
    server.publish_event("ada", type="t", number=-2)
    eventually(lambda: tail.lines[-1]["number"] == -2, what="the last probe is printed")
    return len(tail.lines)


def test_tidewires_own_client_goes_on_over_a_restart(server: ServerProcess) -> None:
    gaps: list[Gap] = []
    with Client(server.url, email=email("ada"), api_key=KEYS["ada"]) as client:
        events = client.events(["t"], on_gap=gaps.append)
        publish(server, range(10))
        got = [next(events) for _ in range(5)]
        server.restart()
        publish(server, range(10, 15))
        got += [next(events) for _ in range(10)]
        assert numbers_of(got) == list(range(15))
        assert gaps == []
        server.restart(keep_state=False)
        with repeating(server, number=15):
            got.append(next(events))
    assert numbers_of(got) == [*range(15), 15]
    assert [gap.last_event_id for gap in gaps] == [got[-2]["id"]]


@contextlib.contextmanager
def repeating(server: ServerProcess, **event: Any) -> Iterator[None]:
    """Publishes an event again and again, for a queue that is made at a moment nobody else can see."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.wait(0.05):
            server.publish_event("ada", type="t", **event)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
