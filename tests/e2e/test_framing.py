"""One reader says where a request ends, whoever answers it: bodies, early answers, deadlines and bounds on real connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from support.ambiguous_requests import AMBIGUOUS, TOO_MUCH, UNUSUAL
from support.lane_server import LaneServer, Peer, lane_server, until
from support.raw_http import request_bytes
from support.server_process import SECRET, credentials
from support.site import local_site
from tidewire.http.lane.connection import LaneConnection
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.lane.transport import PIPELINE_BYTES, SWALLOWED_BYTES

LIVE = request_bytes("GET", "/health/live")
NOWHERE = request_bytes("GET", "/nowhere")
ADA = f"Authorization: {credentials('ada')['Authorization']}\r\n".encode()
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


def register(lines: bytes) -> bytes:
    """The head of a registration."""
    return b"POST /api/v1/register HTTP/1.1\r\nHost: x\r\n%b%b\r\n" % (FORM, lines)


def length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


def statuses(received: bytes) -> list[bytes]:
    return [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]


async def is_quiet(peer: Peer) -> bool:
    """Whether the server says nothing, although another connection is served meanwhile."""
    reading = asyncio.ensure_future(peer.answer())
    done, _ = await asyncio.wait([reading], timeout=0.2)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    return not done


@asynccontextmanager
async def serving(
    folder: Path, application: ASGIApp | None = None, bounds: Bounds | None = None
) -> AsyncIterator[LaneServer]:
    """The server, with an application of the test's own in place of the routes."""
    local = local_site(folder)
    async with lane_server(
        local if application is None else replace(local, app=application), bounds
    ) as server:
        yield server


def connection_of(server: LaneServer) -> LaneConnection:
    (connection,) = server.lane.connections
    assert isinstance(connection, LaneConnection)
    return connection


# Where a request ends.


@pytest.mark.parametrize("lines", [b"", b"Connection: upgrade\r\nUpgrade: x\r\n"], ids=["plain", "upgrade"])
async def test_a_body_is_no_request_also_behind_an_answer_that_left_before_it(
    tmp_path: Path, lines: bytes
) -> None:
    async with serving(tmp_path) as server, await server.connect() as peer:
        peer.send(register(length(b"a=b")))
        assert statuses(await peer.answer()) == [b"401"]
        peer.send(b"a=b" + register(lines + length(LIVE)) + LIVE)
        assert statuses(await peer.answer()) == [b"401"]
        assert await is_quiet(peer)
        peer.send(NOWHERE)
        assert statuses(await peer.answer()) == [b"404"]


@pytest.mark.parametrize("before", [b"", LIVE], ids=["at first", "behind an ordinary request"])
async def test_what_is_ambiguous_is_answered_once_and_ends_the_connection(
    tmp_path: Path, before: bytes
) -> None:
    async with serving(tmp_path) as server:
        for name, request in AMBIGUOUS.items():
            async with await server.connect() as peer:
                peer.send(before + request + LIVE)
                received = await peer.rest()
                assert statuses(received) == [b"200", b"400"][not before :], (name, received)
                assert b'"code":"BAD_REQUEST"' in received
                assert received.count(b"connection: close\r\n") == 1
        await until(lambda: not server.lane.connections)


@pytest.mark.parametrize(("request_", "status"), TOO_MUCH.values(), ids=TOO_MUCH)
async def test_bounds_hold_behind_an_ordinary_request_too(
    tmp_path: Path, request_: bytes, status: int
) -> None:
    async with serving(tmp_path) as server, await server.connect() as peer:
        peer.send(LIVE)
        assert statuses(await peer.answer()) == [b"200"]
        peer.send(request_)
        assert statuses(await peer.rest()) == [b"%d" % status]


async def test_the_unusual_is_read_and_what_follows_is_answered(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await whole_body(receive))
        await answer(send, b"ok")

    async with serving(tmp_path, application) as server:
        for name, (request, body) in UNUSUAL.items():
            if b"HTTP/1.0" in request:
                continue
            async with await server.connect() as peer:
                peer.send(request + LIVE)
                received = [await peer.answer() for _ in range(2)]
                assert received[-1].startswith(b"HTTP/1.1 200"), (name, received)
                assert seen[-2:] == [body, b""], name


async def whole_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        body += message["body"]
        more = message["more_body"]
    return body


async def answer(send: Send, body: bytes, *lines: tuple[bytes, bytes]) -> None:
    headers = [*lines, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


# Answers that leave before the body has come.


async def test_the_little_that_is_to_come_is_thrown_away_and_the_connection_goes_on(tmp_path: Path) -> None:
    body = LIVE * (SWALLOWED_BYTES // len(LIVE))
    async with serving(tmp_path) as server, await server.connect() as peer:
        for _ in range(3):
            peer.send(register(length(body)))
            refusal = await peer.answer()
            assert (statuses(refusal), b"connection:" in refusal) == ([b"401"], False)
            for start in range(0, len(body), 1_000):
                peer.send(body[start : start + 1_000])
            peer.send(NOWHERE)
            assert statuses(await peer.answer()) == [b"404"]
        assert len(server.lane.connections) == 1


@pytest.mark.parametrize(
    "request_",
    [
        register(b"Content-Length: %d\r\n" % (SWALLOWED_BYTES + 1)),
        register(b"Transfer-Encoding: chunked\r\n") + b"5\r\n",
        # Who asked first may send the body or not.
        register(b"Expect: 100-continue\r\n" + length(LIVE)),
    ],
    ids=["long", "chunks", "asked first"],
)
async def test_behind_a_longer_body_the_connection_ends_and_none_of_it_is_a_request(
    tmp_path: Path, request_: bytes
) -> None:
    async with serving(tmp_path) as server, await server.connect() as peer:
        peer.send(request_)
        refusal = await peer.answer()
        assert (statuses(refusal), b"connection: close\r\n" in refusal) == ([b"401"], True)
        for _ in range(20):
            peer.send(LIVE * 10)
            await asyncio.sleep(0)
        peer.end_sending()
        assert await peer.rest() == b""
        await until(lambda: not server.lane.connections)


async def test_who_goes_on_sending_is_cut_off_soon(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, await server.connect() as peer:
        peer.send(b"GET / HTTP/1.1\r\n\r\n")
        assert statuses(await peer.answer()) == [b"400"]
        peer.send(LIVE)
        assert server.lane.admission.total == 1
        server.lane.sweep(server.lane.now + 1.9)
        assert server.lane.admission.total == 1
        server.lane.sweep(server.lane.now + 0.2)
        await until(lambda: server.lane.admission.total == 0)


# Deadlines.


async def test_a_head_has_its_deadline_behind_an_ordinary_request_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, await server.connect() as peer:
        peer.send(LIVE + b"GET / HT")
        assert statuses(await peer.answer()) == [b"200"]
        await until(lambda: len(server.lane.slow) == 1)
        server.lane.sweep(server.lane.now + 10.1)
        assert statuses(await peer.rest()) == [b"408"]


async def test_a_head_has_its_deadline_behind_a_body_in_chunks_too(tmp_path: Path) -> None:
    request = register(ADA + b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n"
    async with serving(tmp_path) as server, await server.connect() as peer:
        peer.send(request + b"G")
        assert statuses(await peer.answer()) == [b"200"]
        await until(lambda: len(server.lane.slow) == 1)
        server.lane.sweep(server.lane.now + 10.1)
        assert statuses(await peer.rest()) == [b"408"]


async def test_a_connection_that_an_ordinary_request_left_idle_ends_in_time(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, await server.connect() as peer:
        peer.send(LIVE)
        await peer.answer()
        assert len(server.lane.idle) == 1
        server.lane.sweep(server.lane.now + 75.1)
        assert await peer.rest() == b""


async def test_a_body_that_nobody_wants_has_a_deadline_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, await server.connect() as peer:
        peer.send(register(length(LIVE)))
        assert statuses(await peer.answer()) == [b"401"]
        assert len(server.lane.sending) == 1
        server.lane.sweep(server.lane.now + 60.1)
        assert await peer.rest() == b""


async def test_an_answer_that_is_not_read_ends_the_connection(tmp_path: Path) -> None:
    gone = asyncio.Event()

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(200):
            await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
        gone.set()

    async with serving(tmp_path, application) as server, await server.connect() as peer:
        peer.stop_reading()
        peer.send(LIVE)
        await until(lambda: len(server.lane.blocked) == 1)
        assert connection_of(server).held_bytes < 1_000_000
        server.lane.sweep(server.lane.now + 60.1)
        await until(lambda: not server.lane.connections)
        await asyncio.wait_for(gone.wait(), 60)


# The application's side.


async def test_a_body_is_read_no_faster_than_the_application_takes_it(tmp_path: Path) -> None:
    may_read, taken = asyncio.Event(), 0

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal taken
        await may_read.wait()
        taken = len(await whole_body(receive))
        await answer(send, b"")

    async with serving(tmp_path, application) as server, await server.connect() as peer:
        peer.send(register(b"Content-Length: 20000000\r\n"))
        for _ in range(200):
            peer.send(bytes(100_000))
        await until(
            lambda: bool(server.lane.connections) and connection_of(server).held_bytes > PIPELINE_BYTES
        )
        await asyncio.sleep(0.1)
        assert peer.unsent > 10_000_000
        assert connection_of(server).held_bytes < 1_000_000
        may_read.set()
        await peer.answer()
        assert taken == 20_000_000


async def test_a_body_of_tiny_chunks_lets_others_have_their_turn(tmp_path: Path) -> None:
    """And comes whole, over every pause."""
    body = b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n"

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"%d" % len(await whole_body(receive)) if scope["method"] == "POST" else b"")

    async with serving(tmp_path, application) as server, await server.connect() as peer:
        peer.send(register(b"Transfer-Encoding: chunked\r\n") + body)
        await server.ask(LIVE)
        assert (await peer.answer()).endswith(b"\r\n\r\n200000")


async def test_requests_that_come_together_are_answered_one_at_a_time(tmp_path: Path) -> None:
    running, most = 0, 0
    paths = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        paths.append(scope["path"])
        await asyncio.sleep(0)
        body = await whole_body(receive)
        running -= 1
        await answer(send, body)

    requests = [request_bytes("POST", f"/{number}", body=b"%d" % number) for number in range(50)]
    async with serving(tmp_path, application) as server, await server.connect() as peer:
        peer.send(b"".join(requests))
        for number in range(50):
            assert (await peer.answer()).endswith(b"\r\n\r\n%d" % number)
    assert most == 1
    assert paths == [f"/{number}" for number in range(50)]


async def test_a_flood_behind_an_ordinary_request_is_not_taken_in(tmp_path: Path) -> None:
    may_answer = asyncio.Event()

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await may_answer.wait()
        await answer(send, b"")

    async with serving(tmp_path, application) as server, await server.connect() as peer:
        for _ in range(200):
            peer.send(LIVE * 1_000)
        await until(
            lambda: bool(server.lane.connections) and connection_of(server).held_bytes > PIPELINE_BYTES
        )
        await asyncio.sleep(0.1)
        assert connection_of(server).held_bytes < 1_000_000
        may_answer.set()
        for _ in range(3_000):
            await peer.answer()


@pytest.mark.parametrize("how", ["reset", "half close"])
@pytest.mark.parametrize(
    "sent", [LIVE, register(b"Content-Length: 5\r\n") + b"ab"], ids=["whole", "half a body"]
)
async def test_an_application_is_told_that_its_client_has_gone(tmp_path: Path, how: str, sent: bytes) -> None:
    messages: list[Message] = []
    began = asyncio.Event()

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        began.set()
        while not messages or messages[-1]["type"] != "http.disconnect":
            messages.append(await receive())
        await answer(send, b"nobody")

    async with serving(tmp_path, application) as server, await server.connect() as peer:
        peer.send(sent)
        await began.wait()
        peer.reset() if how == "reset" else peer.end_sending()
        await until(lambda: bool(messages) and messages[-1]["type"] == "http.disconnect")
        await until(lambda: not server.lane.connections)


async def test_a_stop_in_the_middle_of_a_body_ends_quietly(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    async with lane_server(local) as server:
        peer = await server.connect()
        peer.send(register(ADA + b"Content-Length: 500\r\n") + b"a=b")
        await until(lambda: server.lane.statistics.handed_over == 1)
    assert await peer.rest() == b""
    assert [entry for entry in local.whole_log if entry["level"] == "error"] == []


async def test_who_asks_first_is_told_to_send_when_somebody_wants_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, await server.connect() as peer:
        for _ in range(2):
            peer.send(register(ADA + b"Expect: 100-continue\r\n" + length(b"a=b")))
            assert await peer.answer() == b"HTTP/1.1 100 Continue\r\n\r\n"
            peer.send(b"a=b")
            assert statuses(await peer.answer()) == [b"200"]
        # Who sends it at once has not waited for the word.
        peer.send(register(ADA + b"Expect: 100-continue\r\n" + length(b"a=b")) + b"a=b")
        assert statuses(await peer.answer()) == [b"200"]


def failing(begin: bool) -> ASGIApp:
    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        if begin:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("broken on purpose")

    return application


async def leaving(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Answers nothing."""


async def too_short(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
    await send({"type": "http.response.body", "body": b"half"})


async def splitting(_scope: Scope, _receive: Receive, send: Send) -> None:
    await answer(send, b"", (b"a", b"b\r\nc: d"))


@pytest.mark.parametrize(
    ("application", "begins"),
    [
        (failing(begin=False), False),
        (failing(begin=True), True),
        (leaving, False),
        (too_short, True),
        (splitting, False),
    ],
    ids=["raises", "raises late", "says nothing", "says too little", "splits its head"],
)
async def test_an_application_that_fails_costs_its_connection_and_is_logged(
    tmp_path: Path, application: ASGIApp, *, begins: bool
) -> None:
    async with serving(tmp_path, application) as server, await server.connect() as peer:
        peer.send(LIVE)
        received = await peer.rest()
        assert (statuses(received), b"INTERNAL_ERROR" in received) == (
            ([b"200"], False) if begins else ([b"500"], True)
        )
        assert [entry["event"] for entry in server.local.log if entry["level"] == "error"] == [
            "request failed"
        ]
        peer.close()
        await until(lambda: not server.lane.connections)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (LIVE, b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        (LIVE.replace(b"HTTP/1.1", b"HTTP/1.0"), b"connection: close\r\n\r\nabcde"),
        (LIVE.replace(b"GET", b"HEAD"), b"a: b\r\n\r\n"),
    ],
    ids=["HTTP/1.1", "HTTP/1.0", "HEAD"],
)
async def test_an_answer_of_unknown_length_has_an_end(
    tmp_path: Path, request_: bytes, expected: bytes
) -> None:
    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b"de"})

    async with serving(tmp_path, application) as server, await server.connect() as peer:
        peer.send(request_)
        received = b""
        while not received.endswith(expected):
            received += await asyncio.wait_for(peer._reader.read(1000), 60)
        assert received.count(b"HTTP/1.1 200 OK\r\n") == 1


# Paths.


@pytest.mark.parametrize("behind", ["%0a", "%0A", "%0d", "%00", "%7f", "%C2%85", "%0a%0a"])
async def test_a_path_with_a_control_character_is_no_route(tmp_path: Path, behind: str) -> None:
    """For any server that serves the application, too."""
    local = local_site(tmp_path)
    async with lane_server(local) as server:
        for path in (
            "/health/live",
            "/metrics",
            "/api/v1/events",
            "/api/internal/queues",
            "/api/internal/queues/x",
        ):
            (received,) = await server.ask(
                request_bytes("GET", path + behind, headers={"Authorization": f"Bearer {SECRET}"})
            )
            assert statuses(received) == [b"404"], path
            assert b'"code":"NOT_FOUND"' in received
    from_elsewhere = await local.ask(None, "GET", "/health/live\n")
    assert (from_elsewhere.status, from_elsewhere.json["code"]) == (404, "NOT_FOUND")
