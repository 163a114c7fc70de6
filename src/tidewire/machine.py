"""What the machine says of memory: how much there is, and how much this process takes."""

import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PROCESS = Path("/proc/self")


def memory_of_machine(*, process: Path = PROCESS, cgroups: Path = CGROUPS) -> int:
    """Bytes that the machine has, or the container if that is less."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_limits(process, cgroups)])


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
