"""Request entries on the short way look as on the long one."""

import errno
import io
import itertools
import json
import re
from collections.abc import Callable
from typing import Any, Literal

import pytest
from starlette.datastructures import Headers

from support.site import LocalSite
from tidewire.core.ids import QueueId
from tidewire.core.state.state import Batch
from tidewire.http.app import request_log
from tidewire.http.request_info import RequestInfo
from tidewire.http.responses import Response
from tidewire.observability.log import build_log
from tidewire.observability.request_lines import RequestLines

Form = Literal["console", "json"]

ENTRIES = [(0, b'{"type":"a","x":[1]', b""), (1, b'{"type":"b"', b"")]


class Soon:
    """A loop that turns when it is told to."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def __call__(self, function: Callable[[], None]) -> None:
        """Books a function."""
        self.calls.append(function)

    def turn(self) -> None:
        """Runs what was booked."""
        calls, self.calls = self.calls, []
        for call in calls:
            call()


def note_of(
    local: LocalSite, *, agent: str, waited: float | None, displaced: bool, batch: Batch
) -> RequestInfo:
    headers = Headers({"user-agent": agent})
    info = RequestInfo(method="GET", path="/api/v1/events", peer="127.0.0.1", headers=headers, began=1.0)
    info.user = local.context.authenticator.user(1)  # type: ignore[arg-type]  # ids of tests are plain
    info.waited, info.displaced, info.batch = waited, displaced, batch
    return info


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize("agent", ["ZulipPython/0.9.1 (x)", "curl/8", "odd\x1b[31m\x85/1"])
@pytest.mark.parametrize(
    ("waited", "count", "displaced"),
    [*itertools.product([None, 0.2503, 47.13], [0, 1, 2], [False, True])],
)
def test_a_poll_looks_the_same_either_way(
    local: LocalSite, form: Form, agent: str, *, waited: float | None, count: int, displaced: bool
) -> None:
    """R11.1-R11.5."""
    batch = Batch(QueueId("queue-7"), ENTRIES[:count])
    info = note_of(local, agent=agent, waited=waited, displaced=displaced, batch=batch)
    busy = 0.0123
    ended = info.began + busy + (waited or 0.0)
    slow_stream, fast_stream, soon = io.StringIO(), io.StringIO(), Soon()
    slow_site = local.changed(log=build_log(form=form, level="info", stream=slow_stream)).context
    request_log(slow_site).finished(info, Response(200, b"{}"), ended=ended)
    lines = RequestLines(form=form, stream=fast_stream, call_soon=soon)
    log = request_log(local.changed(lines=lines).context)
    line = log.known_line(info)
    log.polled(line, batch, busy=busy, waited=waited, displaced=displaced)
    log.finished(info, Response(200, b"{}"), ended=ended)
    assert fast_stream.getvalue() == ""
    soon.turn()
    written = fast_stream.getvalue().splitlines()
    assert [comparable(form, one) for one in written] == 2 * [comparable(form, slow_stream.getvalue())]


def comparable(form: Form, line: str) -> Any:
    if form == "console":
        return re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ", "", line.rstrip("\n"))
    entry = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry.pop("timestamp"))
    entry["duration_ms"] = round(entry["duration_ms"], 1)
    return entry


def test_what_comes_in_one_turn_is_written_at_once_and_in_order(local: LocalSite) -> None:
    stream, soon = io.StringIO(), Soon()
    lines = RequestLines(form="json", stream=stream, call_soon=soon, now=lambda: 1_790_000_000.25)
    for number in range(3):
        lines.write({"number": number})
    assert (len(soon.calls), stream.getvalue()) == (1, "")
    soon.turn()
    lines.write({"number": 3})
    soon.turn()
    entries = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [entry["number"] for entry in entries] == [0, 1, 2, 3]
    assert {entry["timestamp"] for entry in entries} == {"2026-09-21T14:13:20.250000Z"}
    assert local.log == []


@pytest.mark.parametrize("form", ["console", "json"])
def test_where_the_log_leaves_requests_out_slow_ones_are_said_all_the_same(
    local: LocalSite, form: Form
) -> None:
    """R11.16, the same either way."""
    stream, soon = io.StringIO(), Soon()
    quiet = build_log(form=form, level="warning", stream=stream)
    lines = RequestLines(form=form, stream=io.StringIO(), call_soon=soon)
    log = request_log(local.changed(log=quiet, lines=lines).context)
    batch = Batch(QueueId("q"), ENTRIES[:1])
    info = note_of(local, agent="x", waited=2.0, displaced=False, batch=batch)
    line = log.known_line(info)
    log.finished(info, Response(200, b"{}"), ended=3.5)
    log.polled(line, batch, busy=0.5, waited=2.0, displaced=False)
    assert (soon.calls, stream.getvalue()) == ([], "")
    log.finished(info, Response(200, b"{}"), ended=4.5)
    log.polled(line, batch, busy=1.5, waited=2.0, displaced=False)
    ordinary, short = stream.getvalue().splitlines()
    assert "slow request" in ordinary
    assert comparable(form, short) == comparable(form, ordinary)
    assert soon.calls == []


@pytest.mark.parametrize("form", ["console", "json"])
def test_without_lines_a_poll_goes_to_the_log_as_all_entries_do(local: LocalSite, form: Form) -> None:
    stream = io.StringIO()
    log = request_log(
        local.changed(log=build_log(form=form, level="info", stream=stream), lines=None).context
    )
    batch = Batch(QueueId("q"), ENTRIES[:1])
    info = note_of(local, agent="x", waited=0.5, displaced=False, batch=batch)
    log.finished(info, Response(200, b"{}"), ended=2.0)
    log.polled(log.known_line(info), batch, busy=0.5, waited=0.5, displaced=False)
    ordinary, short = stream.getvalue().splitlines()
    assert comparable(form, short) == comparable(form, ordinary)


class FullDisk(io.StringIO):
    """A stream that can't be written while its disk is full."""

    full = True

    def write(self, text: str, /) -> int:
        """Writes, or fails as the system does."""
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_entries_that_cannot_be_written_are_dropped_and_later_ones_are_not() -> None:
    """A log is often on the disk that is full."""
    stream, soon = FullDisk(), Soon()
    lines = RequestLines(form="json", stream=stream, call_soon=soon)
    lines.write({"number": 0})
    soon.turn()
    stream.full = False
    lines.write({"number": 1})
    soon.turn()
    assert [json.loads(line)["number"] for line in stream.getvalue().splitlines()] == [1]
