"""Attacks on memory, each at a real server: what one account, one publisher or one peer can make it keep."""

import json
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.memory_run import SETTLED, parts, run
from support.raw_http import RawConnection, request_bytes
from support.server_process import BEARER, USER_IDS, ServerProcess, credentials, poll_bytes
from support.waiting import eventually

pytestmark = pytest.mark.slow

MB = 1_000_000
EMOJI = "\N{GRINNING FACE}"

SEED = random.SystemRandom().randrange(10**6)
"""Another one each time: a failure prints it, and `python tests/memory.py --seed N` repeats the plan."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with a budget of 100 MB."""
    made = ServerProcess(tmp_path, f"queues.memory_budget={100 * MB}", "log.level=warning")
    made.start()
    yield made
    assert made.stop() == 0, made.log
    assert "Traceback" not in made.log


def registration(narrow: list[list[str]]) -> bytes:
    return request_bytes("POST", "/api/v1/register", form={"narrow": narrow}, headers=credentials("ada"))


def test_one_account_can_not_take_gigabytes_with_wide_narrow_terms(server: ServerProcess) -> None:
    """A thousand terms of 950 characters and an emoji: four bytes a character."""
    before = server.resident()
    terms = [["topic", f"{number}{EMOJI}" + "x" * 900] for number in range(250)]
    with server.connect() as connection:
        for _ in range(500):
            refused = connection.answer_to(registration(terms))
            assert (refused.status, refused.json["code"]) == (413, "REGISTRATION_TOO_LARGE")
        for number in range(500):
            # As large as may be, and each of its own.
            terms = [["topic", f"{number}.{term}{EMOJI}" + "x" * 850] for term in range(17)]
            assert connection.answer_to(registration(terms)).status == 200
    # A hundred are there, as many as a user may have; of the others nothing is kept but why they ended.
    counted = parts(server)
    assert 5 * MB < counted["registrations"] < 9 * MB
    assert counted["tombstones"] < MB
    assert server.resident("VmHWM") - before < 40 * MB


def test_answers_that_nobody_reads_are_dropped_and_make_nobody_wait(server: ServerProcess) -> None:
    """Nine hundred answers of a megabyte to one account, while another polls."""
    other, queue_id = server.register("bob"), server.register("ada")
    for _ in range(5):
        server.publish_event("ada", type="deploy", text="x" * 200_000)
    before = server.resident()
    slowest = 0.0
    with ExitStack() as stack:
        left = []
        for _ in range(900):
            one = stack.enter_context(socket.socket())
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", server.port))
            left.append(one)
        quick = stack.enter_context(server.connect())
        request = request_bytes(
            "GET",
            "/api/v1/events",
            query={"queue_id": other, "last_event_id": -1, "dont_block": True},
            headers=credentials("bob"),
        )
        for one in left:
            one.sendall(poll_bytes("ada", queue_id))
        for _ in range(50):
            began = time.monotonic()
            assert quick.answer_to(request).status == 200
            slowest = max(slowest, time.monotonic() - began)
        eventually(lambda: given_way(server) > 700, what="nearly all connections are dropped")
        assert server.resident("VmHWM") - before < 60 * MB
    # Eleven seconds before large answers took turns; a turn takes milliseconds, and the machine may be busy.
    assert slowest < 2
    assert [event["id"] for event in server.events("ada", queue_id)] == list(range(5))
    eventually(lambda: parts(server)["unread_answers"] == 0, what="nothing is left of them")


def given_way(server: ServerProcess) -> int:
    """How many connections were dropped."""
    text = server.ask("GET", "/metrics").body.decode()
    return int(float(text.partition('given_way_total{what="unread_answers"} ')[2].partition("\n")[0]))


def test_bodies_that_stall_have_a_bound_together(server: ServerProcess) -> None:
    before = server.resident()
    body = b"[" + b" " * (4 * MB)
    head = request_bytes("POST", "/api/internal/notices", body=b"", headers=BEARER)
    head = head.replace(b"Content-Length: 0", b"Content-Length: %d" % (len(body) + 1))
    with ExitStack() as stack:
        stalled = [stack.enter_context(RawConnection(server.port)) for _ in range(20)]
        for connection in stalled:
            connection.send(head + body)
        taken = eventually(lambda: parts(server)["request_bodies"], what="they are counted")
        eventually(
            lambda: 'turned_away_total{request="body"} 0' not in server.ask("GET", "/metrics").body.decode(),
            what="some are refused",
        )
        assert taken < 35 * MB
        assert server.resident("VmHWM") - before < 70 * MB
    eventually(lambda: parts(server)["request_bodies"] == 0, what="they are given back")
    assert server.publish({"event": {"type": "deploy"}, "users": [1]}).status == 200


def test_a_start_keeps_a_budget_that_was_lowered(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, f"queues.memory_budget={1000 * MB}", "log.level=warning")
    try:
        server.start()
        queue_ids = {name: server.register(name) for name in USER_IDS}

        def publish(number: int) -> None:
            users = [1 + number % len(USER_IDS)]
            notices = [
                {"event": {"type": "deploy", "text": f"{number}.{place}" + "x" * 20_000}, "users": users}
                for place in range(25)
            ]
            body = json.dumps(notices).encode()
            answer = server.ask("POST", "/api/internal/notices", body=body, headers=BEARER)
            assert answer.status == 200

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(publish, range(400)))
        assert parts(server)["events"] > 190 * MB
        assert server.stop() == 0
        server.set("queues.memory_budget", 100 * MB)
        server.start()
        base = 60 * MB
        assert server.resident("VmHWM") < base + SETTLED * 100 * MB
        assert parts(server)["events"] < 100 * MB
        gone = 0
        for name, queue_id in queue_ids.items():
            query = {"queue_id": queue_id, "last_event_id": -1, "dont_block": True}
            answer = server.ask_as(name, "GET", "/api/v1/events", query=query)
            gone += answer.status != 200
            if answer.status != 200:
                assert answer.json["reason"] == "memory"
        assert 2 <= gone < len(USER_IDS)
        assert server.stop() == 0
    finally:
        server.destroy()


async def test_nothing_takes_more_than_the_budget_before_and_after_a_kill(tmp_path: Path) -> None:
    figures = await run(tmp_path, seed=SEED, seconds=15, budget=100 * MB)
    assert max(figures.peaks) <= figures.allowed, str(figures)
    assert figures.done["register 413"], str(figures)
    assert figures.done["publish 200"], str(figures)
