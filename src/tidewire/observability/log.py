"""The log: structured, one line an entry, on standard error."""

import contextlib
import json
import logging
import re
import sys
import traceback
from collections.abc import Mapping
from typing import Any, Literal, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from tidewire._text import escaped
from tidewire.core.delivery.dispatch import Failure
from tidewire.core.errors import BadEventQueueId, Unavailable
from tidewire.core.events.coalescing import RuleFailure
from tidewire.observability.log_level import LEVELS, LIMITED, LogControl
from tidewire.observability.request_entries import REQUEST, SLOW_REQUEST, console_line
from tidewire.ports.engine import Collection


def build_log(
    *, form: Literal["console", "json"], level: str | LogControl, stream: TextIO | None = None
) -> FilteringBoundLogger:
    """A logger of its own: nothing global is configured, so two servers in one process may differ.

    Args:
        form: lines for people, or one JSON object a line.
        level: the least that is written: debug, info, warning or error; or what it can be changed by.
        stream: where to; standard error by default.
    """
    target = stream or sys.stderr
    renderer = _Whole(_render_json if form == "json" else _Console(colors=target.isatty()))
    control = level if isinstance(level, LogControl) else LogControl(level)
    lines = _Lines(target)
    processors: list[Processor] = [
        _Limits(control),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        renderer,
    ]
    # What is left out costs least where structlog has made the methods so, one set for each level.
    loggers = {
        name: structlog.wrap_logger(
            lines,
            processors=processors,
            wrapper_class=structlog.make_filtering_bound_logger(name),
            cache_logger_on_first_use=True,
        ).bind()
        for name in LEVELS
    }
    return cast("FilteringBoundLogger", _Switched(loggers, control))


class _Switched:
    """The logger of the present level."""

    def __init__(self, loggers: Mapping[str, FilteringBoundLogger], control: LogControl) -> None:
        self._loggers = loggers
        self._control = control
        self._present = loggers[control.level]
        control.listen(self._switch)

    def _switch(self) -> None:
        self._present = self._loggers[self._control.level]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._present, name)


class _Limits:
    """Leaves out entries of which too many come, and says with the next one how many they were."""

    def __init__(self, control: LogControl) -> None:
        self._control = control

    def __call__(self, _logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
        # What a library says may be anything, so all of it counts as one.
        event = entry["logger"] if "logger" in entry else entry["event"]
        if event not in LIMITED and "logger" not in entry:
            return entry
        suppressed = self._control.admit(event)
        if suppressed is None:
            raise structlog.DropEvent
        if suppressed:
            entry["suppressed"] = suppressed
        return entry


class _Lines:
    """Writes lines, and drops those that can't be written.

    A log is often on the disk that is full, or a terminal that can't show a letter. An entry that raised would keep a
    publisher from its answer.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        """Writes one entry."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = info = warning = error = critical = log = exception = msg


_NOT_PLAIN = re.compile(r"[^ -~]")


def _render_json(_logger: WrappedLogger, _method: str, entry: EventDict) -> str:
    return render_json(entry)


def render_json(entry: Mapping[str, Any]) -> str:
    """An entry as one line of JSON that a terminal does nothing with but show it."""
    try:
        line = msgspec.json.encode(entry, enc_hook=str).decode()
    except UnicodeEncodeError:
        line = json.dumps(entry, default=str)  # half of a surrogate pair, which this writes as an escape
    # JSON itself lets pass what a terminal may act on, such as characters that change the direction of text.
    return line if line.isprintable() else _NOT_PLAIN.sub(_json_escape, line)


def _json_escape(match: re.Match[str]) -> str:
    if match[0].isprintable():
        return match[0]
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


class _Whole:
    """Writes an entry whatever is in it: of one that can't be rendered, what happened is said, and that the rest is missing."""

    def __init__(self, render: Processor) -> None:
        self._render = render

    def __call__(self, logger: WrappedLogger, method: str, entry: EventDict) -> str:
        try:
            return str(self._render(logger, method, dict(entry)))
        except Exception as error:  # noqa: BLE001 - whoever logs is in the middle of something that matters more
            known = {name: str(entry.get(name, "")) for name in ("timestamp", "level", "event")}
            return render_json(known | {"unwritten": type(error).__name__})


class _Console:
    """Writes entries for people; a request's as one sentence (R11.1), put together here because it is most of a log."""

    def __init__(self, *, colors: bool) -> None:
        # Values are shown as Python writes them, so that none can forge a line with control characters.
        self._render = structlog.dev.ConsoleRenderer(colors=colors, repr_native_str=True)

    def __call__(self, logger: WrappedLogger, method: str, entry: EventDict) -> str:
        event = entry["event"]
        if event not in {REQUEST, SLOW_REQUEST}:
            return self._render(logger, method, _traceback_escaped(entry))
        what = "" if event == REQUEST else f"{SLOW_REQUEST}: "
        return f"{entry['timestamp']} [{entry['level']:<9}] {what}{console_line(entry)}"


def _traceback_escaped(entry: EventDict) -> EventDict:
    """A traceback quotes what was raised: it must not look like lines of the log."""
    traceback = entry.get("exception")
    if traceback is not None:
        entry["exception"] = "\n".join(f"  {escaped(line)}" for line in traceback.splitlines())
    return entry


class ForwardingHandler(logging.Handler):
    """Takes what libraries write to the standard library's log into ours."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record with the name of the library's logger."""
        error = record.exc_info[1] if record.exc_info else None
        self._log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=error)


class LogReporter:
    """A `Reporter` that writes to the log; never an event's contents (R11.18)."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log

    def delivery_failed(self, failure: Failure) -> None:
        """A notice could not be delivered to one queue, or not at all; or there was no such queue to end (R11.11)."""
        if isinstance(failure.error, BadEventQueueId):
            self._log.info("unknown queue not ended", type=failure.kind, queue_id=failure.queue_id)
            return
        self._log.error(
            "delivery failed",
            type=failure.kind,
            queue_id=failure.queue_id,
            error=type(failure.error).__name__,
        )

    def rule_failed(self, failure: RuleFailure) -> None:
        """A merge rule of the application's failed; its events were delivered singly."""
        self._log.error(
            "merge rule failed; its events are delivered singly",
            type=failure.kind,
            times=failure.times,
            error=type(failure.error).__name__,
            where=_where(failure.error),
        )

    def answer_failed(self, error: Exception) -> None:
        """An answer could not be handed to its connection."""
        self._log.error("answer failed", exc_info=error)

    def journal_failed(self, error: Unavailable) -> None:
        """The journal could not be written."""
        self._log.error("journal failed", error=error.message)

    def journal_works(self) -> None:
        """The journal can be written again."""
        self._log.info("journal works again")

    def snapshot_kept(self, *, queues: int, size: int) -> None:
        """A snapshot is in place."""
        self._log.info("snapshot kept", queues=queues, bytes=size)

    def snapshot_failed(self, error: Exception) -> None:
        """A snapshot could not be written."""
        self._log.error("snapshot failed; the one before and the journal are still there", error=str(error))

    def clock_skipped(self, seconds: float) -> None:
        """The process did not run for a while (D12)."""
        self._log.warning("process did not run; nobody's queue ages by it", seconds=round(seconds, 1))

    def notifications_lost(self, count: int) -> None:
        """The outbox had no room for more notifications."""
        self._log.error("notifications lost: the outbox is full", lost=count)

    def queues_gave_way(self, ended: Mapping[str, int]) -> None:
        """Queues ended because of a bound (D8)."""
        self._log.warning("queues gave way to a bound", **ended)

    def contradictory_notice(self, message_id: int) -> None:
        """A direct message came with users who want it as a channel's (R5.5)."""
        self._log.warning("direct message with the notification inputs of a channel's", message_id=message_id)

    def collected(self, collection: Collection) -> None:
        """Logs what the collector removed (R11.10)."""
        self._log.info(
            "expired queues removed",
            removed=collection.expired,
            owners=collection.owners,
            seconds=round(collection.seconds, 3),
            queues=collection.queues,
            waiting=collection.waiting,
        )


def _where(error: Exception) -> str:
    """The file and line that raised: an error's text may hold what an event says."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
