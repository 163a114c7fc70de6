"""What metrics cost: those who are delivered to, and the loop while somebody reads them."""

import asyncio
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

import shards
from columns import Figures, print_columns
from measure import Case, alternate, print_table
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.notices import notice as notices
from tidewire.core.notices.notice import decode_notice
from tidewire.engine.recovery import RecoveryReport
from tidewire.observability.counters import HttpStatistics, JournalStatistics
from tidewire.observability.metrics.event_times import EventTimes
from tidewire.observability.metrics.exposition import Exposition
from tidewire.observability.metrics.metric import Sources
from tidewire.observability.metrics.reporter import CountingReporter
from tidewire.observability.process import Process
from tidewire.ports.bus import Embedded
from tidewire.replay.strict_reporter import RaisingReporter
from without_counters import copied_without_counters, loaded_from

WAITING = 1_000
"""Queues on which a poll waits: each notice is for all of them, and each polls again."""

FEW = 10
"""The same for a notice that is for few: what is counted once a notice weighs more."""

ROUNDS = 20
"""Notices in one run to all; as many deliveries are made in one to few."""

QUEUES = 50_000
"""Looked at by a scrape."""

EVENT = {"type": "typing", "text": "x" * 600}
COUNTED, STUBBED = "with counters", "without any"


def main(*, rounds: int) -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as folder:
        stubbed, decoding = loaded_from(
            copied_without_counters(Path(folder)), "shards", "tidewire.core.notices.notice"
        )
    for users in (WAITING, FEW):
        cases = {
            COUNTED: _deliveries(shards, notices, EventTimes(), users),
            STUBBED: _deliveries(stubbed, decoding, None, users),
        }
        timings = alternate(cases, rounds=2 * rounds)
        print_table(
            f"A notice to {users:,} of {WAITING:,} waiting queues, and their next polls",
            timings,
            unit="us a delivery",
            base=STUBBED,
        )
    print_columns(f"A scrape with {QUEUES:,} queues", {"": [_scrape() for _ in range(max(3, rounds // 3))]})


def _deliveries(rig: ModuleType, decoding: ModuleType, times: EventTimes | None, users: int) -> Case:
    soon: deque[Callable[[], None]] = deque()
    engine, queue_ids = rig.engine_with_queues(WAITING, call_soon=soon.append, stopwatch=times)
    raw = msgspec.json.encode({"event": EVENT, "users": list(range(users))})
    slots = [rig.Kept() for _ in range(WAITING)]
    acknowledged = [-1] * WAITING
    for user in range(WAITING):
        engine.poll(queue_ids[user], user_id=user, last_event_id=-1, block=True, waiter=slots[user])
    notices_of_a_run = ROUNDS * WAITING // users // (1 if users == WAITING else 4)

    def run() -> int:
        for _ in range(notices_of_a_run):
            engine.publish([decoding.decode_notice(raw)], rig.Kept())
            while soon:
                soon.popleft()()
            for user in range(users):
                acknowledged[user] += 1
                engine.poll(
                    queue_ids[user],
                    user_id=user,
                    last_event_id=acknowledged[user],
                    block=True,
                    waiter=slots[user],
                )
        return notices_of_a_run * users

    return Case(run, engine.tick)


def _scrape() -> Figures:
    """One scrape beside other work: what it takes, and for how long others wait at most."""
    kinds = tuple(
        Capabilities(apply_markdown=bool(number & 1), slim_presence=bool(number & 2)) for number in range(4)
    )
    engine, _ = shards.engine_with_queues(QUEUES, kinds)
    for user in range(0, QUEUES, 50):
        engine.publish([decode_notice(msgspec.json.encode({"event": EVENT, "users": [user]}))], shards.Kept())
    times = EventTimes()
    for number in range(70):
        times.begin()
        times.lap(f"type {number}")  # as many series as there can be
    exposition = Exposition(engine.shard, _sources(engine.shard.statistics, times))
    return asyncio.run(_beside_others(exposition))


async def _beside_others(exposition: Exposition) -> Figures:
    longest = 0.0
    began = time.process_time()
    scraping = asyncio.ensure_future(exposition.render(""))
    while not scraping.done():
        turn = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - turn)
    body, _ = await scraping
    spent = time.process_time() - began
    assert f"tidewire_queues {QUEUES}.0".encode() in body
    return {"ms of CPU": spent * 1000, "longest turn ms": longest * 1000, "lines": body.count(b"\n")}


def _sources(statistics: Any, times: EventTimes) -> Sources:
    nothing = RecoveryReport(
        anything=False,
        resumed=False,
        queues=0,
        records=0,
        skipped=(),
        failures=0,
        damaged=(),
        lost_queues=0,
        upgraded=(),
        gave_way=(),
        damage=(),
        snapshot_size=0,
        seconds=0.0,
    )
    return Sources(
        version="",
        statistics=statistics,
        event_times=times,
        journal=JournalStatistics(),
        tail_bytes=lambda: 0,
        journal_fails=lambda: False,
        reported=CountingReporter(RaisingReporter()),
        comeback=nothing,
        http=HttpStatistics(),
        suppressed={},
        bus=Embedded().state,
        process=Process(resident=lambda: 0),
        memory_budget=0,
    )
