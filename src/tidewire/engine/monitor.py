"""What an engine tells its reporter once a tick: things that may happen far more often than a log is read."""

from collections.abc import Iterable

from tidewire.core.records import Reason
from tidewire.core.shard import Shard
from tidewire.core.state.state import Batch
from tidewire.ports.engine import Clock, Collection, Reporter, Waiter

BOUNDS: tuple[Reason, ...] = ("overflow", "limit", "memory")
"""Reasons for which a queue ends that its client did not bring about by staying away."""


class ShardMonitor:
    """Looks at a shard and its clock, and reports what is new."""

    def __init__(self, *, shard: Shard[Waiter[Batch]], clock: Clock, reporter: Reporter) -> None:
        self._shard = shard
        self._clock = clock
        self._reporter = reporter
        self._skipped = clock.skipped
        self._lost = shard.statistics.notifications_lost
        self._removed = {reason: shard.statistics.removed[reason] for reason in BOUNDS}

    def report(self) -> None:
        """To be called once a tick, after the clock's."""
        for failure in self._shard.take_rule_failures():
            self._reporter.rule_failed(failure)
        skipped = self._clock.skipped
        if skipped > self._skipped:
            # A request since the last tick may have been the first to notice.
            self._reporter.clock_skipped(skipped - self._skipped)
            self._skipped = skipped
        lost = self._shard.statistics.notifications_lost
        if lost > self._lost:
            # An outbox that nobody reads loses one for each that comes.
            self._reporter.notifications_lost(lost - self._lost)
            self._lost = lost
        self._report_ended()

    def _report_ended(self) -> None:
        removed = self._shard.statistics.removed
        ended = {reason: removed[reason] - before for reason, before in self._removed.items()}
        if any(ended.values()):
            # Under a flood it may be thousands.
            self._reporter.queues_gave_way({reason: count for reason, count in ended.items() if count})
            self._removed = {reason: removed[reason] for reason in BOUNDS}

    def owners(self, queue_ids: Iterable[str]) -> int:
        """How many users own these queues, as long as they are there."""
        queues = [self._shard.find(queue_id) for queue_id in queue_ids]
        return len({queue.spec.user_id for queue in queues if queue is not None})

    def collected(self, expired: int, owners: int, seconds: float) -> None:
        """Notes that the collector ran, how long it took and what it removed (R11.10)."""
        queues, waiting = self._shard.queues(), self._shard.waiting()
        self._reporter.collected(Collection(expired, owners, seconds, queues, waiting))
