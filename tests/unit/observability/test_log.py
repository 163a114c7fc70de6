"""The log itself: what its two forms make of odd text, and what the server reports through it (section 11)."""

import errno
import io
import json
import logging
from pathlib import Path
from typing import Any, Literal

import pytest

from tidewire.core.delivery.dispatch import Failure
from tidewire.core.errors import BadEventQueueId
from tidewire.core.ids import QueueId
from tidewire.observability.log import ForwardingHandler, LogReporter, build_log
from tidewire.ports.engine import Collection

ODD = "a\n2026 [error] \x1b[2J\x7f\x9b\u202e\U000e0001ü✓"

REQUEST: dict[str, Any] = {
    "address": "192.0.2.7",
    "method": "GET",
    "status": 200,
    "duration_ms": 1300.0,
    "path": f"/{ODD}",
    "who": "unauth",
    "client": ODD,
}


def written(
    form: Literal["console", "json"], event: str, *, level: str = "debug", **fields: Any
) -> list[str]:
    stream = io.StringIO()
    build_log(form=form, level=level, stream=stream).info(event, **fields)
    return stream.getvalue().split("\n")[:-1]


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize(("event", "fields"), [("request", REQUEST), ("other", {"a": ODD})])
def test_an_entry_is_one_line_of_plain_text(
    form: Literal["console", "json"], event: str, fields: dict[str, Any]
) -> None:
    (line,) = written(form, event, **fields)
    assert line.isprintable()
    assert "ü✓" in line
    if form == "json":
        entry = json.loads(line)
        assert (entry["event"], {key: entry[key] for key in fields}) == (event, fields)


def test_the_console_shows_a_request_as_one_sentence() -> None:
    """R11.1, R11.16."""
    for event, begin in (("request", "192.0.2.7       GET "), ("slow request", "slow request: 192.0.2.7 ")):
        (line,) = written("console", event, **REQUEST)
        assert line.partition("] ")[2].startswith(begin)
        assert "duration_ms" not in line


def test_a_traceback_cannot_look_like_entries_of_its_own() -> None:
    stream = io.StringIO()
    log = build_log(form="console", level="debug", stream=stream)
    log.error("failed", exc_info=ValueError(ODD))
    first, *others = stream.getvalue().splitlines()
    assert "failed" in first
    assert others
    assert all(line.startswith("  ") and line.isprintable() for line in others)


def test_a_library_is_forwarded_with_its_name() -> None:
    stream = io.StringIO()
    handler = ForwardingHandler(build_log(form="json", level="info", stream=stream))
    handler.handle(logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, "odd %s", ("thing",), None))
    entry = json.loads(stream.getvalue())
    assert (entry["event"], entry["logger"], entry["level"]) == ("odd thing", "uvicorn.error", "error")


def reported() -> tuple[LogReporter, io.StringIO]:
    stream = io.StringIO()
    return LogReporter(build_log(form="json", level="info", stream=stream)), stream


def test_each_run_of_the_collector_is_told_of() -> None:
    """R11.10."""
    reporter, stream = reported()
    reporter.collected(Collection(3, 2, 0.00123, 7, 4))
    entry = json.loads(stream.getvalue())
    assert (entry["removed"], entry["owners"], entry["seconds"]) == (3, 2, 0.001)
    assert (entry["queues"], entry["waiting"]) == (7, 4)


@pytest.mark.parametrize(
    ("error", "level", "event"),
    [
        (BadEventQueueId("gone"), "info", "unknown queue not ended"),
        (RuntimeError("planted"), "error", "delivery failed"),
    ],
)
def test_a_failed_delivery_is_an_error_and_an_unknown_queue_to_be_ended_is_none(
    error: Exception, level: str, event: str
) -> None:
    """R11.11, R11.18: what failed may quote contents, so only its kind is told."""
    reporter, stream = reported()
    reporter.delivery_failed(Failure("cleanup_queue", QueueId("gone"), error))
    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["event"]) == (level, event)
    assert (entry["type"], entry["queue_id"]) == ("cleanup_queue", "gone")
    assert "planted" not in stream.getvalue()


class FullDisk(io.StringIO):
    """A file on a disk without room."""

    full = True

    def write(self, text: str) -> int:
        """Fails while the disk is full."""
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_an_entry_that_cannot_be_written_is_dropped_and_holds_nobody_up() -> None:
    stream = FullDisk()
    log = build_log(form="json", level="info", stream=stream)
    log.error("lost")
    stream.full = False
    log.info("written")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["written"]


@pytest.mark.parametrize("form", ["console", "json"])
def test_whatever_an_entry_holds_it_is_written_and_raises_nothing(
    form: Literal["console", "json"], tmp_path: Path
) -> None:
    class Odd:
        """Can't be shown."""

        def __repr__(self) -> str:
            raise ZeroDivisionError

        __str__ = __repr__

    file = tmp_path / "log"
    with file.open("w", encoding="utf-8") as stream:
        log = build_log(form=form, level="info", stream=stream)
        for value in ("\ud800", {"\ud800": 10**5000}, Odd(), float("nan"), b"\xff", UnicodeError("\udfff")):
            log.error("odd", value=value)
        log.error("raised", exc_info=ValueError("\ud800"))
        log.info("after")
    written = file.read_text()
    assert len([line for line in written.splitlines() if " odd " in line or '"odd"' in line]) == 6
    assert "raised" in written
    assert "after" in written
