"""The log while it runs: its level changes, and what clients can cause does not fill it."""

import io
import json
import logging
from typing import Any

import pytest

from tidewire.observability.log import ForwardingHandler, build_log
from tidewire.observability.log_level import LEVELS, LIMITED, MOST, NUMBERS, PERIOD, LogControl


class Time:
    """Seconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_that_is_changed_counts_at_once(level: str) -> None:
    stream = io.StringIO()
    control = LogControl("error")
    log = build_log(form="json", level=control, stream=stream)
    control.change(level)
    for name in LEVELS:
        getattr(log, name)(f"at {name}")
        assert log.is_enabled_for(NUMBERS[name]) is (NUMBERS[name] >= NUMBERS[level])
    assert [entry["event"] for entry in entries(stream)] == [
        f"at {name}" for name in LEVELS[LEVELS.index(level) :]
    ]
    assert control.level == level


def test_the_numbers_are_those_of_the_standard_library() -> None:
    assert {name: getattr(logging, name.upper()) for name in LEVELS} == NUMBERS


def test_an_unknown_level_changes_nothing() -> None:
    control = LogControl("info")
    with pytest.raises(KeyError):
        control.change("loud")
    assert control.level == "info"


def test_whoever_listens_is_called_after_the_change() -> None:
    control = LogControl("info")
    seen: list[str] = []
    control.listen(lambda: seen.append(control.level))
    control.change("debug")
    assert seen == ["debug"]


def test_of_what_clients_can_cause_only_so_much_is_written_and_the_rest_is_counted() -> None:
    stream, time = io.StringIO(), Time()
    control = LogControl("info", timer=time)
    log = build_log(form="json", level=control, stream=stream)
    for _ in range(MOST + 7):
        log.info("refused", who="unauth")
    log.info("client disconnected")
    assert len(entries(stream)) == MOST + 1
    assert control.suppressed == {"refused": 7}
    time.now += PERIOD - 0.1
    log.info("refused")
    assert control.suppressed == {"refused": 8}
    time.now += 0.1
    log.info("refused")
    log.info("refused")
    assert [entry.get("suppressed") for entry in entries(stream)[-2:]] == [8, None]


def test_what_is_left_out_by_its_level_uses_up_nothing() -> None:
    stream = io.StringIO()
    control = LogControl("warning", timer=Time())
    log = build_log(form="json", level=control, stream=stream)
    for _ in range(2 * MOST):
        log.info("refused")
    log.warning("refused")
    assert len(entries(stream)) == 1
    assert control.suppressed == {}


def test_the_lines_of_requests_and_the_servers_own_entries_are_never_left_out() -> None:
    stream = io.StringIO()
    log = build_log(form="json", level=LogControl("info", timer=Time()), stream=stream)
    for _ in range(2 * MOST):
        log.info("snapshot kept")
    assert len(entries(stream)) == 2 * MOST
    assert not LIMITED & {"request", "listening", "recovered", "journal failed"}


def test_all_that_a_library_says_counts_as_one() -> None:
    """Its words may be anything, and each would be an account of its own."""
    stream = io.StringIO()
    control = LogControl("info", timer=Time())
    handler = ForwardingHandler(build_log(form="json", level=control, stream=stream))
    for number in range(MOST + 5):
        handler.handle(logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, "odd %s", (number,), None))
    assert len(entries(stream)) == MOST
    assert control.suppressed == {"uvicorn.error": 5}


def test_two_logs_in_one_process_have_levels_of_their_own() -> None:
    one, two = LogControl("info"), LogControl("info")
    first, second = (build_log(form="json", level=control, stream=io.StringIO()) for control in (one, two))
    one.change("error")
    assert (first.is_enabled_for(logging.INFO), second.is_enabled_for(logging.INFO)) == (False, True)
