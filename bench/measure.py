"""Timing for the benchmarks: alternating runs, medians with their spread, and a table of ratios.

Machines are shared and noisy, so only ratios from one run mean anything: the cases of a benchmark take
turns, round after round, and noise hits all of them alike.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


def nothing() -> None:
    """The tidying of a case that leaves nothing behind."""


class Case(NamedTuple):
    """One thing to measure."""

    run: Callable[[], int]
    """Does some work and returns how many units it was."""
    tidy: Callable[[], None] = nothing
    """Puts everything back, between two runs; not measured."""


class Timing(NamedTuple):
    """Microseconds per unit of work, over all rounds."""

    median: float
    least: float
    most: float


def alternate(cases: Mapping[str, Case], *, rounds: int) -> dict[str, Timing]:
    """Runs the cases in turn.

    CPU time of the process counts, not the clock on the wall. One round before is not counted.
    """
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, case in cases.items():
            gc.collect()
            began = time.process_time_ns()
            units = case.run()
            spent = (time.process_time_ns() - began) / 1000
            case.tidy()
            if number:
                taken[name].append(spent / units)
    return {name: Timing(statistics.median(times), min(times), max(times)) for name, times in taken.items()}


def print_table(title: str, timings: Mapping[str, Timing], *, unit: str, base: str) -> None:
    """One row a case, with its ratio to the case `base`."""
    print(f"\n{title}")
    rows: list[Sequence[str]] = [("", f"{unit} (median, least-most)", f"ratio to {base}")]
    for name, timing in timings.items():
        spread = f"{timing.median:9.2f}  ({timing.least:.2f}-{timing.most:.2f})"
        rows.append((name, spread, f"{timing.median / timings[base].median:.2f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
