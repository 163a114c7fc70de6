"""Engines for the benchmarks: in process, with a real clock and no journal unless they are given others."""

import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from tidewire.core.events.capabilities import Capabilities
from tidewire.core.ids import RealmId, UserId
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.shard import Shard
from tidewire.core.state.limits import Limits
from tidewire.core.state.statistics import Stopwatch
from tidewire.engine.clock import ShardClock
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.ports.engine import Clock
from tidewire.ports.storage import Journal
from tidewire.replay.strict_reporter import RaisingReporter
from tidewire.storage.journal import NullJournal
from tidewire.tracing.traced_engine import kind_for


class Kept:
    """A slot that keeps its newest answer."""

    def __init__(self) -> None:
        self.answer: object = None

    def complete(self, answer: object) -> None:
        """Takes it."""
        self.answer = answer


PLAIN = (Capabilities(),)


def engine_with_queues(
    count: int,
    capabilities: Sequence[Capabilities] = PLAIN,
    *,
    clock: Clock | None = None,
    journal: Journal | None = None,
    call_soon: Callable[[Callable[[], None]], object] | None = None,
    limits: Limits | None = None,
    shard: Shard[PollWaiter] | None = None,
    stopwatch: Stopwatch | None = None,
) -> tuple[Engine, list[str]]:
    """An engine with one queue for each of the users 0 to `count`, whose capabilities take turns; returns their ids too."""
    if shard is None:
        shard = Shard(limits=limits, stopwatch=stopwatch)
    numbers = itertools.count()
    engine = kind_for(shard)(
        shard=shard,
        journal=journal or NullJournal(),
        clock=clock or ShardClock(wall=time.time, monotonic=time.monotonic),
        reporter=RaisingReporter(),
        new_queue_id=lambda: f"queue-{next(numbers)}",
        chance=random.Random(1).random,
        call_soon=call_soon or deque[Callable[[], None]]().append,
    )
    queue_ids = []
    for user in range(count):
        slot = Kept()
        spec = QueueSpec(
            user_id=UserId(user), realm_id=RealmId(1), capabilities=capabilities[user % len(capabilities)]
        )
        engine.register(spec, slot)
        queue_ids.append(str(slot.answer))
    return engine, queue_ids


def acknowledge_all(engine: Engine, queue_ids: Iterable[str]) -> None:
    """Drops what the queues hold, as if their clients had polled."""
    for queue_id in queue_ids:
        descriptor = engine.shard.find(queue_id)
        assert descriptor is not None
        descriptor.queue.prune(descriptor.queue.next_event_id - 1)
