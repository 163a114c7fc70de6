"""The page about capacity does its sums right, with the figures that the benchmarks found."""

import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "capacity.md").read_text(encoding="utf-8")
FOUND = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")


def figure(row: str) -> float:
    """The value, in its unit, that the page gives in the row that begins so."""
    found = re.search(rf"^\| {re.escape(row)}[^|]*\| ([\d.,]+) ", PAGE, re.MULTILINE)
    assert found is not None
    return float(found[1].replace(",", ""))


def clients_of_half_a_core(events_a_minute: float, clients_of_a_notice: float) -> float:
    """By the page's formula, with the page's figures."""
    delivery = figure("CPU for a delivery") * 1e-6
    notice = figure("CPU for a notice that comes alone") * 1e-6 - delivery
    share = delivery * (events_a_minute / 60 + 1 / 50) + notice * events_a_minute / 60 / clients_of_a_notice
    return 0.5 / share


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("CPU for a delivery", "({:g} us, "),
        ("CPU for a notice that comes alone", "400 a second {:g} us"),
        ("memory of a waiting client", "{:,.0f} (floor"),
    ],
)
def test_the_figures_are_those_that_the_benchmarks_found(row: str, text: str) -> None:
    assert text.format(figure(row)) in FOUND


def test_the_numbers_of_shards_follow_from_the_figures() -> None:
    rows = re.findall(r"^\| ([\d,]+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == ["10,000", "100,000", "1,000,000", "10,000,000"]
    for row in rows:
        clients, *needed = (int(cell.replace(",", "")) for cell in row)
        by_memory = 2 * clients * figure("memory of a waiting client") / 4e9
        limits = (clients / 28_000, clients / 200_000, clients / clients_of_half_a_core(2, 50), by_memory)
        assert needed == [math.ceil(limit) for limit in limits]


@pytest.mark.parametrize(("events_a_minute", "said"), [(2, 340_000), (10, 90_000)])
def test_what_half_a_core_bears_is_rounded_down(events_a_minute: int, said: int) -> None:
    assert said <= clients_of_half_a_core(events_a_minute, 50) < 1.05 * said
    assert f"some {said:,}" in PAGE
