"""The benchmarks that need no server still run: they go through the same doors as everybody, and those move."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.server_process import clean_environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DEADLINE = 280
"""Seconds: each takes a few, and ten times as many on a machine with much else to do."""


@pytest.mark.parametrize(
    "name", ["fan_out", "explaining", "tracing", "merging", "metrics", "notifications", "journal", "lane"]
)
def test_a_benchmark_prints_its_table(name: str) -> None:
    done = subprocess.run(  # noqa: S603 - the repository's own program
        [sys.executable, ROOT / "bench" / "run.py", "--rounds", "1", name],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        env={**clean_environment(), "PYTHONPATH": str(ROOT / "tests")},  # as `make bench` has it
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "median" in done.stdout or "p99" in done.stdout
