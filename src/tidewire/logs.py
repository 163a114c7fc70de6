"""The log: structured, one line an entry, on standard error."""

import logging
import sys
from typing import Literal, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from tidewire.core.dispatch import Failure
from tidewire.core.errors import Unavailable

LEVELS = ("debug", "info", "warning", "error")


def build_log(
    *, form: Literal["console", "json"], level: str, stream: TextIO | None = None
) -> FilteringBoundLogger:
    """A logger of its own: nothing global is configured, so two servers in one process may differ.

    Args:
        form: lines for people, or one JSON object a line.
        level: the least that is written: debug, info, warning or error.
        stream: where to; standard error by default.
    """
    target = stream or sys.stderr
    # Values are shown as Python writes them, so that none can forge a line with control characters.
    console = structlog.dev.ConsoleRenderer(colors=target.isatty(), repr_native_str=True)
    renderer = _render_json if form == "json" else console
    logger = structlog.wrap_logger(
        structlog.PrintLogger(target),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return cast("FilteringBoundLogger", logger)


def _render_json(_logger: WrappedLogger, _method: str, entry: EventDict) -> str:
    return msgspec.json.encode(entry, enc_hook=str).decode()


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
        """A notice could not be delivered to one queue, or not at all."""
        self._log.error(
            "delivery failed",
            type=failure.kind,
            queue_id=failure.queue_id,
            error=type(failure.error).__name__,
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

    def collected(self, *, expired: int, queues: int) -> None:
        """The collector ran (R11.10)."""
        if expired:
            self._log.info("expired queues removed", removed=expired, queues=queues)
