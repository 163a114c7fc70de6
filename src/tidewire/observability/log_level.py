"""What of the log can be changed while the server runs, and what keeps clients from filling it."""

import time
from collections import Counter
from collections.abc import Callable
from types import MappingProxyType

NUMBERS = MappingProxyType({"debug": 10, "info": 20, "warning": 30, "error": 40})
"""Levels by name, as the standard library numbers them."""

LEVELS: tuple[str, ...] = tuple(NUMBERS)

LIMITED: frozenset[str] = frozenset(
    {
        "answer failed",
        "client disconnected",
        "delivery failed",
        "direct message with the notification inputs of a channel's",
        "poll displaced",
        "queue of another user asked for",
        "refused",
        "request failed",
        "slow request",
        "token could not be judged",
        "unknown queue not ended",
    }
)
"""Entries that clients can cause by requests, without limit on their number."""

MOST = 100
"""Entries of one kind that are written in one `PERIOD`."""

PERIOD = 10.0
"""Seconds."""


class _Window:
    """The present period of one kind of entry."""

    __slots__ = ("began", "suppressed", "written")

    def __init__(self, began: float) -> None:
        self.began = began
        self.written = 0
        self.suppressed = 0


class LogControl:
    """The level of one log, and the limits of its entries.

    Attributes:
        suppressed: how many entries were left out, by what they would have said.
    """

    def __init__(self, level: str = "info", *, timer: Callable[[], float] = time.monotonic) -> None:
        self._level = level
        self._timer = timer
        self._listeners: list[Callable[[], None]] = []
        self._windows: dict[str, _Window] = {}
        self.suppressed: Counter[str] = Counter()

    @property
    def level(self) -> str:
        """The least that is written."""
        return self._level

    def change(self, level: str) -> None:
        """Has less or more written from now on.

        Raises:
            KeyError: there is no such level.
        """
        _ = NUMBERS[level]
        self._level = level
        for listener in self._listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Has a function called after each change."""
        self._listeners.append(listener)

    def admit(self, event: str) -> int | None:
        """Whether one more entry of a limited kind is written: None, or how many before it were not."""
        now = self._timer()
        window = self._windows.get(event)
        if window is None:
            window = self._windows[event] = _Window(now)
        suppressed = 0
        if now - window.began >= PERIOD:
            window.began, window.written = now, 0
            suppressed, window.suppressed = window.suppressed, 0
        if window.written >= MOST:
            window.suppressed += 1
            self.suppressed[event] += 1
            return None
        window.written += 1
        return suppressed
