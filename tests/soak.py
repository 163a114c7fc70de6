"""`make soak`: the fault harness for as long as it takes; `make test` runs a short one (`e2e/test_kills.py`)."""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from support.kill_run import run


def main() -> None:
    """Runs, prints what it was like, and fails when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often the server is killed [200]")
    parser.add_argument("--users", type=int, default=200, help="how many clients there are [200]")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6), help="repeats a plan"
    )
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)  # noqa: T201 - what it is for
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(
            run(Path(folder), seed=arguments.seed, kills=arguments.kills, users=arguments.users)
        )
    print(outcome)  # noqa: T201 - the same
    wrong = [*outcome.oracle.sentences, *([outcome.log] if outcome.log else [])]
    if wrong or outcome.stop_code:
        sys.exit("\n".join([*wrong, f"the server stopped with {outcome.stop_code}"]))


if __name__ == "__main__":
    main()
