"""20,000 queues that nobody reads, under a flood: what the process grows to, against the memory budget."""

import gc
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from shards import Kept
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.shard import Shard
from tidewire.core.state.limits import Limits
from tidewire.engine.clock import ShardClock
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.observability.process import resident_memory
from tidewire.replay.strict_reporter import RaisingReporter
from tidewire.server.server import GC_THRESHOLDS
from tidewire.storage.journal import NullJournal

QUEUES = 20_000
BUDGET = 128 * 1024 * 1024
TICK_EVERY = 50
"""Notices between two ticks: a second of a flood."""

SIZES = (100, 600, 4000)
FLOODS = ("to all", "to each its own", "both")


def main(*, rounds: int) -> None:
    """Measures and prints; each flood in a process of its own, once."""
    del rounds
    print(f"\n{QUEUES:,} abandoned queues, budget {BUDGET / 1e6:.0f} MB")
    for flood in FLOODS:
        for size in SIZES:
            command = [sys.executable, __file__, flood, str(size)]
            ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this file
            row = json.loads(ran.stdout)
            print(
                f"  {flood:16} {size:5} bytes: grows by {row['most'] / BUDGET:4.0%} of the budget at most, "
                f"counted {row['counted'] / BUDGET:4.0%}; {row['ended']:,} queues ended, "
                f"{row['empty']:.0f} bytes an empty queue, {row['longest']:.0f} ms the longest step"
            )


class _Abandoned:
    """An engine with queues that nobody reads."""

    def __init__(self) -> None:
        soon: deque[Callable[[], None]] = deque()
        numbers = iter(range(10**9))
        gc.collect()
        self._before = resident_memory()
        self._shard: Shard[PollWaiter] = Shard(
            limits=Limits(memory_budget=BUDGET, max_events=0, max_bytes=0, max_per_user=0)
        )
        self.engine = Engine(
            shard=self._shard,
            journal=NullJournal(),
            clock=ShardClock(wall=time.time, monotonic=time.monotonic),
            reporter=RaisingReporter(),
            # As long as in the server.
            new_queue_id=lambda: f"{next(numbers):036}",
            chance=lambda: 0.5,
            call_soon=soon.append,
            resident=resident_memory,
        )
        self.most = 0
        self.counted = 0
        self.longest = 0.0
        self.fill()
        self.empty = (resident_memory() - self._before) / QUEUES

    def fill(self) -> None:
        """Makes queues until there are as many as wanted."""
        for user in range(self._shard.queues(), QUEUES):
            spec = QueueSpec(user_id=UserId(user), realm_id=RealmId(1), rights=bytes([user % 256]) * 8)
            self.engine.register(spec, Kept())

    def publish(self, event: dict[str, Any], users: list[int]) -> None:
        """One notice, and a look at what it took."""
        notice = decode_notice(msgspec.json.encode({"event": event, "users": users}))
        began = time.process_time()
        self.engine.publish([notice], Kept())
        self.longest = max(self.longest, (time.process_time() - began) * 1000)

    def look(self) -> None:
        """Notes the memory that is in use."""
        self.most = max(self.most, resident_memory() - self._before)
        self.counted = max(self.counted, self._shard.memory_used)

    @property
    def ended(self) -> int:
        """Queues that gave way."""
        return self._shard.statistics.removed["memory"]


def _flood(kind: str, size: int) -> dict[str, Any]:
    """Publishes several times as much as there is room for."""
    abandoned = _Abandoned()
    everybody = list(range(QUEUES))
    room = 3 * BUDGET
    number = 0
    while room > 0:
        event = {"type": "benchmark", "n": number, "text": "x" * size}
        if kind == "to all" or (kind == "both" and number % 50 == 0):
            abandoned.publish(event, everybody)
            room -= QUEUES * 110
        else:
            abandoned.publish(event, [number % QUEUES])
            room -= size + 200
        number += 1
        if number % TICK_EVERY == 0:
            abandoned.look()
        if number % (TICK_EVERY * (1 if kind == "to all" else 100)) == 0:
            abandoned.engine.tick()
            abandoned.fill()
    abandoned.look()
    return {
        "most": abandoned.most,
        "counted": abandoned.counted,
        "ended": abandoned.ended,
        "empty": abandoned.empty,
        "longest": abandoned.longest,
    }


if __name__ == "__main__":
    gc.set_threshold(*GC_THRESHOLDS)
    print(json.dumps(_flood(sys.argv[1], int(sys.argv[2]))))
