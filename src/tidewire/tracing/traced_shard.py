"""A shard that sees what becomes of traced notices."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar

from tidewire.core.delivery.dispatch import Dispatch, Dispatching, Failure
from tidewire.core.events.coalescing import MergeRule
from tidewire.core.events.presentation import Presentation
from tidewire.core.events.shaped_event import Representation
from tidewire.core.ids import UserId
from tidewire.core.notices.notice import Notice
from tidewire.core.notifications.decisions import PendingNotification
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.queues.ended import UNKNOWN
from tidewire.core.records import Published, Record, Removed, Ticked
from tidewire.core.shard import Shard
from tidewire.core.state.limits import Limits
from tidewire.core.state.state import Batch, State
from tidewire.core.state.statistics import Stopwatch
from tidewire.core.transitions import polling
from tidewire.core.transitions.publish_batch import PublishBatch
from tidewire.tracing.traces import Publishing, Reach, Reached, Traces

W = TypeVar("W")


class TracedDispatch(Dispatch[W]):
    """A traced notice on its way into queues: notes which it reaches."""

    __slots__ = ("_first", "_more", "_most", "_refused")

    def __init__(self, state: State[W], notice: Notice, *, most: int) -> None:
        """Notes the first `most` deliveries, and counts the others."""
        super().__init__(state, notice.realm_id)
        self._most = most
        self._first: list[tuple[Descriptor[W], int, Representation]] = []
        self._more = 0
        self._refused = 0

    def push(
        self,
        descriptor: Descriptor[W],
        shaped: Representation,
        suffix: bytes = b"",
        missed: PendingNotification | None = None,
    ) -> None:
        """Adds an event to a queue, and notes the delivery in the notice's trace."""
        event_id = descriptor.queue.next_event_id
        super().push(descriptor, shaped, suffix, missed)
        if len(self._first) < self._most:
            self._first.append((descriptor, event_id, shaped))
        else:
            self._more += 1

    def refuse(self, descriptor: Descriptor[W], kind: str, refusal: str) -> None:
        """Notes that a queue did not take an event, and why."""
        super().refuse(descriptor, kind, refusal)
        self._refused += 1

    def reach(self) -> Reach:
        """Whom the notice reached."""
        encoded = [shaped for shaped in self._representations if shaped.encoded]
        variants = {id(shaped): variant for variant, shaped in enumerate(encoded)}
        first = [
            Reached(
                descriptor.queue_id,
                event_id,
                descriptor.spec.user_id,
                descriptor.spec.realm_id,
                variants[id(shaped)],
            )
            for descriptor, event_id, shaped in self._first
        ]
        return Reach(first, self._more, self._refused, len(self.failures))


class TracedShard(Shard[W]):
    """A shard whose `traces` are told what becomes of traced notices.

    What recovery repeats is not traced: only parts and polls are looked at, and records that end queues.
    """

    __slots__ = ("traces",)

    def __init__(
        self,
        traces: Traces,
        *,
        limits: Limits | None = None,
        rules: Mapping[str, MergeRule] = MappingProxyType({}),
        presentation: Presentation | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        super().__init__(limits=limits, rules=rules, presentation=presentation, stopwatch=stopwatch)
        self.traces = traces

    def apply(self, record: Record) -> list[Failure]:
        """Carries out a record, with traces for its notices."""
        failures = super().apply(record)
        if self.traces.queues:
            if isinstance(record, Removed):
                self._look_for_ended([record.queue_id])
            elif isinstance(record, Ticked) and record.expired:
                self._look_for_ended(record.expired)
        return failures

    def apply_part(
        self, record: Published, part: PublishBatch, by: Dispatching[W] | None = None
    ) -> list[Failure]:
        """Carries out a record whose notices are decoded, with traces for them."""
        traces = self.traces
        if not (traces.publishing or traces.queues):
            return super().apply_part(record, part, by)
        before = self.queues()
        failures = (
            self._apply_traced(record, part) if traces.publishing else super().apply_part(record, part, by)
        )
        if self.queues() < before:
            # Some notices end queues, even one that another notice of the part has just reached.
            self._look_for_ended(list(traces.queues))
        return failures

    def _apply_traced(self, record: Published, part: PublishBatch) -> list[Failure]:
        traces = self.traces
        dispatches: list[tuple[Publishing, TracedDispatch[W]]] = []

        def dispatching(notice: Notice) -> Dispatch[W]:
            publishing = traces.publishing.get(notice)
            if publishing is None:
                return Dispatch(self._state, notice.realm_id)
            dispatch = TracedDispatch(self._state, notice, most=traces.per_notice)
            dispatches.append((publishing, dispatch))
            return dispatch

        failures = super().apply_part(record, part, dispatching)
        for publishing, dispatch in dispatches:
            traces.carried_out(publishing, dispatch.reach(), record.now)
        return failures

    def poll(
        self,
        queue_id: str,
        *,
        user_id: UserId,
        last_event_id: int,
        block: bool,
        waiter: W,
        now: float,
        heartbeat_at: float,
    ) -> Batch | None:
        """Answers or parks a poll, and notes in the traces which events it acknowledges."""
        # Not by way of `super`, which would cost each poll another call with all of this.
        batch = polling.poll(
            self._state,
            queue_id,
            user_id=user_id,
            last_event_id=last_event_id,
            block=block,
            waiter=waiter,
            now=now,
            heartbeat_at=heartbeat_at,
        )
        if queue_id in self.traces.queues:
            self.traces.acknowledged(queue_id, last_event_id, now)
            if batch is not None:
                self._sent(batch, now)
        return batch

    def take_ready(self, limit: int, *, now: float) -> list[tuple[W, Batch]]:
        """Takes up to `limit` polls with events for them, and notes in the traces that they were sent."""
        taken = super().take_ready(limit, now=now)
        queues = self.traces.queues
        if queues:
            for _, batch in taken:
                if batch.queue_id in queues:
                    self._sent(batch, now)
        return taken

    def _sent(self, batch: Batch, now: float) -> None:
        if batch.entries:
            self.traces.sent(batch.queue_id, batch.entries[-1][0], now)

    def _look_for_ended(self, queue_ids: Iterable[str]) -> None:
        state, traces, now = self._state, self.traces, self.recorded_at
        ended = {queue_id for queue_id in queue_ids if queue_id in traces.queues and not self.find(queue_id)}
        if not ended:
            return
        for _, batch in state.finished:
            # Who waited on such a queue gets what is left of it.
            if batch.queue_id in ended:
                self._sent(batch, now)
        for queue_id in ended:
            end = state.tombstones.end_of(queue_id)
            traces.ended(queue_id, UNKNOWN if end is None else end[0], now)
