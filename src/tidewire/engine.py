"""The engine: turns the crank of one shard.

It adds to the core what the core must not have: time, ids, chance, the journal. For each input it decides,
journals, applies, and answers the slots that wait. All is synchronous; a loop only calls functions soon.

A *slot* is whoever waits for an answer, a poll or a confirmation alike: an object whose `complete` is called
exactly once, at once or later. An answer leaves only when the journal has made durable what it shows.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tidewire.core.batches import Part
from tidewire.core.descriptor import QueueSpec
from tidewire.core.dispatch import Failure
from tidewire.core.errors import Unavailable
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notice import Notice
from tidewire.core.outbox import OutboxPage
from tidewire.core.records import Announced, Record, Sealed
from tidewire.core.shard import Shard
from tidewire.core.snapshot import Snapshot
from tidewire.core.state import Batch
from tidewire.ports import Clock, Collection, Journal, Reporter, Slot

FLUSH_SLICE = 500
"""Answers written before other work gets a turn: some 10 ms at 20 us each. While a queue waits for its slice,
further events join its answer, so load turns into batching."""

PollSlot: TypeAlias = Slot[Batch]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """The engine's times in seconds; `collect_every` 0 turns the collector off."""

    heartbeat_min: float = 45.0
    heartbeat_max: float = 55.0
    collect_every: float = 60.0


TICK = 1.0
"""Seconds between ticks."""


class Engine:
    """One running shard."""

    def __init__(
        self,
        *,
        shard: Shard[PollSlot],
        journal: Journal,
        clock: Clock,
        reporter: Reporter,
        new_queue_id: Callable[[], str],
        chance: Callable[[], float],
        call_soon: Callable[[Callable[[], None]], object],
        pace: Pace | None = None,
    ) -> None:
        """Takes everything it needs as arguments.

        Args:
            shard: empty, or restored and begun.
            journal: where records go before they are applied.
            clock: the shard's time.
            reporter: told of what went wrong without stopping anything.
            new_queue_id: a fresh, unguessable queue id (R1.2).
            chance: a number from 0 up to 1, to spread heartbeats.
            call_soon: calls a function after other work had a turn.
            pace: the times to keep.
        """
        self._shard = shard
        self._journal = journal
        self._clock = clock
        self._reporter = reporter
        self._new_queue_id = new_queue_id
        self._chance = chance
        self._call_soon = call_soon
        self._pace = pace or Pace()
        # A deadline is acted on up to two ticks late (rounding, and the tick itself), never early.
        self._heartbeat_spread = max(0.0, self._pace.heartbeat_max - self._pace.heartbeat_min - 2 * TICK)
        self._collect_at = clock.now() + self._pace.collect_every
        self._skipped = clock.skipped
        self._losses = shard.statistics.notifications_lost
        self._position = journal.durable
        self._owed: deque[Sealed] = deque()
        self._gate: deque[tuple[int, Slot[Any], Any]] = deque()
        self._flush_booked = False

    # Requests. Each raises at once what is wrong with it, or completes its slot once.

    def register(self, spec: QueueSpec, slot: Slot[QueueId]) -> None:
        """Makes a queue and answers with its id.

        Raises:
            BadRequest: the narrow is not supported (R12.4).
            Unavailable: the journal can't be written; nothing was made.
        """
        queue_id = QueueId(self._new_queue_id())
        self._commit(self._shard.decide_register(spec, queue_id=queue_id, now=self._clock.now()))
        self._answer(slot, queue_id)

    def publish(self, notices: Sequence[Notice], slot: Slot[int]) -> None:
        """Carries out notices, as one record or few (`batches.py`); answers how many, repeats included.

        Raises:
            NoticeIdReused: one of them has the id of another notice; none was taken.
            InvalidNotice: what one says of notifications can't be read; none was taken.
            Unavailable: the journal can't be written; none was taken, or of several records a first few.
        """
        parts = self._shard.decide_publish(notices)
        repeated = len(notices)
        try:
            for part in parts:
                self._publish_part(part)
                repeated -= len(part.notices)
            self._shard.statistics.repeated += repeated
            self._answer(slot, len(notices))
        finally:
            # Whatever became of a later part, whom an earlier one concerns is told now.
            self.flush()

    def _publish_part(self, part: Part) -> None:
        record = self._shard.decide_part(part, now=self._clock.now())
        self._write(record)
        self._report(self._shard.apply_part(record, part))
        for found in part.candidates:
            if found.contradictory:
                self._reporter.contradictory_notice(found.message_id)

    def poll(
        self, queue_id: str, *, user_id: UserId, last_event_id: int, block: bool, slot: PollSlot
    ) -> None:
        """Answers a poll, at once or when there is something to say (R6.38).

        Raises:
            BadEventQueueId: the user has no such queue.
            BadRequest: `last_event_id` can't be one that the client was given; nothing was changed (D-8).
        """
        now = self._clock.now()
        batch = self._shard.poll(
            queue_id,
            user_id=user_id,
            last_event_id=last_event_id,
            block=block,
            waiter=slot,
            now=now,
            heartbeat_at=now + self._pace.heartbeat_min + self._heartbeat_spread * self._chance(),
        )
        if batch is not None:
            self._answer(slot, batch)
        if self._shard.has_ready:
            self.flush()

    def delete(self, queue_id: str, *, user_id: UserId, slot: Slot[QueueId]) -> None:
        """Ends a queue; a poll that waits on it gets what is left (R2.26, R6.65).

        Raises:
            BadEventQueueId: the user has no such queue.
            Unavailable: the journal can't be written; the queue lives on.
        """
        self._commit(self._shard.decide_delete(queue_id, user_id=user_id, now=self._clock.now()))
        self._answer(slot, QueueId(queue_id))
        self.flush()

    def revoke(self, user_ids: Iterable[UserId]) -> int:
        """Ends every queue of users whose rights have changed; returns how many (D11).

        Raises:
            Unavailable: the journal can't be written; queues not yet ended live on.
        """
        records = self._shard.decide_revoke(user_ids, now=self._clock.now())
        for record in records:
            self._commit(record)
        self.flush()
        return len(records)

    def lost(self, queue_id: str, slot: PollSlot) -> bool:
        """The connection of a waiting poll went away; False when it had been answered already (R2.21)."""
        return self._shard.unpark(queue_id, slot, now=self._clock.now())

    # The outbox.

    def read_outbox(self, queue: str, *, after: int, limit: int, slot: Slot[OutboxPage]) -> None:
        """Answers a worker with the records behind a position.

        Raises:
            NotFound: there is no such queue.
        """
        self._answer(slot, self._shard.outbox_page(queue, after=after, limit=limit))

    def acknowledge_outbox(self, queue: str, *, through: int, slot: Slot[int]) -> None:
        """Drops what a worker has taken; answers with the position once that is durable.

        Raises:
            NotFound: there is no such queue.
            BadRequest: the queue has not come that far.
            Unavailable: the journal can't be written; nothing was dropped.
        """
        record = self._shard.decide_acknowledge(queue, through=through, now=self._clock.now())
        if record is not None:
            self._commit(record)
        self._answer(slot, through)

    # Events of the shard's own.

    def announce_restart(self, event: Mapping[str, Any]) -> None:
        """Pushes a `restart` event to every queue that accepts it (R1.23)."""
        self._commit(self._shard.decide_restart(event, now=self._clock.now()))
        self.flush()

    def reload_clients(self, *, immediate: bool, count: int | None) -> int:
        """Tells `count` web clients of an earlier process to reload, or all; returns how many (R1.26)."""
        record: Announced = self._shard.decide_reload(immediate=immediate, count=count, now=self._clock.now())
        if record.queue_ids:
            self._commit(record)
            self.flush()
        return len(record.queue_ids)

    # Time.

    def tick(self) -> None:
        """Once a second: what polls changed, heartbeats, and in its turn the collector."""
        now = self._clock.tick()
        for failure in self._shard.take_rule_failures():
            self._reporter.rule_failed(failure)
        skipped = self._clock.skipped
        if skipped > self._skipped:
            # A request since the last tick may have been the first to notice.
            self._reporter.clock_skipped(skipped - self._skipped)
            self._skipped = skipped
        lost = self._shard.statistics.notifications_lost
        if lost > self._losses:
            # Once a tick: an outbox that nobody reads loses one for each that comes.
            self._reporter.notifications_lost(lost - self._losses)
            self._losses = lost
        collect = bool(self._pace.collect_every) and now >= self._collect_at
        if collect:
            self._collect_at = now + self._pace.collect_every
        self._run_tick(now, collect=collect)

    def collect(self) -> tuple[str, ...]:
        """Runs the collector now and returns the queues that expired (R2.24)."""
        return self._run_tick(self._clock.now(), collect=True)

    def _run_tick(self, now: float, *, collect: bool) -> tuple[str, ...]:
        if self._owed and not self._settle():
            return ()
        record = self._shard.decide_tick(now, collect=collect)
        if record is None:
            if collect:
                self._report_collection(0, 0, self._clock.now() - now)
            return ()
        owners = self._owners(record.expired)
        try:
            self._commit(record)
        except Unavailable as error:
            self._reporter.journal_failed(error)
            return ()
        if collect:
            self._report_collection(len(record.expired), owners, self._clock.now() - now)
        self.flush()
        return record.expired

    def _owners(self, queue_ids: Iterable[str]) -> int:
        queues = [self._shard.find(queue_id) for queue_id in queue_ids]
        return len({queue.spec.user_id for queue in queues if queue is not None})

    def _report_collection(self, expired: int, owners: int, seconds: float) -> None:
        queues, waiting = self._shard.queues(), self._shard.waiting()
        self._reporter.collected(Collection(expired, owners, seconds, queues, waiting))

    # Answers.

    def flush(self) -> None:
        """Answers the polls that have something to be told, in slices (`FLUSH_SLICE`)."""
        if not self._flush_booked:
            self._flush_slice()

    def _flush_slice(self) -> None:
        self._flush_booked = False
        for slot, batch in self._shard.take_ready(FLUSH_SLICE, now=self._clock.now()):
            self._answer(slot, batch)
        if self._shard.has_ready:
            self._flush_booked = True
            self._call_soon(self._flush_slice)

    def release(self, limit: int) -> int:
        """Ends up to `limit` waiting polls with an empty answer, for the server's sake (D5)."""
        released = self._shard.take_waiting(limit, now=self._clock.now())
        for slot, batch in released:
            self._answer(slot, batch)
        return len(released)

    def waiting(self) -> int:
        """How many polls wait."""
        return self._shard.waiting()

    def durable_moved(self) -> None:
        """The journal has made more records durable: the answers that waited for them leave."""
        durable = self._journal.durable
        while self._gate and self._gate[0][0] <= durable:
            _, slot, answer = self._gate.popleft()
            self._complete(slot, answer)

    def _answer(self, slot: Slot[Any], answer: object) -> None:
        if self._shard.has_unwritten or self._owed:
            self._settle()
        shown = self._position + len(self._owed)
        if self._gate or shown > self._journal.durable:
            self._gate.append((shown, slot, answer))
        else:
            self._complete(slot, answer)

    def _complete(self, slot: Slot[Any], answer: object) -> None:
        try:
            slot.complete(answer)
        except Exception as error:  # noqa: BLE001 - one broken connection must not keep others from theirs
            self._reporter.answer_failed(error)

    # The journal.

    def _commit(self, record: Record) -> None:
        self._write(record)
        self._report(self._shard.apply(record))

    def _report(self, failures: Iterable[Failure]) -> None:
        for failure in failures:
            self._reporter.delivery_failed(failure)

    def _write(self, record: Record) -> None:
        if self._owed and not self._settle():
            raise Unavailable("The journal can't be written")
        self._position = self._journal.append(record)

    def _settle(self) -> bool:
        """Writes the records of merges that answers are about to show; whether all could be."""
        self._owed += self._shard.take_unwritten()
        try:
            while self._owed:
                self._position = self._journal.append(self._owed[0])
                self._owed.popleft()
        except Unavailable as error:
            self._reporter.journal_failed(error)
            return False
        self.durable_moved()
        return True

    # Keeping and looking in.

    def snapshot(self) -> Snapshot:
        """The durable part of the shard's state."""
        return self._shard.snapshot(now=self._clock.now())

    @property
    def shard(self) -> Shard[PollSlot]:
        """The shard, to look at."""
        return self._shard
