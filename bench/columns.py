"""Runs of servers: they take turns too, each run has several figures, and a table shows them beside each other."""

import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from load import LoadFailed

Figures: TypeAlias = Mapping[str, float]
"""What one run found, by the heading of its column."""

Run: TypeAlias = Callable[[Path], Figures]
"""One run, in an empty folder of its own."""

FEWEST = 5
"""Rounds at least: single runs of servers swing by a third."""


def alternate_runs(cases: Mapping[str, Run], *, rounds: int) -> dict[str, list[Figures]]:
    """Runs the cases in turn. A run that lost events is named on standard error and has no figures."""
    found: dict[str, list[Figures]] = {name: [] for name in cases}
    for number in range(rounds):
        for name, run in cases.items():
            _say(f"round {number + 1} of {rounds}: {name}")
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found[name].append(run(Path(folder)))
                except LoadFailed as failure:
                    print(f"{name}: this run does not count: {failure}", file=sys.stderr)
    _say("")
    return found


def _say(progress: str) -> None:
    """Shows on a terminal how far it is, in one line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)


def rounds_of_servers(rounds: int) -> int:
    """A third of the rounds that are asked for: each takes seconds, not milliseconds."""
    return max(FEWEST, rounds // 3)


def print_columns(title: str, found: Mapping[str, Sequence[Figures]], *, base: str | None = None) -> None:
    """One row a case: for each figure the median with least and most, and the first one's ratio to that of `base`."""
    print(f"\n{title}")
    headings = next((list(runs[0]) for runs in found.values() if runs), [])
    first = headings[0] if headings else ""
    rows = [["", *headings, *([f"ratio to {base}"] if base else [])]]
    for name, runs in found.items():
        if not runs:
            rows.append([name, *("no run counted" for _ in rows[0][1:])])
            continue
        cells = [_spread([figures[heading] for figures in runs]) for heading in headings]
        ratio = [f"{median(runs, first) / median(found[base], first):.2f}"] if base and found[base] else []
        rows.append([name, *cells, *ratio])
    widths = [max(len(row[column]) for row in rows if column < len(row)) for column in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())
    sys.stdout.flush()


def median(runs: Sequence[Figures], heading: str) -> float:
    """The median of one figure."""
    return statistics.median(figures[heading] for figures in runs)


def _spread(values: Sequence[float]) -> str:
    return f"{_short(statistics.median(values))} ({_short(min(values))}-{_short(max(values))})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
