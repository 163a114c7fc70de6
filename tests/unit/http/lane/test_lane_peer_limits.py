"""The count of connections, and deadlines without timers."""

import pytest

from tidewire.http.lane.peer_limits import Admission, Bounds, Waitlist


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
