"""The engine: turns the crank of one shard.

It adds to the core what the core must not have: the time, new ids, chance, and the journal. For each input
it decides, journals, applies, and hands answers to the slots that wait for them. Everything is synchronous;
a loop is needed only as something that calls a function soon.

A *waiter* is the completion callback of one request, a poll or a publication: an object whose `complete` is called
exactly once, at once or later. An answer leaves only when the journal has made durable what it shows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import structs

from tidewire.core.delivery.dispatch import Failure
from tidewire.core.errors import Unavailable
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notices.notice import Notice
from tidewire.core.notifications.outbox import OutboxPage
from tidewire.core.persistence.snapshot import Snapshot
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.records import Announced, Record, Removed, Restarted, Ticked
from tidewire.core.shard import Shard
from tidewire.core.state.state import Batch
from tidewire.core.transitions.publish_batch import PublishBatch
from tidewire.engine.delivery import PollRecorder, PollResponder
from tidewire.engine.durability import DurabilityGate
from tidewire.engine.enforcement import LimitEnforcer
from tidewire.engine.monitor import ShardMonitor
from tidewire.engine.snapshots import TAIL_AT_LEAST, SnapshotScheduler
from tidewire.engine.timing import HELD_MOST, EngineTiming, run_inline
from tidewire.engine.transfer import DumpTransfer, RelocationSteps
from tidewire.ports.engine import BackgroundRunner, Clock, Reporter, Waiter
from tidewire.ports.storage import Journal

PollWaiter: TypeAlias = Waiter[Batch]


class Engine:
    """Drives one shard: adds time and ids to each input, journals the core's record, applies it and answers."""

    def __init__(
        self,
        *,
        shard: Shard[PollWaiter],
        journal: Journal,
        clock: Clock,
        reporter: Reporter,
        new_queue_id: Callable[[], str],
        chance: Callable[[], float],
        call_soon: Callable[[Callable[[], None]], object],
        timing: EngineTiming | None = None,
        background: BackgroundRunner = run_inline,
        on_failing: Callable[[bool], None] = lambda _: None,
        snapshot_size: int = 0,
        snapshot_after: int = TAIL_AT_LEAST,
        resident: Callable[[], int] = lambda: 0,
    ) -> None:
        """Takes everything it needs as arguments.

        Args:
            shard: empty, or recovered; then `begin` comes first.
            journal: where records go before they are applied.
            clock: the shard's time.
            reporter: told of what went wrong without stopping anything.
            new_queue_id: a fresh, unguessable queue id (R1.2).
            chance: a number from 0 up to 1, to spread heartbeats.
            call_soon: calls a function after other work had a turn.
            timing: the times to keep.
            background: does what would hold the loop.
            on_failing: told when the journal ceases to be writable (True), and when it is again.
            snapshot_size: bytes of the snapshot that the shard was recovered from.
            snapshot_after: bytes of records below which no further snapshot is taken.
            resident: bytes of memory that the process takes; 0 when that is unknown.
        """
        self._shard, self._clock, self._reporter = shard, clock, reporter
        self._new_queue_id, self._chance = new_queue_id, chance
        self._timing = timing or EngineTiming()
        self._heartbeat_spread = self._timing.heartbeat_spread
        self._collect_at = clock.now() + self._timing.collect_every
        self._monitor = ShardMonitor(shard=shard, clock=clock, reporter=reporter)
        self._gate = DurabilityGate(shard=shard, journal=journal, reporter=reporter, on_failing=on_failing)
        self._responder = PollResponder(shard=shard, gate=self._gate, clock=clock, call_soon=call_soon)
        self._recorder = PollRecorder(shard, clock, self._commit, call_soon)
        ending, answer = self._responder.end_polls_empty, self._gate.answer
        self._enforcer = LimitEnforcer(
            shard=shard, clock=clock, commit=self._commit, silence=ending, resident=resident
        )
        self.dumps = DumpTransfer(shard, clock, self._commit, self._enforcer.enforce_limits, answer)
        self.relocation_steps = RelocationSteps(shard, clock, self._commit, answer, ending)
        self._scheduler = SnapshotScheduler(
            shard=shard,
            journal=journal,
            clock=clock,
            reporter=reporter,
            call_soon=call_soon,
            background=background,
            settled=lambda: self._gate.settled,
            size=snapshot_size,
            tail_at_least=snapshot_after,
        )

    def begin(
        self,
        *,
        resumed: bool,
        upgraded: Iterable[QueueId] = (),
        gave_way: Iterable[Removed] = (),
        damaged: Iterable[QueueId] = (),
        rights: Callable[[UserId], bytes] | None = None,
    ) -> None:
        """Takes over what an earlier process left; comes before everything else (D4).

        Args:
            resumed: records were applied on top of a snapshot, or without one.
            upgraded: queues that end because records of other rules may have changed them.
            gave_way: ends of queues that had no room when the state was loaded.
            damaged: queues that end because something of them could not be read.
            rights: what a user's queues rest on now; those that were made under other rights end.

        Raises:
            Unavailable: the journal can't be written.
        """
        now = self._clock.now()
        self._commit(Restarted(now=now, resumed=resumed))
        ends = [structs.replace(record, now=now) for record in gave_way]
        for record in (*ends, *self._shard.decide_upgrade(upgraded, now=now)):
            self._commit(record)
        for record in self._shard.decide_damaged(damaged, now=now):
            self._commit(record)
        if rights is not None:
            self._enforcer.revoke_changed(rights)
        self._enforcer.enforce_limits()

    # Requests. Each raises at once what is wrong with it, or completes its slot once.

    def register(self, spec: QueueSpec, waiter: Waiter[QueueId]) -> None:
        """Makes a queue and answers with its id; another of the user's may end for it (`core/transitions/removal.py`).

        Raises:
            UserDeactivated: the user's rights were revoked.
            BadRequest: the narrow is not supported (R12.4), or the user has too many queues in use (R6.56).
            Unavailable: the journal can't be written, or there is no memory left; nothing was made.
        """
        self._enforcer.check(spec.user_id)
        queue_id = QueueId(self._new_queue_id())
        for record in self._shard.decide_register(spec, queue_id=queue_id, now=self._clock.now()):
            self._commit(record)
        self._gate.answer(waiter, queue_id)
        self._enforcer.enforce_limits()
        self.flush()

    def publish(self, notices: Sequence[Notice], waiter: Waiter[int]) -> None:
        """Carries out notices, as one record or few (`core/transitions/publish_batch.py`); answers how many, repeats included.

        Raises:
            NoticeIdReused: one of them has the id of another notice; none was taken.
            InvalidNotice: what one says can't be delivered as its type asks; none was taken.
            Unavailable: there is no memory left, or the journal can't be written; none was taken, or of several
                records a first few.
        """
        parts = self._shard.decide_publish(notices)
        try:
            for part in parts:
                self._publish_part(part)
            self._gate.answer(waiter, len(notices))
        finally:
            # Whatever became of a later part, whom an earlier one concerns is told now.
            self._responder.flush()

    def _publish_part(self, part: PublishBatch) -> None:
        record = self._shard.decide_part(part, now=self._clock.now())
        self._gate.write(record)
        for failure in self._shard.apply_part(record, part):
            self._reporter.delivery_failed(failure)
        self._enforcer.enforce_limits()
        for found in part.candidates:
            if found.contradictory:
                self._reporter.contradictory_notice(found.message_id)

    def poll(
        self, queue_id: str, *, user_id: UserId, last_event_id: int, block: bool, waiter: PollWaiter
    ) -> None:
        """Answers a poll, at once or when there is something to say (R6.38).

        Raises:
            UserDeactivated: the user's rights were revoked.
            BadEventQueueId: the user has no such queue.
            BadRequest: `last_event_id` can't be one that the client was given; nothing was changed (D-8).
            Unavailable: the user's rights are to be revoked, and the journal can't be written.
        """
        if self._gate.closed:
            self._gate.end_empty(waiter, QueueId(queue_id))
            return
        self._enforcer.check(user_id)
        now = self._clock.now()
        batch = self._shard.poll(
            queue_id,
            user_id=user_id,
            last_event_id=last_event_id,
            block=block,
            waiter=waiter,
            now=now,
            heartbeat_at=now + self._timing.heartbeat_min + self._heartbeat_spread * self._chance(),
        )
        if batch is not None:
            self._gate.answer_poll(waiter, batch, now=now, due=now + HELD_MOST if block else now)
        if self._shard.ready():
            self.flush()

    def delete(self, queue_id: str, *, user_id: UserId, waiter: Waiter[QueueId]) -> None:
        """Ends a queue; a poll that waits on it gets what is left (R2.26, R6.65).

        Raises:
            BadEventQueueId: the user has no such queue.
            Unavailable: the journal can't be written; the queue lives on.
        """
        self._gate.check_open()
        self._commit(self._shard.decide_delete(queue_id, user_id=user_id, now=self._clock.now()))
        self._gate.answer(waiter, QueueId(queue_id))
        self.flush()

    def revoke(self, user_ids: Iterable[UserId], queue_ids: Iterable[QueueId] = ()) -> int:
        """Ends every queue of users whose rights have changed, and these queues; returns how many (D11).

        While the journal can't be written, queues that are left end later, and are silent until then.
        """
        ended = self._enforcer.revoke(user_ids, queue_ids)
        self.flush()
        return ended

    def poll_disconnected(self, queue_id: str, waiter: PollWaiter) -> bool:
        """The connection of a waiting poll went away; False when it had been answered already (R2.21)."""
        return self._shard.cancel_poll(queue_id, waiter, now=self._clock.now())

    # The outbox.

    def read_outbox(self, queue: str, *, after: int, limit: int, waiter: Waiter[OutboxPage]) -> None:
        """Answers a worker with the records behind a position; raises NotFound: there is no such queue."""
        self._gate.answer(waiter, self._shard.outbox_page(queue, after=after, limit=limit))

    def acknowledge_outbox(self, queue: str, *, through: int, waiter: Waiter[int]) -> None:
        """Drops what a worker has taken; answers with the position once that is durable.

        Raises:
            NotFound: there is no such queue.
            BadRequest: the queue has not come that far.
            Unavailable: the journal can't be written; nothing was dropped.
        """
        record = self._shard.decide_acknowledge(queue, through=through, now=self._clock.now())
        if record is not None:
            self._commit(record)
        self._gate.answer(waiter, through)

    # Events of the shard's own.

    def announce_restart(self, event: Mapping[str, Any]) -> None:
        """Pushes a `restart` event to every queue that accepts it (R1.23)."""
        self._commit(self._shard.decide_restart(event, now=self._clock.now()))
        self._enforcer.enforce_limits()
        self.flush()

    def reload_clients(self, *, immediate: bool, count: int | None) -> int:
        """Tells `count` web clients of an earlier process to reload, or all; returns how many (R1.26)."""
        record: Announced = self._shard.decide_reload(immediate=immediate, count=count, now=self._clock.now())
        if record.queue_ids:
            self._commit(record)
            self._enforcer.enforce_limits()
            self.flush()
        return len(record.queue_ids)

    # Time.

    def tick(self) -> None:
        """Once a second: what polls changed, heartbeats, and in its turn the collector."""
        now = self._clock.tick()
        self._monitor.report()
        collect = bool(self._timing.collect_every) and now >= self._collect_at
        if collect:
            self._collect_at = now + self._timing.collect_every
        self._run_tick(now, collect=collect)
        self._enforcer.tick()
        self.flush()

    def collect(self) -> tuple[str, ...]:
        """Runs the collector now and returns the queues that expired (R2.24)."""
        return self._run_tick(self._clock.now(), collect=True)

    def _run_tick(self, now: float, *, collect: bool) -> tuple[str, ...]:
        self._responder.end_delayed(now)
        record = self._shard.decide_tick(now, collect=collect)
        if record is None and self._gate.failing:
            record = Ticked(now=now)  # says nothing, but shows whether it can be written
        expired = () if record is None else record.expired
        owners = self._monitor.owners(expired)
        if record is not None:
            try:
                self._commit(record)
            except Unavailable:
                self._responder.end_waits(record.heartbeats, now)
                return ()
            self._recorder.tick()
            self.flush()
        if collect:
            self._monitor.collected(len(expired), owners, self._clock.now() - now)
        self._scheduler.tick()
        return expired

    # Answers.

    def flush(self) -> None:
        """Answers the polls that have something to be told."""
        self._responder.flush()

    def release(self, limit: int) -> int:
        """Ends up to `limit` waiting polls with an empty answer, for the server's sake (D5); returns how many."""
        return self._responder.release(limit)

    def waiting(self) -> int:
        """How many polls wait."""
        return self._shard.waiting()

    def durable_moved(self) -> None:
        """The journal has made more records durable: the answers that waited for them leave."""
        self._gate.durable_moved()

    # The journal.

    def _commit(self, record: Record) -> None:
        self._gate.write(record)
        self._report(self._shard.apply(record))

    def _report(self, failures: Iterable[Failure]) -> None:
        for failure in failures:
            self._reporter.delivery_failed(failure)

    # Keeping and looking in.

    def begin_snapshot(self) -> None:
        """Begins a snapshot, if none is on its way; otherwise a tick does so when one is due."""
        self._scheduler.begin()

    def final_snapshot(self) -> bool:
        """At a clean stop: keeps everything in one snapshot, so that no tail is left; whether it could."""
        return self._scheduler.keep_now()

    def close(self) -> None:
        """The state is another process's from here on: nothing changes any more, and polls end with nothing (R9.15)."""
        self._gate.closed = True

    def snapshot(self) -> Snapshot:
        """The durable part of the shard's state."""
        return self._shard.snapshot(now=self._clock.now())

    @property
    def shard(self) -> Shard[PollWaiter]:
        """The shard, to look at."""
        return self._shard
