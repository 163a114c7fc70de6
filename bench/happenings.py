"""How long clients of three shards behind nginx go without events when something happens to the service.

It is the harness of the tests (`tests/support/shard_oracle.py`), which also sees that nothing is lost.
"""

import asyncio
import logging
import random
from functools import partial
from pathlib import Path

from columns import Figures, Run, alternate_runs, print_columns, rounds_of_servers
from load import LoadFailed
from support.shard_growth import GrowingService, there_and_back
from support.shard_happenings import HAPPENINGS
from support.shard_oracle import Course, run, users_of
from support.shard_service import ShardService
from tidewire.publisher import OneShard

CLIENTS = 300


def main(*, rounds: int) -> None:
    """One row for each thing that happens, and each way to the right shard."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # a broker that is not there yet is no news
    cases: dict[str, Run] = {
        f"{name}, {wrong_shard}": partial(_happens, name, wrong_shard)
        for name in HAPPENINGS
        for wrong_shard in ("proxy", "redirect")
    }
    cases |= {
        f"re-sharding, {wrong_shard}": partial(_moves, wrong_shard) for wrong_shard in ("proxy", "redirect")
    }
    found = alternate_runs(cases, rounds=rounds_of_servers(rounds))
    print_columns(f"{CLIENTS} clients of three shards", found)


def _happens(name: str, wrong_shard: str, folder: Path) -> Figures:
    (folder / "service").mkdir()
    seed = random.SystemRandom().randrange(10**6)
    with ShardService(folder / "service", users=users_of(CLIENTS), wrong_shard=wrong_shard) as service:
        course = asyncio.run(
            run(service, HAPPENINGS[name], name=name, seed=seed, folder=folder, clients=CLIENTS)
        )
    return _figures(course)


def _moves(wrong_shard: str, folder: Path) -> Figures:
    """From one shard to three, to four, and to two."""
    (folder / "service").mkdir()
    seed = random.SystemRandom().randrange(10**6)
    with GrowingService(folder / "service", users=users_of(CLIENTS), wrong_shard=wrong_shard) as service:
        queues = OneShard(f"notify_tornado_port_{service.ports[0]}")
        course = asyncio.run(
            run(
                service,
                lambda _: there_and_back(service),
                name="re-sharding",
                seed=seed,
                folder=folder,
                clients=CLIENTS,
                shard_queues=queues,
            )
        )
    return _figures(course)


def _figures(course: Course) -> Figures:
    if course.oracle.counts:
        raise LoadFailed(str(course))
    return {
        "longest without an event s": course.gap,
        "sent over HTTP: latest s": course.late["http", "raw"],
        "sent over AMQP: latest s": course.late["amqp", "raw"],
        "requests repeated": course.failed,
    }
