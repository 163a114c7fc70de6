"""What the operating system says of memory and of this process."""

import ctypes
import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


PROCESS = Path("/proc/self")


def memory_of_machine(*, process: Path = PROCESS, cgroups: Path = CGROUPS) -> int:
    """Bytes that the machine has, or the container if that is less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_limits(process, cgroups)])


M_MMAP_THRESHOLD = -3
"""Of `mallopt`, from glibc's malloc.h."""


LARGE = 131_072
"""Bytes from which on a piece of memory is the system's own, and goes back to it at once. It is glibc's own figure to begin
with, but each larger piece that is freed raises it, up to 32 MB. Bodies, answers and slices of snapshots then lie among
small things that stay, and what they leave is lost: a server with a budget of 200 MB grew to 250 MB within half a minute
of mixed load, and takes 200 MB with this."""


def give_large_back() -> bool:
    """Has large pieces of memory go back to the system whenever they are freed; whether this C library can."""
    try:
        return bool(ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE))
    except (AttributeError, OSError):
        return False


def _limits(process: Path, cgroups: Path) -> list[int]:
    """The limits of the control groups that the process is in, of both versions; a group has those above it too."""
    limits: list[int] = []
    for line in _read(process / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in {"", "memory"}:
            continue
        root = cgroups / controllers
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        # In a container the path may be that outside, where there is no such directory: then the root is ours.
        group = root / path.lstrip("/")
        for place in (group, *group.parents):
            if place.is_relative_to(root):
                limit = _read(place / name).strip()
                limits += [int(limit)] if limit.isdecimal() else []
    return limits


def resident_memory(*, process: Path = PROCESS) -> int:
    """Bytes of memory that this process takes; 0 where that can't be found out."""
    fields = _read(process / "statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeError):
        return ""


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
