"""The publisher: what it sends, how long it tries, and what it says when it fails."""

import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from support.fake_time import FakeTime
from support.http_stub import Reply, StubServer, failure, success, with_headers
from tidewire import TidewireError
from tidewire.publisher import BadUrl, Publisher, PublishFailed

SECRET = "s3cret-of-the-demo"
NOTICE = {"event": {"type": "deploy"}, "users": [1]}


@pytest.fixture
def publisher(stub: StubServer, fake_time: FakeTime) -> Iterator[Publisher]:
    """A publisher that sleeps without waiting."""
    with Publisher(stub.url, secret=SECRET, _timing=fake_time.timing) as made:
        yield made


def sent(stub: StubServer) -> list[list[dict[str, Any]]]:
    """The notices of each request."""
    return [asked.notices for asked in stub.asked_for("POST", "/api/internal/notices")]


def test_an_event_goes_out_as_one_notice_with_the_secret_in_a_header(
    stub: StubServer, publisher: Publisher
) -> None:
    """R6.66: the secret is never in a query string."""
    stub.script(success(accepted=1))
    publisher.send_event(
        realm_id=1,
        event={"type": "deploy", "state": "fertig 👋"},
        users={7},
        id="n-1",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
    assert sent(stub) == [
        [
            {
                "event": {"type": "deploy", "state": "fertig 👋"},
                "users": [7],
                "id": "n-1",
                "realm_id": 1,
                "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            }
        ]
    ]
    assert stub.asked[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert stub.asked[0].query == {}


def test_what_is_not_given_is_left_out_except_the_id(stub: StubServer, publisher: Publisher) -> None:
    stub.script(success(accepted=1))
    publisher.send_event(event={"type": "deploy"}, users=[{"id": 3, "flags": []}])
    notice = sent(stub)[0][0]
    assert len(notice.pop("id")) == 32
    assert notice == {"event": {"type": "deploy"}, "users": [{"id": 3, "flags": []}]}


def test_a_batch_is_one_request_and_returns_what_was_accepted(stub: StubServer, publisher: Publisher) -> None:
    stub.script(success(accepted=3))
    assert publisher.send([NOTICE, NOTICE | {"id": "mine"}, NOTICE]) == 3
    (batch,) = sent(stub)
    assert batch[1]["id"] == "mine"
    assert len({notice["id"] for notice in batch}) == 3
    assert "id" not in NOTICE


def test_an_empty_batch_asks_nothing(stub: StubServer, publisher: Publisher) -> None:
    assert publisher.send([]) == 0
    assert stub.asked == []


@pytest.mark.parametrize(
    "reply",
    [
        failure(500, "INTERNAL"),
        failure(503, "SERVICE_UNAVAILABLE"),
        failure(429, "RATE_LIMIT_HIT"),
        Reply(b"<html>", 502),
        Reply(b"<html>", 200),
        Reply(drop=True),
        Reply(b'{"result": "success"', cut=True),
    ],
    ids=["500", "503", "429", "502-html", "200-html", "dropped", "broken-off"],
)
def test_a_retry_keeps_the_generated_ids(stub: StubServer, publisher: Publisher, reply: Reply) -> None:
    """The server may have taken the first try; only the same ids make the second one safe."""
    stub.script(reply, success(accepted=2))
    assert publisher.send([NOTICE, NOTICE]) == 2
    first, second = sent(stub)
    assert first == second


def test_waits_grow_and_honour_retry_after(
    stub: StubServer, publisher: Publisher, fake_time: FakeTime
) -> None:
    busy = failure(503, "SERVICE_UNAVAILABLE")
    stub.script(busy, busy, with_headers(busy, Retry_After="2"), busy, success(accepted=1))
    publisher.send([NOTICE])
    assert fake_time.sleeps == pytest.approx([0.05, 0.1, 2.2, 0.4])


def test_it_gives_up_at_its_deadline_and_says_that_a_retry_may_help(stub: StubServer) -> None:
    fake_time = FakeTime()
    stub.script(*[failure(503, "SERVICE_UNAVAILABLE", "Stopping")] * 100)
    with (
        Publisher(stub.url, secret=SECRET, retry_for=30, _timing=fake_time.timing) as publisher,
        pytest.raises(PublishFailed, match="Stopping") as caught,
    ):
        publisher.send([NOTICE])
    error = caught.value
    assert (error.code, error.http_status, error.retry_helps, error.index) == (
        "SERVICE_UNAVAILABLE",
        503,
        True,
        None,
    )
    assert 25 < sum(fake_time.sleeps) < 30
    assert error.notice_ids == (sent(stub)[0][0]["id"],)


def test_a_wait_that_would_pass_the_deadline_is_not_begun(
    stub: StubServer, publisher: Publisher, fake_time: FakeTime
) -> None:
    stub.script(with_headers(failure(503, "SERVICE_UNAVAILABLE"), Retry_After="60"))
    with pytest.raises(PublishFailed) as caught:
        publisher.send([NOTICE])
    assert caught.value.retry_after == 60
    assert fake_time.sleeps == []


def test_a_server_that_does_not_answer_fails_within_the_deadline(stub: StubServer) -> None:
    stub.script(Reply(hang=True))
    with (
        Publisher(stub.url, secret=SECRET, timeout=10, retry_for=0.05) as publisher,
        pytest.raises(PublishFailed) as caught,
    ):
        publisher.send([NOTICE])
    assert (caught.value.code, caught.value.retry_helps) == ("CONNECTION_FAILED", True)


def test_no_server_is_tried_until_the_deadline(
    stub: StubServer, publisher: Publisher, fake_time: FakeTime
) -> None:
    stub.stop()
    with pytest.raises(PublishFailed, match="Nothing listens"):
        publisher.send([NOTICE])
    assert len(fake_time.sleeps) > 5


@pytest.mark.parametrize("code", ["INVALID_NOTICE", "NOTICE_ID_REUSED"])
def test_a_refused_notice_is_named_and_not_tried_again(
    stub: StubServer, publisher: Publisher, code: str
) -> None:
    """One bad notice refuses its whole request."""
    stub.script(failure(409 if code == "NOTICE_ID_REUSED" else 400, code, "No `users`", index=1))
    with pytest.raises(PublishFailed, match="No `users`") as caught:
        publisher.send([NOTICE] * 3)
    error = caught.value
    assert isinstance(error, TidewireError)
    assert (error.code, error.index, error.retry_helps) == (code, 1, False)
    assert len(stub.asked) == 1


@pytest.mark.parametrize("index", [3, -1, True, "1", None])
def test_an_index_outside_the_batch_is_not_believed(
    stub: StubServer, publisher: Publisher, index: object
) -> None:
    stub.script(failure(400, "INVALID_NOTICE", index=index))
    with pytest.raises(PublishFailed) as caught:
        publisher.send([NOTICE] * 3)
    assert caught.value.index is None


@pytest.mark.parametrize("value", [float("nan"), object(), "\ud800", {1, 2}])
def test_what_has_no_json_form_is_refused_before_anything_is_sent(
    stub: StubServer, publisher: Publisher, value: object
) -> None:
    with pytest.raises(PublishFailed) as caught:
        publisher.send([NOTICE, {"event": {"type": "x", "value": value}, "users": []}])
    assert (caught.value.code, caught.value.index) == ("INVALID_NOTICE", 1)
    assert stub.asked == []


def test_the_secret_stands_in_no_exception(stub: StubServer) -> None:
    stub.script(failure(403, "BAD_REQUEST", "Access denied"))
    with Publisher(stub.url, secret=SECRET) as publisher:
        with pytest.raises(PublishFailed, match="Access denied") as caught:
            publisher.send([NOTICE])
        text = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__dict__)
        assert SECRET not in text + repr(publisher)


@pytest.mark.parametrize("secret", ["", "with space", "geheim\n", "geheim\r\nX: y", "ungültig-geheim"])
def test_a_secret_that_no_header_can_carry_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(PublishFailed) as caught:
        Publisher("http://127.0.0.1:9800", secret=secret)
    assert caught.value.code == "BAD_SECRET"
    assert "geheim" not in str(caught.value)


def test_an_unusable_url_is_refused() -> None:
    with pytest.raises(BadUrl):
        Publisher("ftp://127.0.0.1", secret=SECRET)


def test_a_closed_publisher_says_so(stub: StubServer, publisher: Publisher) -> None:
    publisher.close()
    publisher.close()
    with pytest.raises(PublishFailed) as caught:
        publisher.send([NOTICE])
    assert (caught.value.code, caught.value.retry_helps) == ("PUBLISHER_CLOSED", False)
    assert stub.asked == []


def test_threads_may_share_it(stub: StubServer, publisher: Publisher) -> None:
    stub.script(*[success(accepted=1)] * 40)

    def publish() -> None:
        for _ in range(10):
            publisher.send([NOTICE])

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stub.asked) == 40
    assert stub.connections == 1
