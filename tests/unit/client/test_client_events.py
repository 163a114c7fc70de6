"""`Client.events`: order, acknowledgement, repeats, failures, and queues that end."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from support.fake_time import FakeTime
from support.http_stub import Reply, StubServer, failure, success, with_headers
from tidewire._http import Timing
from tidewire.client import Client, ClientError, ConnectionFailed, Gap, RequestRefused

REGISTERED = success(queue_id="q1", last_event_id=-1)


def events_answer(*ids: int) -> Reply:
    return success(events=[{"id": number, "type": "t"} for number in ids], queue_id="q1")


def gone(reason: str | None = None) -> Reply:
    data = {} if reason is None else {"reason": reason}
    return failure(400, "BAD_EVENT_QUEUE_ID", "Bad event queue ID: q1", queue_id="q1", **data)


@pytest.fixture
def client(stub: StubServer, fake_time: FakeTime) -> Iterator[Client]:
    """A client that sleeps without waiting."""
    with Client(stub.url, email="ada@demo.example", api_key="a" * 32, _timing=fake_time.timing) as made:
        yield made


def ids(stream: Iterator[dict[str, Any]], count: int) -> list[int]:
    """Takes that many events."""
    return [next(stream)["id"] for _ in range(count)]


def test_events_come_in_the_order_of_their_ids(stub: StubServer, client: Client) -> None:
    stub.script(REGISTERED, events_answer(0, 1), events_answer(3, 2))
    assert ids(client.events(), 4) == [0, 1, 2, 3]


def test_the_queue_is_registered_before_the_first_event_is_asked_for(
    stub: StubServer, client: Client
) -> None:
    """What is published after `events` returned is seen."""
    stub.script(REGISTERED)
    client.events(["message"], [["is", "dm"]], client="watcher")
    assert stub.asked[0].form == {
        "event_types": '["message"]',
        "narrow": '[["is", "dm"]]',
        "client": "watcher",
    }


def test_an_event_is_acknowledged_only_when_the_one_after_it_is_asked_for(
    stub: StubServer, client: Client
) -> None:
    """Acknowledging ahead would lose what a crash interrupts."""
    stub.script(REGISTERED, events_answer(4, 5), events_answer(9))
    stream = client.events()
    assert ids(stream, 2) == [4, 5]
    assert stub.acknowledged == [-1]
    assert ids(stream, 1) == [9]
    assert stub.acknowledged == [-1, 5]


def test_heartbeats_are_swallowed_and_acknowledged(stub: StubServer, client: Client) -> None:
    """R6.83: heartbeats are not for the caller."""
    heartbeat = success(events=[{"id": 0, "type": "heartbeat"}])
    stub.script(REGISTERED, heartbeat, events_answer(1))
    assert ids(client.events(), 1) == [1]
    assert stub.acknowledged == [-1, 0]


def test_what_comes_again_is_not_yielded_again(stub: StubServer, client: Client) -> None:
    """An answer may hold what an earlier one held, when the acknowledgement was lost."""
    stub.script(REGISTERED, events_answer(0, 1), events_answer(0, 1), events_answer(1, 2, 2, 3))
    assert ids(client.events(), 4) == [0, 1, 2, 3]
    assert stub.acknowledged == [-1, 1, 1]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b'{"result": "success", "events": [{"id": 0', cut=True),
        failure(500, "INTERNAL"),
        Reply(b"<html>", 502),
        failure(503, "SERVICE_UNAVAILABLE"),
        Reply(b"<html>", 200),
        failure(429, "RATE_LIMIT_HIT"),
    ],
    ids=["broken-off", "500", "502-html", "503", "200-html", "429"],
)
def test_a_transient_failure_is_tried_again_with_the_same_position(
    stub: StubServer, client: Client, fake_time: FakeTime, reply: Reply
) -> None:
    """R6.85: after a first success the same poll is repeated."""
    stub.script(REGISTERED, events_answer(7), reply, events_answer(8))
    assert ids(client.events(), 2) == [7, 8]
    assert stub.acknowledged == [-1, 7, 7]
    assert fake_time.sleeps == [0.5]


def test_a_dropped_connection_is_tried_again(stub: StubServer, client: Client, fake_time: FakeTime) -> None:
    """The kept connection is replaced at once; after that there is a wait."""
    stub.script(REGISTERED, Reply(drop=True), Reply(drop=True), events_answer(0))
    assert ids(client.events(), 1) == [0]
    assert fake_time.sleeps == [0.5]


def test_a_poll_without_an_answer_in_time_is_tried_again(stub: StubServer) -> None:
    """R6.83: a read timeout while long polling is no error."""
    fake_time = FakeTime()
    stub.script(REGISTERED, Reply(hang=True), events_answer(0))
    timing = fake_time.timing
    with Client(stub.url, email="e", api_key="a", timeout=0.75, _timing=timing) as client:
        assert ids(client.events(), 1) == [0]


def test_waits_double_up_to_45_seconds_and_begin_anew_after_an_event(
    stub: StubServer, client: Client, fake_time: FakeTime
) -> None:
    stub.script(REGISTERED, *[failure(500, "X")] * 8, events_answer(0), failure(500, "X"), events_answer(1))
    assert ids(client.events(), 2) == [0, 1]
    ceilings = [seconds * 2 for seconds in fake_time.sleeps]  # the dice always show one half
    assert ceilings == [1, 2, 4, 8, 16, 32, 45, 45, 1]


def test_retry_after_is_honoured_in_seconds(stub: StubServer, client: Client, fake_time: FakeTime) -> None:
    """R6.13: 429 carries it; the jitter comes on top, so that clients don't return together."""
    stub.script(REGISTERED, with_headers(failure(429, "RATE_LIMIT_HIT"), Retry_After="7.5"), events_answer(0))
    assert ids(client.events(), 1) == [0]
    assert fake_time.sleeps == [8.0]


def test_retry_after_is_honoured_as_a_date_by_the_servers_own_clock(
    stub: StubServer, client: Client, fake_time: FakeTime
) -> None:
    date = "Fri, 31 Dec 2100 23:59:59 GMT"
    stub.script(REGISTERED, with_headers(failure(503, "X"), Retry_After=date), events_answer(0))
    assert ids(client.events(), 1) == [0]
    assert fake_time.sleeps == [3600.5]  # no header can silence a client for longer


@pytest.mark.parametrize("value", ["soon", "-1", "", "1.2.3", "nan"])
def test_an_unreadable_retry_after_changes_nothing(
    stub: StubServer, client: Client, fake_time: FakeTime, value: str
) -> None:
    stub.script(REGISTERED, with_headers(failure(503, "X"), Retry_After=value), events_answer(0))
    assert ids(client.events(), 1) == [0]
    assert fake_time.sleeps == [0.5]


def test_retries_are_told_with_their_wait(stub: StubServer, client: Client) -> None:
    told: list[tuple[str, float]] = []

    def on_retry(error: ClientError, delay: float) -> None:
        told.append((error.code, delay))

    stub.script(REGISTERED, failure(503, "SERVICE_UNAVAILABLE"), events_answer(0))
    assert ids(client.events(on_retry=on_retry), 1) == [0]
    assert told == [("SERVICE_UNAVAILABLE", 0.5)]


def test_a_refusal_that_no_retry_helps_is_raised(stub: StubServer, client: Client) -> None:
    """R6.84: the published client repeats it for ever, once a second; this one says so."""
    stub.script(REGISTERED, failure(400, "BAD_REQUEST", "Event 3 was not in this queue"))
    with pytest.raises(RequestRefused, match="Event 3 was not in this queue"):
        next(client.events())
    assert stub.deleted == ["q1"]


def test_a_row_of_answers_without_news_is_no_busy_loop(
    stub: StubServer, client: Client, fake_time: FakeTime
) -> None:
    """R2.18: two readers of one queue push each other out; the first such answer is normal."""
    stub.script(REGISTERED, *[events_answer()] * 4, events_answer(0))
    assert ids(client.events(), 1) == [0]
    assert fake_time.sleeps == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("reason", ["expired", "limit", "revoked", "upgraded", "deleted", None])
def test_a_queue_that_is_gone_is_replaced_and_the_gap_told(
    stub: StubServer, client: Client, fake_time: FakeTime, reason: str | None
) -> None:
    """R6.44, R6.84: on BAD_EVENT_QUEUE_ID register again."""
    gaps: list[Gap] = []
    new_queue = success(queue_id="q2", last_event_id=3)
    stub.script(REGISTERED, events_answer(6), gone(reason), new_queue, events_answer(4))
    assert ids(client.events(["message"], on_gap=gaps.append), 2) == [6, 4]
    assert gaps == [Gap(old_queue_id="q1", reason=reason or "unknown", last_event_id=6, new_queue_id="q2")]
    assert stub.acknowledged == [-1, 6, 3]
    assert [poll.query["queue_id"] for poll in stub.polls] == ["q1", "q1", "q2"]
    first, second = stub.asked_for("POST", "/api/v1/register")
    assert first.form == second.form
    assert fake_time.sleeps == []


def test_registering_again_is_tried_until_it_succeeds(stub: StubServer, client: Client) -> None:
    """After a first success even a connection that can't be made is only a matter of time."""
    gaps: list[Gap] = []
    failures = [failure(503, "X"), Reply(drop=True), Reply(b"<html>", 200)]
    stub.script(REGISTERED, gone("expired"), *failures, success(queue_id="q2", last_event_id=-1))
    stub.script(events_answer(0))
    assert ids(client.events(on_gap=gaps.append), 1) == [0]
    assert [gap.new_queue_id for gap in gaps] == ["q2"]


def test_registering_again_ends_when_it_is_refused(stub: StubServer, client: Client) -> None:
    stub.script(REGISTERED, gone("revoked"), failure(401, "USER_DEACTIVATED", "Account is deactivated"))
    with pytest.raises(RequestRefused, match="deactivated"):
        next(client.events())


def test_queues_that_end_as_soon_as_they_are_made_are_no_busy_loop(
    stub: StubServer, client: Client, fake_time: FakeTime
) -> None:
    stub.script(REGISTERED, gone("limit"), REGISTERED, gone("limit"), REGISTERED, gone("limit"), REGISTERED)
    stub.script(events_answer(0))
    assert ids(client.events(), 1) == [0]
    assert fake_time.sleeps == [0.5, 1.0]


def test_the_first_registration_needs_a_server(stub: StubServer, client: Client) -> None:
    """R6.85: before any success a connection error is raised; the address may be wrong."""
    stub.stop()
    with pytest.raises(ConnectionFailed):
        client.events()


def test_the_first_registration_waits_for_a_server_that_is_busy(
    stub: StubServer, client: Client, fake_time: FakeTime
) -> None:
    stub.script(
        with_headers(failure(503, "SERVICE_UNAVAILABLE"), Retry_After="1"), REGISTERED, events_answer(0)
    )
    assert ids(client.events(), 1) == [0]
    assert fake_time.sleeps == [1.5]


def test_leaving_the_loop_deletes_the_queue(stub: StubServer, client: Client) -> None:
    stub.script(REGISTERED, events_answer(0, 1))
    for event in client.events():
        assert event["id"] == 0
        break
    gc.collect()
    assert stub.deleted == ["q1"]
    client.close()
    assert stub.deleted == ["q1"]


def test_an_error_in_the_loop_deletes_the_queue_and_comes_out(stub: StubServer, client: Client) -> None:
    stub.script(REGISTERED, events_answer(0))

    def read() -> None:
        with client:
            for event in client.events():
                1 / event["id"]

    with pytest.raises(ZeroDivisionError):
        read()
    assert stub.deleted == ["q1"]


def test_closing_the_client_deletes_every_queue_that_events_made(stub: StubServer, client: Client) -> None:
    stub.script(
        REGISTERED, success(queue_id="q2", last_event_id=-1), success(queue_id="mine", last_event_id=-1)
    )
    first, second = client.events(), client.events()
    client.register()
    client.close()
    assert stub.deleted == ["q1", "q2"]
    assert list(first) == list(second) == []


@pytest.mark.parametrize(
    "farewell", [gone("expired"), failure(500, "X"), Reply(drop=True), Reply(b"?", cut=True)]
)
def test_a_farewell_that_fails_is_no_error(stub: StubServer, client: Client, farewell: Reply) -> None:
    stub.farewell = farewell
    stub.script(REGISTERED)
    client.events()
    client.close()
    assert stub.deleted[0] == "q1"


def test_an_interrupted_poll_leaves_no_half_read_answer_behind(stub: StubServer) -> None:
    """The farewell goes over a connection of its own, not behind the answer that was being awaited."""
    is_waiting = False

    def clock() -> float:
        nonlocal is_waiting
        if is_waiting and len(stub.polls) > 1:
            is_waiting = False
            raise KeyboardInterrupt
        return 0.0

    stub.script(REGISTERED, events_answer(0))
    with Client(stub.url, email="e", api_key="a", _timing=Timing(clock=clock)) as client:
        stream = client.events()
        stub.script(Reply(b'{"result": "success"', cut=True))
        next(stream)
        is_waiting = True
        with pytest.raises(KeyboardInterrupt):
            next(stream)
    assert stub.deleted == ["q1"]
    assert stub.connections == 2
