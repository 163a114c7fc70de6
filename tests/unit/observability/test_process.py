"""What the machine says of memory."""

import os
from pathlib import Path

import pytest

from tidewire.observability.process import LARGE, give_large_back, memory_of_machine, resident_memory

PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def machine(tmp_path: Path, groups: str, limits: dict[str, str]) -> int:
    """The memory of a machine with these control groups and limits."""
    process, cgroups = tmp_path / "self", tmp_path / "cgroups"
    process.mkdir()
    (process / "cgroup").write_text(groups)
    for name, limit in limits.items():
        file = cgroups / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(limit + "\n")
    return memory_of_machine(process=process, cgroups=cgroups)


@pytest.mark.parametrize(
    ("groups", "limits", "memory"),
    [
        ("0::/\n", {}, PHYSICAL),
        (
            "0::/system.slice/tidewire.service\n",
            {"system.slice/tidewire.service/memory.max": "max"},
            PHYSICAL,
        ),
        ("0::/system.slice/tidewire.service\n", {"system.slice/tidewire.service/memory.max": "5000"}, 5000),
        ("0::/a/b\n", {"a/b/memory.max": "5000", "a/memory.max": "4000"}, 4000),
        ("0::/docker/of-the-host\n", {"memory.max": "3000"}, 3000),
        ("4:memory:/a\n3:cpu:/\n", {"memory/a/memory.limit_in_bytes": "2000"}, 2000),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": str(2**63 - 4096)}, PHYSICAL),
    ],
)
def test_the_least_limit_counts(tmp_path: Path, groups: str, limits: dict[str, str], memory: int) -> None:
    assert machine(tmp_path, groups, limits) == memory


def test_where_there_are_no_control_groups_the_machine_counts(tmp_path: Path) -> None:
    assert memory_of_machine(process=tmp_path, cgroups=tmp_path) == PHYSICAL


def test_the_resident_memory_is_that_of_this_process_or_unknown(tmp_path: Path) -> None:
    (tmp_path / "statm").write_text("100 7 3 1 0 5 0\n")
    assert resident_memory(process=tmp_path) == 7 * os.sysconf("SC_PAGE_SIZE")
    assert resident_memory(process=tmp_path / "nowhere") == 0
    assert 0 < resident_memory() < PHYSICAL


@pytest.mark.skipif(not give_large_back(), reason="this C library has no mallopt")
def test_large_pieces_of_memory_go_back_to_the_system_when_they_are_freed() -> None:
    kept = []
    before = resident_memory()
    for _ in range(200):
        large = bytearray(3 * LARGE)
        kept.append(bytes(600))
        del large
    assert resident_memory() - before < 20 * LARGE
    assert len(kept) == 200
