"""`make attack`: every form of smuggling, thousands of times, on every door; `make test` tries each a few times.

Ends with status 1 when an answer went to somebody else or a closed route was reached.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from support.attack_run import AttackOutcome, AttackRun
from support.doors import DOORS, door
from support.server_process import ServerProcess
from support.smuggling import FORMS

PROGRESS_EVERY = 10
"""Seconds between two lines of progress at one door."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one door gets."""

    door: str
    tries: int
    seed: int
    names: Sequence[str]
    minutes: float


@dataclass(frozen=True, slots=True)
class Report:
    """How it went there."""

    door: str
    outcome: AttackOutcome
    planned: int
    complaints: str


def attack(plan: Plan) -> Report:
    """Attacks one door of a server of its own."""
    began = time.monotonic()

    def on_progress(run: AttackRun) -> None:
        if int(time.monotonic() - began) % PROGRESS_EVERY == 0:
            outcome = run.outcome
            print(  # noqa: T201 - what it is for
                f"{plan.door}: {outcome.attacks:,} of {run.planned:,} attacks, {outcome.crossed} answers crossed,"
                f" {outcome.reached} closed routes read",
                flush=True,
            )

    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder), "log.level=warning")
        try:
            server.start()
            site = Path(folder) / plan.door
            site.mkdir()
            with door(plan.door, server.port, site) as opened:
                run = AttackRun(
                    server,
                    opened,
                    seed=plan.seed,
                    tries=plan.tries,
                    names=plan.names,
                    until=time.monotonic() + plan.minutes * 60,
                    on_progress=on_progress,
                )
                outcome = run.run()
            is_wrong = not server.is_running() or "Traceback" in server.log
            return Report(plan.door, outcome, run.planned, server.log if is_wrong else "")
        finally:
            server.destroy()


def main() -> None:
    """Attacks, prints what came of it, and fails when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--tries", type=int, default=500, help="how often each form is tried at each door [500]"
    )
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6), help="repeats a plan"
    )
    parser.add_argument("--doors", nargs="+", choices=DOORS, default=DOORS, help="which [all]")
    parser.add_argument("--forms", nargs="+", choices=sorted(FORMS), default=(), metavar="FORM", help="[all]")
    parser.add_argument("--minutes", type=float, default=12, help="the most that one door may take [12]")
    parser.add_argument("--at-once", type=int, default=2, help="doors that are attacked at the same time [2]")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {len(arguments.forms or FORMS)} forms", flush=True)  # noqa: T201 - what it is for
    plans = [
        Plan(name, arguments.tries, arguments.seed + number, arguments.forms, arguments.minutes)
        for number, name in enumerate(arguments.doors)
    ]
    wrong = []
    with ProcessPoolExecutor(arguments.at_once, mp_context=get_context("spawn")) as pool:
        for report in pool.map(attack, plans):
            print(f"{report.door}: {report.outcome}", flush=True)  # noqa: T201 - the same
            if not report.outcome.is_clean():
                wrong.append(f"{report.door}: an answer crossed, or a closed route reached")
            if report.complaints:
                wrong.append(f"{report.door}: {report.complaints}")
            if report.outcome.attacks < report.planned:
                print(f"{report.door}: the time was up", flush=True)  # noqa: T201 - the same
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
