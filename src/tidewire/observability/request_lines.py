"""Request entries on their short way into the log: put together by hand, and written once a turn of the loop.

A busy server writes tens of thousands a second, each in the time that a general logger takes to look at its
first processor. They look the same as all other entries (`observability/log.py`).
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, TextIO

from tidewire.observability.log import render_json
from tidewire.observability.request_entries import REQUEST, console_line

_SECOND = "%Y-%m-%dT%H:%M:%S"


class RequestLines:
    """Writes request entries to a stream."""

    def __init__(
        self,
        *,
        form: Literal["console", "json"],
        stream: TextIO,
        call_soon: Callable[[Callable[[], None]], object],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Takes how entries look, where they go, and what calls a function on the loop's next turn."""
        self.structured = form == "json"
        self._stream = stream
        self._call_soon = call_soon
        self._now = now
        self._waiting: list[str] = []
        self._second = -1
        self._stamp = ""
        self._of_turn = ""
        """The time stamp of all entries of one turn of the loop, which may be hundreds; empty between turns."""

    def write(self, entry: Mapping[str, Any]) -> None:
        """Takes an entry."""
        if self.structured:
            self._add(render_json({**entry, **self._frame()}))
        else:
            self.write_line(console_line(entry))

    def write_line(self, line: str) -> None:
        """Takes an entry that is put together already, as a line for a person."""
        waiting = self._waiting
        if not waiting:
            self._call_soon(self.flush)
        waiting.append(f"{self._of_turn or self._timestamp()} [info     ] {line}")

    def flush(self) -> None:
        """Writes what has come since the last turn; what can't be written is dropped, as `observability/log.py` does it."""
        waiting, self._waiting = self._waiting, []
        self._of_turn = ""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write("\n".join([*waiting, ""]))
            self._stream.flush()

    def _frame(self) -> dict[str, str]:
        return {"event": REQUEST, "level": "info", "timestamp": self._timestamp()}

    def _add(self, line: str) -> None:
        if not self._waiting:
            self._call_soon(self.flush)
        self._waiting.append(line)

    def _timestamp(self) -> str:
        if not self._of_turn:
            now = self._now()
            second = int(now)
            if second != self._second:
                self._second = second
                self._stamp = time.strftime(_SECOND, time.gmtime(second))
            self._of_turn = f"{self._stamp}.{int((now - second) * 1_000_000):06d}Z"
        return self._of_turn
