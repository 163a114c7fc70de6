"""A start after a crash: time to the first answer and memory; and how long a snapshot holds the loop."""

import gc
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from shards import Kept
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.shard import Shard
from tidewire.engine.clock import ShardClock
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.engine.recovery import recover
from tidewire.observability.process import resident_memory
from tidewire.ports.engine import Origin
from tidewire.ports.storage import StateStore
from tidewire.replay.strict_reporter import RaisingReporter
from tidewire.server.server import GC_THRESHOLDS
from tidewire.storage.directory import open_directory
from tidewire.storage.in_memory import MemoryStore

QUEUES = 10_000
MESSAGES = 20
TEXT = "x" * 600


def main(*, rounds: int) -> None:
    """Measures and prints; the cases are too large to be repeated `rounds` times, so each runs once."""
    del rounds
    print("\nRecovery, each in a process of its own that does nothing else")
    for title, distinct in (("the same 20 messages", False), ("20 distinct messages each", True)):
        for kept in ("records", "snapshot"):
            with tempfile.TemporaryDirectory() as folder:
                _live(Path(folder), distinct=distinct, snapshot=kept == "snapshot")
                gc.collect()
                command = [sys.executable, __file__, folder]
                found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves
            print(f"  {QUEUES:,} queues, {title}, from {kept}: {found.stdout.strip()}")
    for queues in (50_000,):
        print(f"  a snapshot of {queues:,} queues and 1,000,000 notice ids: {_slices(queues)}")


def _engine(store: StateStore, shard: Shard[PollWaiter], soon: deque[Callable[[], None]]) -> Engine:
    numbers = iter(range(10**9))
    return Engine(
        shard=shard,
        journal=store.journal(origin=Origin("bench"), on_durable=lambda: None, on_failed=lambda _: None),
        clock=ShardClock(wall=time.time, monotonic=time.monotonic),
        reporter=RaisingReporter(),
        new_queue_id=lambda: f"queue-{next(numbers)}",
        chance=lambda: 0.5,
        call_soon=soon.append,
    )


def _live(folder: Path, *, distinct: bool, snapshot: bool) -> None:
    """Leaves in a folder what a server with full queues leaves."""
    store = open_directory(folder, durability="process")
    store.recover()
    engine = _engine(store, Shard(), deque())
    for user in range(QUEUES):
        engine.register(QueueSpec(user_id=UserId(user), realm_id=RealmId(1)), Kept())
    for number in range(MESSAGES):
        for users in [[user] for user in range(QUEUES)] if distinct else [list(range(QUEUES))]:
            event = {"type": "benchmark", "text": f"{number} {users[0]} {TEXT}"}
            engine.publish([decode_notice(msgspec.json.encode({"event": event, "users": users}))], Kept())
    if snapshot:
        engine.final_snapshot()
    store.close()


def _recover(folder: Path) -> str:
    """What a start does, and how much this process grows by it."""
    gc.set_threshold(*GC_THRESHOLDS)
    gc.collect()
    before, began, cpu = resident_memory(), time.perf_counter(), time.process_time()
    store = open_directory(folder, durability="process")
    shard: Shard[PollWaiter] = Shard()
    report = recover(store, shard, fingerprint="bench")
    engine = _engine(store, shard, deque())
    engine.begin(resumed=report.resumed)
    slot = Kept()
    engine.poll("queue-77", user_id=UserId(77), last_event_id=-1, block=False, waiter=slot)
    cpu, taken = time.process_time() - cpu, time.perf_counter() - began
    assert slot.answer is not None
    grown = (resident_memory() - before) / 1e6
    queues = [descriptor.queue for descriptor in shard._state.directory]  # noqa: SLF001 - its memory is measured
    # By identity: what is shared is one object, and what should be and is not counts twice.
    bodies = {id(body): len(body) for queue in queues for _, body, _ in queue.entries}
    size = sum(bodies.values()) / 1e6
    return (
        f"{taken:.2f} s to the first answer ({cpu:.2f} s CPU), {grown:.0f} MB more; "
        f"the {len(bodies):,} bodies are {size:.0f} MB"
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


if __name__ == "__main__":
    print(_recover(Path(sys.argv[1])))
