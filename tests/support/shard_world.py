"""A shard behind a real engine together with the model of its clients, and what must hold between the two."""

from typing import Any

from support.core_rig import KeepingSlot, Poll, Rig
from support.core_states import check_indexes, check_snapshot, durable_form, seen_so_far
from support.notification_model import EMAIL, MOBILE
from support.shard_model import FOREVER, Client, Model
from tidewire.core.events.encoding import entry_size
from tidewire.core.notifications.outbox import OutboxPage
from tidewire.core.notifications.worker_records import stable_id, wire_record
from tidewire.core.persistence.snapshot import encode_snapshot
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.records import Published, Removed, Ticked
from tidewire.core.shard import Shard
from tidewire.engine.recovery import recover

OFFLINE_AFTER = 80
COLLECT_EVERY = 20


def check_missed(client: Client, queue: EventQueue, model: Model) -> None:
    """What stands beside a queue's entries is what the model says the owner may miss, and nothing else."""
    user_id = client.spec.user_id
    wanted = {}
    for accepted in client.unacknowledged():
        if accepted.wish is not None:
            untold = model.outbox.untold(user_id, accepted.wish)
            triggers = (accepted.wish.push, accepted.wish.email)
            left = (MOBILE in untold and triggers[0]) or None, (EMAIL in untold and triggers[1]) or None
            wanted[accepted.event_id] = (accepted.wish.message_id, triggers, left)
    found = {}
    for event_id, missed in (queue.missed or {}).items():
        left = (
            None if missed.push_notified else missed.push,
            None if missed.email_notified else missed.email,
        )
        found[event_id] = (missed.message_id, (missed.push, missed.email), left)
    assert found == wanted


class ShardWorld:
    """What the shard machine moves and looks at.

    Attributes:
        looked_at: position of the newest record that the model has followed.
        open: polls that are to be answered.
        readers: workers that wait for an answer of the outbox; `shown` is what others were given.
        trusted: whether times were regular enough that their bounds can be checked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig()
        self.model = Model()
        self.looked_at = 0
        self.open: list[Poll] = []
        self.readers: list[tuple[str, KeepingSlot[OutboxPage]]] = []
        self.shown: dict[tuple[str, int], str] = {}
        self.trusted = True

    def follow(self) -> None:
        """Takes in what the engine did: records of ticks, and answers that came."""
        self.follow_records()
        for queue, reader in self.readers:
            for place, record in reader.answers[0].records if reader.answered else ():
                # What a worker was shown stays what it was, over crashes too.
                assert self.shown.setdefault((queue, place), stable_id(record)) == stable_id(record)
        self.readers = [(queue, reader) for queue, reader in self.readers if not reader.answered]
        for slot in list(self.open):
            assert len(slot.answers) <= 1
            if slot.answered:
                assert slot.ids == sorted(set(slot.ids))
                bound = self.rig.limits.answer_max_bytes
                assert not bound or len(slot.ids) <= 1 or sum(map(entry_size, slot.answer.entries)) <= bound
                self.open.remove(slot)
            else:
                assert self.parked(slot) or self.gated(slot) or self.finished(slot) or self.delayed(slot)
        for client in self.model.clients.values():
            if client.parked and not (client.waiting and self.parked(client.waiting)):
                client.parked = False
                client.active = self.rig.clock.time
            if client.waiting is not None and client.waiting.answered:
                assert all(event_id > client.processed for event_id in client.waiting.ids)
                # Only who is displaced, whose queue ended, or whose server can't write, waits for nothing.
                assert client.waiting.ids or not client.blocks or not client.alive or not self.trusted
                client.unread = client.waiting
                client.given.update(client.waiting.ids)
                client.waiting = None

    def check_parts(self) -> None:
        """The parts of the shard agree with each other and with the model."""
        shard = self.rig.engine.shard
        state = shard._state
        check_indexes(state)
        check_snapshot(shard, now=self.rig.clock.time, limits=self.rig.limits)
        assert {descriptor.queue_id for descriptor in state.directory} == {
            client.queue_id for client in self.model.live()
        }
        assert bool(self.rig.soon.calls) == (shard.ready() > 0 or self.slicing())
        if not len(state.directory):
            assert (state.shapes(), state.acceptances(), len(state.idle), len(state.heartbeats)) == (
                0,
                0,
                0,
                0,
            )
        for queue, (records, lost) in self.model.outbox.contents().items():
            page = shard.outbox_page(queue, after=0, limit=FOREVER)
            assert [(place, wire_record(record)) for place, record in page.records] == records
            assert (page.waiting, page.lost) == (len(records), lost)
        for client in self.model.live():
            descriptor = shard.find(client.queue_id)
            assert descriptor is not None
            assert descriptor.offline == client.offline
            self._check_bounds(descriptor.queue)
            check_missed(client, descriptor.queue, self.model)
        assert not self.rig.reporter.failures
        assert not self.rig.reporter.answer_errors

    def _check_bounds(self, queue: EventQueue) -> None:
        """No queue is beyond a bound, unless its end can't be written down."""
        limits = self.rig.limits
        over = 0 < limits.max_events < len(queue) or 0 < limits.max_bytes < queue.size
        assert not over or self.rig.journal.fails

    def check_records(self) -> None:
        """Recovery gives what the live shard holds, once a tick has written down what polls did."""
        if self.rig.engine._gate._owed:
            return
        live = self.rig.engine.shard
        now = self.rig.clock.time
        again: Shard[Any] = Shard(limits=self.rig.limits)
        recover(self.rig.journal, again, fingerprint=self.rig.journal.fingerprint)
        again.apply(Ticked(now=now, seen=seen_so_far(live)))
        assert durable_form(again._state) == durable_form(live._state)
        check_indexes(again._state)

    def positions_of_notices(self, since: int) -> list[int]:
        """For each notice journalled since a position, the position of its record: a batch may be several."""
        return [
            position
            for position, record in enumerate(self.rig.journal.records(since), since + 1)
            if isinstance(record, Published)
            for _ in record.notices
        ]

    def slicing(self) -> bool:
        """Whether a slice of a snapshot is booked, or one of what polls changed."""
        scheduler, recorder = self.rig.engine._scheduler, self.rig.engine._recorder
        return recorder._booked or (scheduler._capture is not None and not scheduler._waits)

    def send(self, client: Client, last: int, block: bool, slot: Poll) -> None:
        """Polls for a client."""
        self.rig.engine.poll(
            client.queue_id, user_id=client.spec.user_id, last_event_id=last, block=block, waiter=slot
        )
        client.acknowledged = max(client.acknowledged, last)
        client.offline = False

    def empty(self, client: Client) -> None:
        """A client goes on until there is nothing more, and then it has everything."""
        self.rig.journal.fails = False
        client.unread = client.waiting = None
        client.parked = False
        while client.alive:
            slot = Poll()
            self.send(client, client.processed, False, slot)
            client.active = self.rig.clock.time
            self.rig.journal.sync()
            self.rig.engine.durable_moved()
            if not slot.ids:
                client.check_complete()
                break
            client.given.update(slot.ids)
            client.process(slot.events)
        self.follow()

    @staticmethod
    def valid_ids(queue: EventQueue) -> set[int]:
        """The ids that a queue must take as an acknowledgement."""
        pruned = queue.newest_pruned_id
        assert pruned is not None
        if queue.resumed:
            return set(range(pruned, queue.next_event_id))
        return {pruned, *(entry[0] for entry in queue.entries)}

    def everything(self) -> tuple[Any, ...]:
        """What may not change when a request is refused."""
        engine = self.rig.engine
        image = encode_snapshot(engine.shard.snapshot(now=0.0))
        waiters = [descriptor.waiter for descriptor in engine.shard._state.directory]
        return image, waiters, len(self.rig.journal.written)

    def parked(self, slot: Poll) -> bool:
        """Whether a poll waits on its queue."""
        return any(descriptor.waiter is slot for descriptor in self.rig.engine.shard._state.directory)

    def finished(self, slot: Poll) -> bool:
        """Whether a poll that was displaced, or whose queue ended, waits for its slice."""
        waits = [finished for finished, _ in self.rig.engine.shard._state.finished].count(slot) == 1
        return waits and bool(self.rig.soon.calls)

    def work(self) -> None:
        """The loop turns until nothing is to be done soon."""
        while self.rig.soon.calls:
            self.rig.soon.run()

    def delayed(self, slot: Poll) -> bool:
        """Whether a poll was displaced, not for the first time, and is to be answered soon (D-14)."""
        state = self.rig.engine.shard._state
        return any(
            delayed.waiter is slot and delayed.due <= self.rig.clock.time + 1 for delayed in state.delayed
        )

    def gated(self, slot: Poll) -> bool:
        """Whether an answer waits for the journal, which has a reason to keep it waiting."""
        gate = self.rig.engine._gate
        slots = [gated for _, gated, _ in gate._line] + [held.slot for held in gate._held]
        waits = slots.count(slot) == 1
        return waits and (
            self.rig.journal.lags or self.rig.journal.fails or bool(self.rig.engine._gate._owed)
        )

    def check_given(self) -> None:
        """Every id that a client was given, and has not acknowledged, is a valid acknowledgement (D4)."""
        for client in self.model.live():
            descriptor = self.rig.engine.shard.find(client.queue_id)
            assert descriptor is not None
            pruned = descriptor.queue.newest_pruned_id
            assert pruned is not None
            for event_id in client.given | {client.processed}:
                if event_id >= pruned:
                    descriptor.queue.check(event_id)

    def forget_connections(self) -> None:
        """All connections are gone, and with them the polls that waited."""
        self.open.clear()
        self.readers.clear()
        for client in self.model.clients.values():
            client.waiting = None
            client.parked = False

    def follow_records(self, through: int = FOREVER) -> None:
        """Takes in what records up to a position say that the model can't know by itself."""
        together: dict[int, Removed] = {}
        for position, record in enumerate(self.rig.journal.records(self.looked_at), self.looked_at + 1):
            if position > through:
                break
            removed = record if isinstance(record, Removed) and record.reason != "deleted" else None
            if together and (removed is None or removed.reason != together[min(together)].reason):
                self._follow_removals(together)
                together = {}
            if removed is not None:
                together[position] = removed
            elif isinstance(record, Ticked):
                self._follow_tick(record, position)
            self.looked_at = position
        if together:
            self._follow_removals(together)

    def _follow_removals(self, together: dict[int, Removed]) -> None:
        """Queues that ended together: judged together, and told in the first of the records."""
        clients = {position: self.model.clients[one.queue_id] for position, one in together.items()}
        reason = together[min(together)].reason
        if reason != "revoked":
            self.model.leave(list(clients.values()), min(clients))
        for position, client in clients.items():
            if reason == "overflow":
                limits, held = self.rig.limits, len(client.pushed) - 1 - client.acknowledged
                assert limits.max_bytes or 0 < limits.max_events < held
            self.model.end(client, position, reason)

    def _follow_tick(self, record: Ticked, position: int) -> None:
        for queue_id in record.heartbeats:
            client = self.model.clients[queue_id]
            client.pushed.append(position)
            if self.trusted:
                assert 45 <= record.now - client.parked_at <= 55
            client.active = record.now
        leaving = [self.model.clients[queue_id] for queue_id in (*record.expired, *record.offline)]
        self.model.leave(leaving, position)
        for queue_id in record.offline:
            self.model.clients[queue_id].offline = True
        for queue_id in record.expired:
            client = self.model.clients[queue_id]
            if self.trusted:
                assert record.now - client.active >= client.spec.idle_timeout
            self.model.end(client, position, "expired")

    def check_deadlines(self) -> None:
        """No poll waits longer than the bound, and the collector sees who is gone, and only them."""
        if not self.trusted:
            return
        now = self.rig.clock.time
        for client in self.model.live():
            descriptor = self.rig.engine.shard.find(client.queue_id)
            assert descriptor is not None
            if client.parked:
                assert now - client.parked_at <= 55
                continue
            idle = now - client.active
            assert idle <= client.spec.idle_timeout + 2 * COLLECT_EVERY
            if idle < OFFLINE_AFTER:
                assert not descriptor.offline
            if idle > OFFLINE_AFTER + 2 * COLLECT_EVERY:
                assert descriptor.offline
