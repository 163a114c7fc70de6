"""Sends mutated requests to the fast lane and to the ordinary routes, and stops at the first that they answer differently.

.venv/bin/python tests/mutations.py --requests 50000 --seed 7
"""

import argparse
import asyncio

from support.lane_pair import compare


def main() -> None:
    """Compares, and prints how many answers there were by status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    sent, statuses = asyncio.run(compare(arguments.seed, arguments.requests))
    shown = ", ".join(f"{status.decode()}: {count:,}" for status, count in sorted(statuses.items()))
    print(f"{sent:,} requests, answered alike ({shown})")  # noqa: T201 - a script


if __name__ == "__main__":
    main()
