"""From a message to a notice: whose id it has."""

import json

import pytest

from tidewire._amqp.broker import Delivery
from tidewire.bus.anonymous import AnonymousNotices
from tidewire.bus.decoding import Incoming, digest_of_nameless, for_another_try, read, usable_id
from tidewire.core.errors import InvalidNotice

BODY: dict[str, object] = {"event": {"type": "step"}, "users": [1]}


def incoming(body: dict[str, object] | bytes, message_id: str | None = None) -> Incoming:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = read(Delivery(1, False, message_id, raw), AnonymousNotices(run="a", window=1))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("body", "message_id", "expected"),
    [
        (BODY | {"id": "own"}, "message", "own"),
        (BODY | {"id": "own"}, None, "own"),
        (BODY, "message", "message"),
        (BODY | {"id": None}, "message", "message"),
        (BODY, 'quo"te', 'quo"te'),
        (BODY, "x" * 128, "x" * 128),
        (BODY, None, "amqp-a-1-0"),
        (BODY | {"id": None}, None, "amqp-a-1-0"),
        (b' \n{ "users": [1], "event": {"type": "step"}} ', "message", "message"),
    ],
)
def test_a_notice_is_known_by_its_id_else_by_its_message_s(
    body: dict[str, object] | bytes, message_id: str | None, expected: str
) -> None:
    found = incoming(body, message_id)
    assert found.notice.id == expected
    assert found.is_nameless == (expected == "amqp-a-1-0")
    # The journal keeps the raw bytes, and recovery must find the same name in them.
    assert incoming(found.notice.raw).notice.id == expected


def test_a_message_s_id_that_is_too_long_becomes_another_that_stays_the_same() -> None:
    assert incoming(BODY, "x" * 200).notice.id == usable_id("x" * 200) != usable_id("x" * 201)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"7", b"\xff", b"{", b'{"event": {}, "users": []}', b"{ }"]
)
def test_what_is_no_notice_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidNotice):
        incoming(body)
    assert digest_of_nameless(Delivery(1, False, None, body)) is None


def test_tries_are_counted_in_the_message() -> None:
    assert incoming(BODY).tries == 0
    again = incoming(for_another_try(incoming(BODY, "m").notice, 3))
    assert (again.tries, again.notice.id) == (3, "m")
    assert again.notice.digest == incoming(BODY, "m").notice.digest


def test_a_nameless_one_s_digest_is_that_of_its_content() -> None:
    raw = json.dumps(BODY).encode()
    assert digest_of_nameless(Delivery(1, False, None, raw)) == incoming(BODY).notice.digest
    assert digest_of_nameless(Delivery(1, False, "m", raw)) is None
    assert digest_of_nameless(Delivery(1, False, None, json.dumps(BODY | {"id": "x"}).encode())) is None


def test_the_trace_of_a_notice_comes_through_and_stays_for_another_try() -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    found = incoming(BODY | {"traceparent": traceparent}, "message")
    assert found.notice.traceparent == traceparent
    again = incoming(for_another_try(found.notice, 1), "message")
    assert (again.notice.traceparent, again.tries) == (traceparent, 1)
    assert incoming(again.notice.raw).notice.traceparent == traceparent
