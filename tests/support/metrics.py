"""A shard in process with its metrics, and a clock for them that stands still."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from tidewire.core.events.capabilities import Capabilities
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.shard import Shard
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.engine.recovery import RecoveryReport
from tidewire.observability.counters import HttpStatistics, JournalStatistics
from tidewire.observability.metrics.event_times import EventTimes
from tidewire.observability.metrics.exposition import Exposition
from tidewire.observability.metrics.metric import Sources
from tidewire.observability.metrics.reporter import CountingReporter
from tidewire.observability.process import Process
from tidewire.ports.bus import BusState, Embedded
from tidewire.replay.strict_reporter import RaisingReporter
from tidewire.replay.virtual_clock import VirtualClock
from tidewire.storage.journal import NullJournal


class _Slot:
    """Keeps its answer."""

    def __init__(self) -> None:
        self.answer: Any = None

    def complete(self, answer: object) -> None:
        """Takes it."""
        self.answer = answer


class Watched:
    """The shard, and what is done to it."""

    def __init__(self, bus: Callable[[], BusState]) -> None:
        self.seconds = 0.0
        times = EventTimes()
        shard: Shard[PollWaiter] = Shard(stopwatch=times)
        self.reported = CountingReporter(RaisingReporter())
        self.http = HttpStatistics()
        numbers = iter(range(1_000_000))
        self.engine = Engine(
            shard=shard,
            journal=NullJournal(),
            clock=VirtualClock(1_790_000_000.0),
            reporter=self.reported,
            new_queue_id=lambda: f"queue-{next(numbers)}",
            chance=lambda: 0.5,
            call_soon=deque[Callable[[], None]]().append,
        )
        self.exposition = Exposition(
            shard,
            Sources(
                version="1.2.3",
                statistics=shard.statistics,
                event_times=times,
                journal=JournalStatistics(),
                tail_bytes=lambda: 7,
                journal_fails=lambda: False,
                reported=self.reported,
                comeback=RecoveryReport(
                    anything=True,
                    resumed=False,
                    queues=3,
                    records=2,
                    skipped=(),
                    failures=0,
                    upgraded=(),
                    gave_way=(),
                    damaged=(),
                    lost_queues=0,
                    damage=(),
                    snapshot_size=0,
                    seconds=0.5,
                ),
                http=self.http,
                suppressed={},
                bus=bus,
                process=Process(resident=lambda: 4096),
                memory_budget=1_000_000,
            ),
            timer=lambda: self.seconds,
        )

    def register(self, user: int, **spec: Any) -> str:
        """Makes a queue and returns its id."""
        slot = _Slot()
        spec.setdefault("capabilities", Capabilities())
        self.engine.register(QueueSpec(user_id=UserId(user), realm_id=RealmId(1), **spec), slot)
        return str(slot.answer)

    def publish(self, event: Mapping[str, Any], *users: int, notice_id: str | None = None) -> None:
        """Publishes an event."""
        notice = {"event": event, "users": users, "id": notice_id}
        self.engine.publish([decode_notice(msgspec.json.encode(notice))], _Slot())

    def park(self, user: int, last_event_id: int) -> None:
        """Has the user's newest queue wait."""
        queue_id = self.engine.shard.queues_of([UserId(user)])[-1]
        self.engine.poll(
            queue_id, user_id=UserId(user), last_event_id=last_event_id, block=True, waiter=_Slot()
        )

    def acknowledge(self, user: int, last_event_id: int) -> None:
        """Has the user's newest queue acknowledge, without waiting."""
        queue_id = self.engine.shard.queues_of([UserId(user)])[-1]
        self.engine.poll(
            queue_id, user_id=UserId(user), last_event_id=last_event_id, block=False, waiter=_Slot()
        )

    def ids(self) -> list[str]:
        """The queues there are."""
        return [*self.engine.shard.queue_ids()]

    def delete(self, user: int, queue_id: str) -> None:
        """Ends a queue."""
        self.engine.delete(queue_id, user_id=UserId(user), waiter=_Slot())


def watched(*, bus: Callable[[], BusState] | None = None) -> Watched:
    """An empty shard."""
    return Watched(bus or Embedded().state)


def parsed(text: str) -> dict[str, float]:
    """Samples by name and labels, as Prometheus would show them."""
    return {
        sample.name + _shown(sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _shown(labels: Mapping[str, str]) -> str:
    inside = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{{{inside}}}" if inside else ""


async def samples(server: Watched) -> dict[str, float]:
    """What a scrape gives."""
    async with asyncio.timeout(60):
        body, _ = await server.exposition.render("")
    return parsed(body.decode())
