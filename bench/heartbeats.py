"""Heartbeats to 50,000 waiting queues: what one costs, and the longest time that the loop is held."""

import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from columns import Figures, print_columns, rounds_of_servers
from shards import Kept, engine_with_queues
from tidewire.core.ids import UserId
from tidewire.engine.engine import Engine
from tidewire.ports.engine import Origin
from tidewire.replay.virtual_clock import VirtualClock
from tidewire.storage.directory import open_directory

QUEUES = 50_000
START = 1_800_000_000.0
SPREAD = 60
"""Seconds after which every one of them is due, wherever chance put it."""


def main(*, rounds: int) -> None:
    """Measures and prints."""
    clock, soon = VirtualClock(START), deque[Callable[[], None]]()
    found: dict[str, list[Figures]] = {"spread as by chance": [], "all due in one second": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(open_directory(Path(folder), durability="process")) as store,
    ):
        store.recover()
        journal = store.journal(origin=Origin("benchmark"), on_durable=lambda: None, on_failed=print)
        engine, queue_ids = engine_with_queues(QUEUES, clock=clock, journal=journal, call_soon=soon.append)
        acknowledged = -1
        for _ in range(rounds_of_servers(rounds)):
            for name, step in zip(found, (1, SPREAD), strict=True):
                slots = _wait(engine, queue_ids, acknowledged)
                found[name].append(_sweep(engine, clock, soon, step))
                acknowledged += 1
                assert all(slot.answer is not None for slot in slots)
    print_columns(f"A heartbeat to each of {QUEUES:,} waiting queues, durability process", found)


def _wait(engine: Engine, queue_ids: list[str], acknowledged: int) -> list[Kept]:
    slots = [Kept() for _ in queue_ids]
    for user, (queue_id, slot) in enumerate(zip(queue_ids, slots, strict=True)):
        engine.poll(queue_id, user_id=UserId(user), last_event_id=acknowledged, block=True, waiter=slot)
    # The record that they were here is another tick's.
    engine.tick()
    return slots


def _sweep(engine: Engine, clock: VirtualClock, soon: deque[Callable[[], None]], step: int) -> Figures:
    """Ticks once each `step` seconds until all are due; what each turn of the loop takes."""
    turns: list[float] = []

    def turn(work: Callable[[], object]) -> None:
        began = time.process_time()
        work()
        turns.append((time.process_time() - began) * 1000)

    for _ in range(0, SPREAD, step):
        clock.advance(step)
        turn(engine.tick)
        while soon:
            turn(soon.popleft())
    return {"us a queue": sum(turns) * 1000 / QUEUES, "longest turn ms": max(turns), "turns": len(turns)}
