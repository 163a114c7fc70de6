"""Probes that HTTP servers answer differently; here each gets the strictest answer, and none waits for ever."""

import asyncio
import re
from pathlib import Path

import pytest

from support.lane_server import lane_server, until
from support.raw_http import request_bytes
from support.server_process import SECRET, credentials
from support.site import local_site
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.lane.protocol import EMPTY_LINES

AUTH = f"Authorization: {credentials('ada')['Authorization']}\r\n".encode()
POLL = b"GET /api/v1/events?queue_id=queue-0&last_event_id=-1 HTTP/1.1\r\n"
POST = b"POST /api/internal/notices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n" % SECRET.encode()
NOTICE = b'{"event":{"type":"a"},"users":[1]}'

PENDING = b""

PROBES: dict[str, tuple[bytes, bytes]] = {
    "a plain poll": (POLL + b"Host: x\r\n" + AUTH + b"\r\n", PENDING),
    "no Host": (POLL + AUTH + b"\r\n", b"400 closed"),
    "two Hosts": (POLL + b"Host: x\r\nHost: x\r\n" + AUTH + b"\r\n", b"400 closed"),
    "length and chunks": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"400 closed",
    ),
    "two lengths": (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", b"400 closed"),
    "another coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", b"400 closed"),
    "a length with a sign": (POST + b"Content-Length: +23\r\n\r\n" + b"x" * 23, b"400 closed"),
    "a space before the colon": (POLL + b"Host : x\r\n" + AUTH + b"\r\n", b"400 closed"),
    "a bare line feed": ((POLL + b"Host: x\r\n" + AUTH + b"\r\n").replace(b"\r\n", b"\n"), b"400 closed"),
    "a bare line feed inside": (POLL + b"Host: x\n" + AUTH + b"\r\n", b"400 closed"),
    "a folded header": (POLL + b"Host: x\r\n y\r\n" + AUTH + b"\r\n", b"400 closed"),
    "NUL in a header": (POLL + b"Host: x\r\nA: \0\r\n" + AUTH + b"\r\n", b"400 closed"),
    "a header of 100 kB": (POLL + b"Host: x\r\nA: " + b"x" * 100_000 + b"\r\n\r\n", b"431 closed"),
    "2,000 headers": (POLL + b"Host: x\r\n" + b"A: b\r\n" * 2000 + b"\r\n", b"431 closed"),
    "101 headers": (POLL + b"Host: x\r\n" + b"A: b\r\n" * 100 + b"\r\n", b"431 closed"),
    "a head of 2 MB without an end": (POLL + b"A: b\r\n" * 330_000, b"431 closed"),
    "a target of 100 kB": (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414 closed"),
    "a target of 100 kB without an end": (b"GET /" + b"x" * 100_000, b"414 closed"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400 closed"),
    "two posts at once": (2 * (POST + b"Content-Length: %d\r\n\r\n" % len(NOTICE) + NOTICE), b"200 200"),
    "a body too long to take": (POST + b"Content-Length: 99999999999\r\n\r\n", b"413 closed"),
}


def statuses(received: bytes) -> bytes:
    return b" ".join(re.findall(rb"HTTP/1\.1 (\d{3}) ", received))


@pytest.mark.parametrize(("request_", "expected"), PROBES.values(), ids=PROBES)
async def test_a_probe_gets_the_strict_answer(tmp_path: Path, request_: bytes, expected: bytes) -> None:
    local = local_site(tmp_path)
    await local.register("ada")
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(request_)
        if expected == PENDING:
            await until(lambda: local.engine.waiting() == 1)
        elif expected.endswith(b" closed"):
            received = await peer.rest()
            assert statuses(received) + b" closed" == expected
            assert b'"result":"error"' in received
        else:
            assert [await peer.answer() for _ in expected.split()]
            assert local.engine.shard.statistics.notices.total() == 2
        (live,) = await server.ask(request_bytes("GET", "/health/live"))
        assert live.startswith(b"HTTP/1.1 200")


async def test_a_poll_with_a_body_is_answered_and_its_body_is_no_request(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    await local.register("ada")
    smuggled = request_bytes("GET", "/health/live")
    head = POLL + b"Host: x\r\n" + AUTH + b"Content-Length: %d\r\n\r\n" % len(smuggled)
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(head + smuggled)
        await until(lambda: local.engine.waiting() == 1)
        await local.publish("ada", type="a")
        assert b'"type":"a"' in await peer.answer()
        peer.end_sending()
        assert await peer.rest() == b""


async def test_two_polls_at_once_are_answered_one_after_the_other(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    await local.register("ada")
    poll = POLL + b"Host: x\r\n" + AUTH + b"\r\n"
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(poll + poll.replace(b"last_event_id=-1", b"last_event_id=0"))
        await until(lambda: local.engine.waiting() == 1)
        await local.publish("ada", type="a")
        assert b'"type":"a"' in await peer.answer()
        await until(lambda: local.engine.waiting() == 1)
        await local.publish("ada", type="b")
        assert b'"type":"b"' in await peer.answer()


async def test_an_ordinary_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    request = request_bytes("POST", "/api/v1/register", form={"narrow": "[]"}, headers=credentials("ada"))
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(request[:-3])
        await until(lambda: len(server.lane.sending) == 1)
        server.lane.sweep(server.lane.now + 61)
        assert await peer.rest() == b""
    assert local.engine.shard.queues() == 0


async def test_heads_behind_a_chunked_request_are_bounded_too(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(NOTICE), NOTICE)
    async with lane_server(local, Bounds(head_bytes=1000)) as server, await server.connect() as peer:
        peer.send(chunked + POLL + b"Host: x\r\nA: " + b"x" * 2000 + b"\r\n\r\n")
        assert statuses(await peer.rest()) == b"200 431"


async def test_a_flood_behind_a_waiting_poll_is_not_taken_in(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    await local.register("ada")
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(POLL + b"Host: x\r\n" + AUTH + b"\r\n")
        await until(lambda: local.engine.waiting() == 1)
        for _ in range(200):
            peer.send(b"x" * 100_000)
        await asyncio.sleep(0.2)
        assert peer.unsent > 10_000_000
        await local.publish("ada", type="a")
        assert b'"type":"a"' in await peer.answer()


async def test_a_few_empty_lines_are_passed_over_and_buy_no_time(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    async with lane_server(local) as server, await server.connect() as peer:
        for _ in range(3):
            peer.send(b"\r\n" * EMPTY_LINES + request_bytes("GET", "/health/live"))
            assert (await peer.answer()).startswith(b"HTTP/1.1 200")
        peer.send(b"\r\n")
        await until(lambda: len(server.lane.slow) == 1)
        server.lane.sweep(server.lane.now + 11)
        assert await peer.rest() == b""


async def test_many_empty_lines_are_refused(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(b"\r\n" * 500_000)
        assert statuses(await peer.rest()) == b"400"


async def test_whatever_is_handed_over_has_a_deadline(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    async with lane_server(local) as server, await server.connect() as peer:
        form = b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n"
        peer.send(b"POST /api/v1/register HTTP/1.1\r\nHost: x\r\n" + AUTH + form + b"\r\n")
        await until(lambda: server.lane.statistics.handed_over == 1)
        server.lane.sweep(server.lane.now + 61)
        assert await peer.rest() == b""
