"""`make memory`: the memory harness for as long as you like; `make test` runs a short one (`hostile/test_memory.py`)."""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from support.memory_run import run

MB = 1_000_000


def main() -> None:
    """Runs, prints what it took, and fails when that was more than the budget allows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long it works [10]")
    parser.add_argument("--budget", type=int, default=200, help="the memory budget in MB [200]")
    parser.add_argument("--kills", type=int, default=2, help="how often it is killed and started again [2]")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6), help="repeats a plan"
    )
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)  # noqa: T201 - what it is for
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(
            run(
                Path(folder),
                seed=arguments.seed,
                seconds=arguments.minutes * 60,
                budget=arguments.budget * MB,
                kills=arguments.kills,
            )
        )
    print(figures)  # noqa: T201 - the same
    if max(figures.peaks) > figures.allowed:
        sys.exit(f"{max(figures.peaks):,} bytes are more than {figures.allowed:,}")


if __name__ == "__main__":
    main()
