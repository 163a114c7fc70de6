"""Bounds of heads, the count of connections, and deadlines without timers."""

import pytest

from tidewire.core.errors import BadRequest, HeadersTooLarge, TargetTooLong
from tidewire.http.lane.bounds import Admission, Bounds
from tidewire.http.lane.head import Head, HeadReader
from tidewire.http.lane.waitlist import Waitlist

BOUNDS = Bounds(head_bytes=200, headers=3, target_bytes=20)


def head(raw: bytes) -> Head:
    read = HeadReader().read(raw)
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"GET / HTTP/1.0\r\n\r\n", None),
        (b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 19), None),
        (b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 20), TargetTooLong),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: %b\r\n\r\n" % (b"a" * 200), HeadersTooLarge),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", HeadersTooLarge),
        (b"GET / HTTP/1.1\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", BadRequest),
        (b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", BadRequest),
    ],
)
def test_a_head_has_bounds_and_one_host(raw: bytes, problem: type[Exception] | None) -> None:
    found = BOUNDS.problem(head(raw), len(raw))
    assert (None if found is None else type(found)) is problem


@pytest.mark.parametrize(
    ("received", "problem"),
    [
        (b"GET /" + b"a" * 15, None),
        (b"GET /" + b"a" * 60, TargetTooLong),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 100, None),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 200, HeadersTooLarge),
    ],
)
def test_a_head_that_has_not_ended_has_them_too(received: bytes, problem: type[Exception] | None) -> None:
    found = BOUNDS.unfinished_problem(received)
    assert (None if found is None else type(found)) is problem


def test_connections_are_bounded_in_all_and_by_address() -> None:
    admission = Admission(Bounds(connections=3, connections_per_address=2))
    assert [admission.enter(address) for address in ("a", "a", "a")] == [True, True, False]
    admission.leave("a")
    assert [admission.enter(address) for address in ("b", "b")] == [True, False]
    for address in ("a", "a", "b", "b"):
        admission.leave(address)
    assert (admission.total, admission.by_address) == (0, {})


def test_without_bounds_everybody_is_let_in() -> None:
    admission = Admission(Bounds())
    assert all(admission.enter("a") for _ in range(1000))


def test_who_waits_too_long_is_ended_in_order_and_once() -> None:
    ended: list[str] = []
    waiting = Waitlist[str](10.0, ended.append)
    waiting.add("a", 1.0)
    waiting.add("b", 2.0)
    waiting.add("c", 2.5)
    waiting.discard("b")
    waiting.discard("unknown")
    assert waiting.sweep(10.9) == 0
    assert waiting.sweep(12.5) == 2
    assert ended == ["a", "c"]
    assert waiting.sweep(99.0) == 0
    assert len(waiting) == 0


def test_waiting_on_does_not_begin_anew() -> None:
    ended: list[str] = []
    waiting = Waitlist[str](10.0, ended.append)
    waiting.add("a", 1.0)
    waiting.add("a", 9.0)
    waiting.sweep(11.0)
    assert ended == ["a"]


def test_ending_one_may_take_others_off_the_list() -> None:
    ended: list[str] = []

    def end(name: str) -> None:
        ended.append(name)
        waiting.discard("b")

    waiting = Waitlist[str](10.0, end)
    waiting.add("a", 1.0)
    waiting.add("b", 1.0)
    waiting.sweep(50.0)
    assert ended == ["a"]


def test_no_time_is_for_ever() -> None:
    waiting = Waitlist[str](0, pytest.fail)
    waiting.add("a", 1.0)
    assert waiting.sweep(1e9) == 0
    assert "a" in waiting
