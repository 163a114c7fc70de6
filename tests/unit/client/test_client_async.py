"""`AsyncClient`: what differs from `Client`, which shares everything but the waiting."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.fake_time import FakeTime
from support.http_stub import Reply, StubServer, failure, success, with_headers
from tidewire.client import (
    AsyncClient,
    AsyncEvents,
    BadAnswer,
    BadUrl,
    ClientClosed,
    ClientError,
    ConnectionFailed,
    Gap,
    QueueGone,
    RequestRefused,
)

REGISTERED = success(queue_id="q1", last_event_id=-1)


def events_answer(*ids: int) -> Reply:
    return success(events=[{"id": number, "type": "t"} for number in ids], queue_id="q1")


def gone(reason: str) -> Reply:
    return failure(400, "BAD_EVENT_QUEUE_ID", "Bad event queue ID: q1", queue_id="q1", reason=reason)


@pytest.fixture
async def client(stub: StubServer, fake_time: FakeTime) -> AsyncIterator[AsyncClient]:
    """A client that sleeps without waiting."""
    async with AsyncClient(
        stub.url, email="ada@demo.example", api_key="a" * 32, _timing=fake_time.async_timing
    ) as made:
        yield made


async def ids(stream: AsyncEvents, count: int) -> list[int]:
    """Takes that many events."""
    return [(await anext(stream))["id"] for _ in range(count)]


async def test_requests_are_those_of_the_other_client(stub: StubServer, client: AsyncClient) -> None:
    stub.script(success(queue_id="q1", last_event_id=-1, idle_queue_timeout_secs=600), events_answer(3))
    registration = await client.register(["message"], [["is", "dm"]], client="watcher", narrow_to=None)
    assert (registration.queue_id, registration.last_event_id, registration.idle_timeout) == ("q1", -1, 600)
    assert await client.get_events("q1", -1, dont_block=True) == [{"id": 3, "type": "t"}]
    await client.deregister("q1")
    assert stub.asked[0].form == {
        "event_types": '["message"]',
        "narrow": '[["is", "dm"]]',
        "client": "watcher",
    }
    assert stub.asked[0].headers["Authorization"].startswith("Basic ")
    assert stub.polls[0].query == {"queue_id": "q1", "last_event_id": "-1", "dont_block": "true"}
    assert stub.deleted == ["q1"]
    assert stub.connections == 1


async def test_an_event_is_acknowledged_only_when_the_one_after_it_is_asked_for(
    stub: StubServer, client: AsyncClient
) -> None:
    heartbeat = success(events=[{"id": 6, "type": "heartbeat"}])
    stub.script(REGISTERED, events_answer(5, 4), heartbeat, events_answer(6, 9))
    stream = client.events()
    assert await ids(stream, 2) == [4, 5]
    assert stub.acknowledged == [-1]
    assert await ids(stream, 1) == [9]
    assert stub.acknowledged == [-1, 5, 6]


async def test_the_queue_is_registered_when_the_stream_is_awaited(
    stub: StubServer, client: AsyncClient
) -> None:
    """What is published after that is seen."""
    stub.script(REGISTERED, events_answer(0))
    unasked = client.events()
    assert stub.asked == []
    stream = await unasked
    assert len(stub.asked) == 1
    assert await ids(stream, 1) == [0]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b'{"result": "success", "events": [{"id": 0', cut=True),
        failure(500, "INTERNAL"),
        Reply(b"<html>", 502),
        Reply(b"<html>", 200),
        failure(429, "RATE_LIMIT_HIT"),
    ],
    ids=["broken-off", "500", "502-html", "200-html", "429"],
)
async def test_a_transient_failure_is_tried_again_with_the_same_position(
    stub: StubServer, client: AsyncClient, fake_time: FakeTime, reply: Reply
) -> None:
    stub.script(REGISTERED, events_answer(7), reply, events_answer(8))
    assert await ids(client.events(), 2) == [7, 8]
    assert stub.acknowledged == [-1, 7, 7]
    assert fake_time.sleeps == [0.5]


async def test_a_dropped_connection_is_replaced_once_and_then_waited_for(
    stub: StubServer, client: AsyncClient, fake_time: FakeTime
) -> None:
    stub.script(REGISTERED, Reply(drop=True), Reply(drop=True), events_answer(0))
    assert await ids(client.events(), 1) == [0]
    assert fake_time.sleeps == [0.5]


async def test_the_watchdog_gives_a_silent_poll_up(stub: StubServer, fake_time: FakeTime) -> None:
    failures: list[ClientError] = []

    async def note(error: ClientError, _delay: float) -> None:
        failures.append(error)

    stub.script(REGISTERED, Reply(hang=True), events_answer(0))
    timing = fake_time.async_timing
    async with AsyncClient(stub.url, email="e", api_key="a", timeout=0.75, _timing=timing) as client:
        assert await ids(client.events(on_retry=note), 1) == [0]
    assert [type(error) for error in failures] == [ConnectionFailed]
    assert "within 0.75 s" in str(failures[0])


async def test_a_queue_that_is_gone_is_replaced_and_the_gap_told_to_a_coroutine_function(
    stub: StubServer, client: AsyncClient
) -> None:
    gaps: list[Gap] = []

    async def on_gap(gap: Gap) -> None:
        await asyncio.sleep(0)
        gaps.append(gap)

    stub.script(
        REGISTERED,
        events_answer(6),
        gone("expired"),
        success(queue_id="q2", last_event_id=3),
        events_answer(4),
    )
    assert await ids(client.events(on_gap=on_gap), 2) == [6, 4]
    assert gaps == [Gap("q1", "expired", 6, "q2")]
    assert stub.acknowledged == [-1, 6, 3]


async def test_a_cancelled_wait_goes_on_where_it_was(stub: StubServer, client: AsyncClient) -> None:
    """`asyncio.timeout` around the next event is what applications write; it must cost no event."""
    stub.script(REGISTERED, events_answer(0), events_answer(1))
    stream = await client.events()
    assert await ids(stream, 1) == [0]
    stub.hold_from(3)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream), 0.05)
    stub.release()
    stub.script(events_answer(1, 2))
    assert await ids(stream, 2) == [1, 2]
    assert stub.acknowledged == [-1, 0, 0]


async def test_tasks_share_a_client(stub: StubServer, client: AsyncClient) -> None:
    """A poll that waits holds nobody up."""
    stub.script(REGISTERED, Reply(hang=True), success(queue_id="q2", last_event_id=-1))
    waiting = asyncio.create_task(ids(client.events(), 1))
    assert await asyncio.to_thread(stub.wait_for, 2)
    assert (await client.register()).queue_id == "q2"
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert stub.connections == 2


async def test_the_block_of_a_stream_deletes_its_queue(stub: StubServer, client: AsyncClient) -> None:
    stub.script(REGISTERED, events_answer(0, 1))
    async with client.events() as stream:
        async for event in stream:
            assert event["id"] == 0
            break
    assert stub.deleted == ["q1"]
    assert [event async for event in stream] == []


async def test_closing_the_client_deletes_every_queue_that_events_made(
    stub: StubServer, client: AsyncClient
) -> None:
    stub.script(
        REGISTERED, success(queue_id="q2", last_event_id=-1), success(queue_id="mine", last_event_id=-1)
    )
    await client.events()
    await client.events()
    await client.register()
    stub.farewell = Reply(drop=True)
    await client.close()
    assert sorted(set(stub.deleted)) == ["q1", "q2"]
    with pytest.raises(ClientClosed):
        await client.register()


async def test_what_no_retry_helps_is_raised(stub: StubServer, client: AsyncClient) -> None:
    stub.script(failure(401, "UNAUTHORIZED", "Invalid API key"))
    with pytest.raises(RequestRefused, match="Invalid API key"):
        await client.events()
    stub.script(gone("revoked"))
    with pytest.raises(QueueGone) as raised:
        await client.get_events("q1", -1)
    assert raised.value.reason == "revoked"
    stub.script(success(queue_id=1))
    with pytest.raises(BadAnswer):
        await client.register()


async def test_the_first_registration_needs_a_server(stub: StubServer, client: AsyncClient) -> None:
    stub.stop()
    with pytest.raises(ConnectionFailed, match="is the server running"):
        await client.events()


async def test_the_first_registration_waits_for_a_server_that_is_busy(
    stub: StubServer, client: AsyncClient, fake_time: FakeTime
) -> None:
    busy = with_headers(failure(503, "SERVICE_UNAVAILABLE"), Retry_After="1")
    stub.script(busy, REGISTERED, events_answer(0))
    assert await ids(client.events(), 1) == [0]
    assert fake_time.sleeps == [1.5]


async def test_an_address_that_can_not_be_used_is_refused_at_once() -> None:
    with pytest.raises(BadUrl):
        AsyncClient("ftp://example.org", email="e", api_key="k")


async def raw_server(answer: bytes) -> tuple[asyncio.Server, int]:
    """Gives one answer to every request, byte for byte, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def asked(answer: bytes) -> Any:
    """What a client makes of an answer."""
    server, port = await raw_server(answer)
    async with server, AsyncClient(f"http://127.0.0.1:{port}", email="e", api_key="k") as client:
        return await client.get_events("q", -1)


@pytest.mark.parametrize(
    "answer",
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b'12\r\n{"result":"success\r\n10;x=1\r\n", "events": []}\r\n0\r\nTrailer: 1\r\n\r\n'
        ),
        b'HTTP/1.0 200 OK\r\n\r\n{"result": "success", "events": []}',
        (
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 35\r\n\r\n"
            b'{"result": "success", "events": []}'
        ),
    ],
    ids=["chunked", "to-the-end", "early-hints"],
)
async def test_every_way_to_end_a_body_is_understood(answer: bytes) -> None:
    assert await asked(answer) == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "ssh", "no-status", "bad-length", "short", "bad-chunk", "negative-chunk", "endless-head"],
)
async def test_what_is_no_whole_answer_is_a_failed_connection(answer: bytes) -> None:
    with pytest.raises(ConnectionFailed):
        await asked(answer)
