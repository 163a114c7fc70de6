"""How long something takes, without the time in which the machine was busy with others.

A process that could run and must wait for a processor is no slower for it. Linux counts that time for each thread, so a
bound in seconds can be as narrow as the promise that it stands for, and hold while other programs have the machine.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from support.waiting import eventually

_NANOSECONDS = 1e9


class Stopwatch:
    """Runs from the moment that it is made."""

    def __init__(self, *pids: int) -> None:
        """Takes the processes, besides the test's own, that have to work for what is measured."""
        self._pids = (os.getpid(), *pids)
        self._before = _delays(self._pids)
        self._delays: dict[str, int] = {}
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """What has passed, less what the processes have waited for a processor."""
        passed = time.monotonic() - self._began
        # A thread that has ended meanwhile counts with what it was last seen to have waited.
        self._delays |= _delays(self._pids)
        waited = sum(delay - self._before.get(thread, 0) for thread, delay in self._delays.items())
        return passed - waited / _NANOSECONDS

    def until(self, look: Callable[[], object], *, what: str) -> float:
        """Waits until there is something to see, and returns the seconds; for what ends processes it counts."""

        def look_again() -> bool:
            self._delays |= _delays(self._pids)
            return bool(look())

        eventually(look_again, what=what)
        return self.seconds


def _delays(pids: tuple[int, ...]) -> dict[str, int]:
    """The nanoseconds that each thread of some processes has waited for a processor in its life."""
    found = {}
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                _, waited, _ = path.read_text().split()
            except (OSError, ValueError):
                continue  # it ended just now
            found[str(path)] = int(waited)
    return found
