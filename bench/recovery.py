"""A start after a crash: time to the first answer and memory; and how long a snapshot holds the loop."""

import gc
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from shards import Kept
from tidewire.clock import ShardClock
from tidewire.core.descriptor import QueueSpec
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notice import decode_notice
from tidewire.core.shard import Shard
from tidewire.engine import Engine, PollSlot
from tidewire.recovering import recover
from tidewire.replay.reporting import RaisingReporter
from tidewire.storage.memory import MemoryStore

QUEUES = 10_000
MESSAGES = 20
TEXT = "x" * 600


def main(*, rounds: int) -> None:
    """Measures and prints; the cases are too large to be repeated `rounds` times, so each runs once."""
    del rounds
    print("\nRecovery")
    for title, distinct in (("the same 20 messages", False), ("20 distinct messages each", True)):
        for kept in ("records", "snapshot"):
            store = _lived(distinct=distinct, snapshot=kept == "snapshot")
            gc.collect()
            print(f"  {QUEUES:,} queues, {title}, from {kept}: {_recovered(store)}")
    for queues in (50_000,):
        print(f"  a snapshot of {queues:,} queues and 1,000,000 notice ids: {_slices(queues)}")


def _engine(store: MemoryStore, shard: Shard[PollSlot], soon: deque[Callable[[], None]]) -> Engine:
    numbers = iter(range(10**9))
    return Engine(
        shard=shard,
        journal=store.journal(fingerprint="bench", on_durable=lambda: None, on_failed=lambda _: None),
        clock=ShardClock(wall=time.time, monotonic=time.monotonic),
        reporter=RaisingReporter(),
        new_queue_id=lambda: f"queue-{next(numbers)}",
        chance=lambda: 0.5,
        call_soon=soon.append,
    )


def _lived(*, distinct: bool, snapshot: bool) -> MemoryStore:
    """What a server with full queues leaves."""
    store = MemoryStore()
    engine = _engine(store, Shard(), deque())
    for user in range(QUEUES):
        engine.register(QueueSpec(user_id=UserId(user), realm_id=RealmId(1)), Kept())
    for number in range(MESSAGES):
        for users in [[user] for user in range(QUEUES)] if distinct else [list(range(QUEUES))]:
            event = {"type": "benchmark", "text": f"{number} {users[0]} {TEXT}"}
            engine.publish([decode_notice(msgspec.json.encode({"event": event, "users": users}))], Kept())
    if snapshot:
        engine.keep()
    return store


def _recovered(store: MemoryStore) -> str:
    before, began = _resident(), time.process_time()
    shard: Shard[PollSlot] = Shard()
    comeback = recover(store, shard, fingerprint="bench")
    engine = _engine(store, shard, deque())
    engine.begin(resumed=comeback.resumed)
    slot = Kept()
    engine.poll("queue-77", user_id=UserId(77), last_event_id=-1, block=False, slot=slot)
    taken = time.process_time() - began
    assert slot.answer is not None
    gc.collect()
    bodies = {body for descriptor in shard._state.directory for _, body, _ in descriptor.queue.entries}  # noqa: SLF001 - its memory is measured
    size = sum(map(len, bodies)) / 1e6
    return (
        f"{taken:.2f} s to the first answer, {_resident() - before:.0f} MB more; the bodies are {size:.0f} MB"
    )


def _slices(queues: int) -> str:
    """The longest time that the loop is held by one step of a snapshot."""
    soon: deque[Callable[[], None]] = deque()
    store = MemoryStore()
    engine = _engine(store, Shard(), soon)
    for user in range(queues):
        engine.register(QueueSpec(user_id=UserId(user), realm_id=RealmId(1)), Kept())
    for number in range(1000):
        notices = [
            decode_notice(
                msgspec.json.encode(
                    {
                        "id": f"notice {number} {index}",
                        "event": {"type": "benchmark", "n": number, "text": TEXT},
                        "users": [(number * 1000 + index) % queues],
                    }
                )
            )
            for index in range(1000)
        ]
        engine.publish(notices, Kept())
    gc.collect()
    steps: list[float] = []

    def measure(step: Callable[[], None]) -> None:
        began = time.process_time()
        step()
        steps.append((time.process_time() - began) * 1000)

    measure(engine.begin_snapshot)
    while soon:
        measure(soon.popleft())
    middle = sorted(steps)[len(steps) // 2]
    return (
        f"{len(steps)} steps, {sum(steps):.0f} ms in all, {middle:.1f} ms a step, {max(steps):.1f} ms at most"
    )


def _resident() -> float:
    """Megabytes of memory in use."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0
