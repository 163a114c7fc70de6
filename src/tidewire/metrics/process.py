"""What the system says of this process."""

import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

OPEN_FILES = Path("/proc/self/fd")


class Process:
    """Figures of the process, each read when it is asked for."""

    def __init__(self, *, resident: Callable[[], int], now: Callable[[], float] = time.time) -> None:
        """Takes what tells the memory that it takes, and UNIX time; it counts as started now."""
        self._resident = resident
        self._now = now
        self.started = now()
        self.python = platform.python_version()

    def resident_bytes(self) -> int:
        """Memory that it takes; 0 where that is unknown."""
        return self._resident()

    def cpu_seconds(self) -> float:
        """CPU time of all its threads."""
        return time.process_time()

    def uptime(self) -> float:
        """Seconds since it started."""
        return self._now() - self.started

    def open_files(self) -> int:
        """Open files, connections among them; 0 where that is unknown."""
        try:
            # Linux counts them since 6.2; reading the names of 50,000 would hold the loop.
            return OPEN_FILES.stat().st_size or sum(1 for _ in OPEN_FILES.iterdir())
        except OSError:
            return 0

    def most_files(self) -> float:
        """How many it may have open."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return float("inf") if most == resource.RLIM_INFINITY else most
