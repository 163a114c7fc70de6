"""How long events take, by their type."""

import time
from collections.abc import Callable

from tidewire.observability.counters import Histogram


class EventTimes:
    """A `Stopwatch` (`core/state/statistics.py`) that keeps a histogram for each type; the core bounds how many there are.

    Attributes:
        by_kind: the histograms.
    """

    __slots__ = ("_began", "_timer", "by_kind")

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        self._timer = timer
        self._began = 0.0
        self.by_kind: dict[str, Histogram] = {}

    def begin(self) -> None:
        """The first notice begins now."""
        self._began = self._timer()

    def lap(self, kind: str) -> None:
        """A notice is done, and the next one begins."""
        now = self._timer()
        histogram = self.by_kind.get(kind)
        if histogram is None:
            histogram = self.by_kind[kind] = Histogram()
        histogram.add(now - self._began)
        self._began = now
