"""The state of one shard: its queues, what it remembers, and the lists of what is due.

Plain data with the few changes that keep its indexes in agreement. Who may change it, and when, is said in
`core/shard.py`.
"""

import dataclasses
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import structs

from tidewire.core.bytes_in_transit import Transit
from tidewire.core.deadlines import Deadlines
from tidewire.core.errors import BadEventQueueId
from tidewire.core.event_types import EVENT_TYPE_NAMES, OTHER
from tidewire.core.events.acceptance import Acceptance
from tidewire.core.events.coalescing import MergeRule, RuleFailure
from tidewire.core.events.encoding import ANSWER_FRAME, Entry
from tidewire.core.events.presentation import Presentation
from tidewire.core.events.shape import Shape
from tidewire.core.history.history import HistoryStore, StepKind
from tidewire.core.ids import QueueId, UserId
from tidewire.core.interning import Interner
from tidewire.core.memory import Memory
from tidewire.core.notices.deduplication import RememberedIds
from tidewire.core.notifications.outbox import NOTIFICATION, Outbox
from tidewire.core.notifications.worker_records import NotificationDecision
from tidewire.core.queues.descriptor import Descriptor, QueueSpec
from tidewire.core.queues.ended import ENDED, MOST_NAME, Ended, EndedQueues, Tombstones
from tidewire.core.queues.event_queue import EventQueue, merged, waiting
from tidewire.core.queues.merge_group import entry_id
from tidewire.core.queues.queue_directory import Directory
from tidewire.core.queues.registration_size import Kept, size_of
from tidewire.core.records import Reason, Sealed
from tidewire.core.relocation.relocations import Relocations
from tidewire.core.state.limits import Limits
from tidewire.core.state.state_settings import Shaping, shaping_of
from tidewire.core.state.statistics import Statistics

W = TypeVar("W")

RELOAD: Mapping[str, Any] = MappingProxyType({"type": "web_reload_client"})
"""Tells the bundled web app of the system we speak the protocol of to reload (R1.24)."""


class Delayed(NamedTuple, Generic[W]):
    """A displaced poll that is to be answered at `due`."""

    due: float
    waiter: W
    queue_id: QueueId


class Batch(NamedTuple):
    """What one answer to a poll carries."""

    queue_id: QueueId
    entries: Sequence[Entry]


class State(Generic[W]):
    """Everything a shard knows. `W` is the token of a waiting poll: stored and handed back, never called."""

    __slots__ = (
        "_acceptances",
        "_counted",
        "_kept",
        "_shapes",
        "delayed",
        "directory",
        "ended",
        "finished",
        "heartbeats",
        "histories",
        "idle",
        "limits",
        "look_above",
        "memory",
        "merging",
        "outbox",
        "over",
        "presentation",
        "promised",
        "ready",
        "recorded_at",
        "reload_set",
        "relocations",
        "remembered",
        "revoked",
        "rule_failures",
        "rules",
        "seen",
        "shaping",
        "statistics",
        "tombstones",
        "unwritten",
    )

    def __init__(self, *, limits: Limits, rules: Mapping[str, MergeRule], presentation: Presentation) -> None:
        self.limits = limits
        self.presentation = presentation
        self.shaping = shaping_of(limits, presentation)
        """The settings that records are applied under."""
        self.rules = rules
        self.directory: Directory[W] = Directory(
            narrow_hears_public_channels=presentation.narrow_hears_public_channels
        )
        self.remembered = RememberedIds()
        self.outbox = Outbox(most=limits.outbox_most(NOTIFICATION), mobile_shards=limits.mobile_shards)
        self.tombstones = Tombstones(most=limits.tombstones_max, most_bytes=limits.tombstone_bytes)
        self.relocations = Relocations()
        self.promised: list[dict[str, bytes]] = []
        """For each batch that is carried out in parts, its notices' ids with their digests."""
        self.revoked: dict[UserId, None] = {}
        """Users who get no queue, because a notice said so."""
        self.heartbeats: Deadlines[Descriptor[W]] = Deadlines()
        self.idle: Deadlines[Descriptor[W]] = Deadlines()
        self.ready: deque[Descriptor[W]] = deque()
        """Queues whose waiter has something to be told."""
        self.finished: list[tuple[W, Batch]] = []
        """Waiters that were displaced or whose queue ended, with their last answer."""
        self.delayed: deque[Delayed[W]] = deque()
        """Displaced waiters that are answered later (D-14), in the order in which they are due."""
        self.over: dict[Descriptor[W], None] = {}
        """Queues that have passed a bound of theirs, and must end."""
        self.look_above = limits.look_above
        self.memory = Memory(Transit(most=limits.transit_bytes, most_work=limits.work_bytes))
        self.histories = HistoryStore(self.memory, most=limits.explain_bytes)
        self.ended = EndedQueues(most=limits.explain_ended if limits.explain_bytes else 0)
        self.seen: dict[Descriptor[W], None] = {}
        """Queues polled since the last tick; its record says what became of them."""
        self.unwritten: list[Sealed] = []
        """Records of merges, to be journalled before the answers that show them leave."""
        self.rule_failures: dict[str, RuleFailure] = {}
        """What rules did wrong, by type, until somebody asks: one entry, however many queues it happened in."""
        self.reload_set: dict[QueueId, None] = {}
        """Queues that an older release made, still to be told to reload, in that order (R1.25)."""
        self.merging = True
        """Whether reads may merge; off while the record that would have to follow can't be written."""
        self.recorded_at = 0.0
        """Time of the newest record or snapshot that this state is made of; no later time may be before it."""
        self.statistics = Statistics()
        self._counted = EVENT_TYPE_NAMES | rules.keys()
        self._shapes: Interner[Shape] = Interner()
        self._acceptances: Interner[Acceptance] = Interner()
        self._kept: Interner[Kept] = Interner()

    def promised_digest(self, notice_id: str) -> bytes | None:
        """The digest that a batch which is not carried out to its end has for the id; None when none has the id."""
        found = (ids[notice_id] for ids in self.promised if notice_id in ids)
        return next(found, None) if self.promised else None

    def take_up(self, shaping: Shaping) -> None:
        """Has the records from here on applied under these settings; what is too much under them goes at once."""
        if shaping == self.shaping:
            return
        self.shaping = shaping
        self.limits = dataclasses.replace(
            self.limits,
            remember_ids_for=shaping.remember_ids_for,
            outbox_max=shaping.outbox_max,
            mobile_shards=shaping.mobile_shards,
            tombstones_max=shaping.tombstones_max,
            tombstones_for=shaping.tombstones_for,
        )
        self.presentation = Presentation(
            realm_host=shaping.realm_host,
            avatar_salt=shaping.avatar_salt,
            narrow_hears_public_channels=shaping.narrow_hears_public_channels,
        )
        self.directory.hear(narrow_hears_public_channels=shaping.narrow_hears_public_channels)
        self.statistics.notifications_lost += self.outbox.bound(
            most=shaping.outbox_max, mobile_shards=shaping.mobile_shards
        )
        self.tombstones.bound(most=shaping.tombstones_max, most_bytes=shaping.tombstone_bytes)

    def counted_as(self, kind: str) -> str:
        """Under which name events of a type are counted: publishers may make up any number of types."""
        return kind if kind in self._counted else OTHER

    def add_queue(self, queue_id: QueueId, spec: QueueSpec, *, now: float) -> Descriptor[W]:
        """Makes an empty queue.

        Raises:
            BadRequest: its narrow is not supported (R12.4); nothing was made.
        """
        key = spec.acceptance_key
        acceptance = self._acceptances.acquire(key, lambda: Acceptance(key))
        shape = self._shapes.acquire(spec.shape_key, lambda: Shape(*spec.shape_key))
        spec = self._share(spec)
        descriptor: Descriptor[W] = Descriptor(
            queue_id, spec, shape, acceptance, history=self.histories.begin(), now=now
        )
        self.directory.add(descriptor)
        self.schedule_idle(descriptor, descriptor.idle_due(self.limits.offline_after))
        return descriptor

    def _share(self, spec: QueueSpec) -> QueueSpec:
        """Replaces a registration's parts by the equal ones that other queues already share."""
        own = spec.kept
        kept = self._kept.acquire(own, lambda: own)
        if kept is own:
            self.memory.registrations += size_of(own)
            return spec
        event_types, narrow, capabilities, client = kept
        shared: dict[str, Any] = {"event_types": event_types, "narrow": narrow, "capabilities": capabilities}
        return structs.replace(spec, **shared, client_type_name=client)

    def drop_queue(self, descriptor: Descriptor[W], reason: Reason) -> None:
        """Ends a queue; a poll that waits on it gets what is left (R2.26), or nothing once revoked (D11)."""
        if reason == "revoked":
            ended = self._ended(descriptor, reason)
            self.memory.entries -= len(descriptor.queue)
            descriptor.queue = EventQueue()
            self.finish_waiter(descriptor)
        else:
            is_answered = descriptor.waiter is not None
            self.finish_waiter(descriptor)
            if is_answered:
                descriptor.sent_at = self.recorded_at
            ended = self._ended(descriptor, reason)
        self._take_out(descriptor)
        self.tombstones.add(descriptor.queue_id, descriptor.spec.user_id, reason, self.recorded_at)
        self.statistics.removed[reason] += 1
        self.histories.end_all(gone.trail for gone in self.ended.add(ended))

    def release_queue(self, descriptor: Descriptor[W]) -> None:
        """Lets go of a queue that is another shard's now, or comes from there once more; no poll waits on it."""
        self._take_out(descriptor)
        self.histories.end(descriptor.history)

    def _take_out(self, descriptor: Descriptor[W]) -> None:
        self.memory.entries -= len(descriptor.queue)
        self.directory.remove(descriptor)
        self.over.pop(descriptor, None)
        self.heartbeats.cancel(descriptor, descriptor.heartbeat_second)
        self.idle.cancel(descriptor, descriptor.idle_second)
        self.seen.pop(descriptor, None)
        self.reload_set.pop(descriptor.queue_id, None)
        self._acceptances.release(descriptor.acceptance.key)
        self._shapes.release(descriptor.spec.shape_key)
        if self._kept.release(descriptor.spec.kept):
            self.memory.registrations -= size_of(descriptor.spec.kept)

    def forget_ended(self) -> None:
        """Drops what is kept of ended queues: explaining them is worth less than any queue."""
        self.statistics.gave_way["explanations"] += len(self.ended)
        self.histories.end_all(gone.trail for gone in self.ended.clear())

    def count_tables(self) -> None:
        """Has the account of memory know what the tables take now."""
        self.memory.look_at(
            {
                "remembered_ids": self.remembered.size,
                "tombstones": self.tombstones.size,
                "outbox": len(self.outbox) * NOTIFICATION,
                "ended_queues": len(self.ended) * ENDED,
            }
        )

    def _ended(self, descriptor: Descriptor[W], reason: Reason) -> Ended:
        queue = descriptor.queue
        if queue and self.histories.most:
            waiting = chain.from_iterable(group.contributors for group in queue.groups())
            count = bisect_right(queue.entries, queue.placed, key=entry_id)
            sent, unsent = queue.entries[:count], sorted([*queue.entries[count:], *waiting], key=entry_id)
            for entries, sent_at in ((sent, descriptor.sent_at), (unsent, 0.0)):
                self.histories.note_gone(
                    descriptor.history, entries, StepKind.DROPPED, self.recorded_at, sent_at
                )
        return Ended(
            descriptor.queue_id,
            descriptor.spec.user_id,
            descriptor.spec.realm_id,
            descriptor.spec.client_type_name[:MOST_NAME],
            descriptor.history,
            queue.next_event_id,
            queue.newest_pruned_id,
            reason,
            self.recorded_at,
            self.histories.notice,
        )

    def owned(self, queue_id: str, user_id: UserId) -> Descriptor[W]:
        """The user's queue of that id.

        Raises:
            BadEventQueueId: there is none; its `reason` says why to its owner, and `unknown` to anybody else.
        """
        try:
            return self.directory.owned(queue_id, user_id)
        except BadEventQueueId as error:
            error.data["reason"] = self.tombstones.reason(queue_id, user_id)
            raise

    def note_if_over(self, descriptor: Descriptor[W]) -> None:
        """Notes a queue that has passed a bound of its own (D-13)."""
        queue, limits = descriptor.queue, self.limits
        if 0 < limits.max_bytes < queue.size or 0 < limits.max_events < len(queue):
            self.over[descriptor] = None

    def is_off(self, user_id: UserId) -> bool:
        """Whether no queue of the user accepts messages and counts as there (R5.12); who polls doesn't matter."""
        return not any(descriptor.hears_messages for descriptor in self.directory.of_user(user_id))

    def notify(self, notified: Iterable[NotificationDecision], now: float) -> None:
        """Puts decided notifications in the outbox."""
        statistics = self.statistics
        for one in notified:
            if one.push is not None:
                statistics.pushes[one.push] += 1
            if one.email is not None:
                statistics.emails[one.email] += 1
            statistics.notifications_lost += self.outbox.add(one, now)

    def schedule_idle(self, descriptor: Descriptor[W], due: float) -> None:
        """Has the collector look at the queue at `due`, and not before."""
        descriptor.idle_second = self.idle.schedule(descriptor, due)

    def schedule_heartbeat(self, descriptor: Descriptor[W], due: float) -> None:
        """Has the tick look at the queue's waiter at `due`, and not before."""
        descriptor.heartbeat_second = self.heartbeats.schedule(descriptor, due)

    def record_activity(self, descriptor: Descriptor[W], now: float) -> None:
        """Notes activity (D-3, D-4); the next tick's record says so."""
        descriptor.last_active = now
        self.seen[descriptor] = None
        if descriptor.offline:
            descriptor.offline = False
            # The only deadline that moves earlier: the owner may be gone again long before the queue expires.
            self.idle.cancel(descriptor, descriptor.idle_second)
            self.schedule_idle(descriptor, descriptor.idle_due(self.limits.offline_after))

    def read(self, descriptor: Descriptor[W]) -> Batch:
        """The next answer for a queue; if it merged events, the record that must precede it is noted."""
        queue = descriptor.queue
        most = self.limits.answer_max_bytes
        if not (queue.open or queue.closed) and (not most or queue.size <= most - ANSWER_FRAME):
            # Nearly every answer: all that there is, and nothing of it to be merged.
            descriptor.sent_at = descriptor.last_active
            return Batch(descriptor.queue_id, queue.read_all())
        held, before = (len(queue), waiting(queue)) if queue.open or queue.closed else (0, [])
        # At least one byte: 0 would mean no bound.
        entries, merge = queue.read(
            max(1, most - ANSWER_FRAME) if most else 0,
            self.rule_failed,
            self.memory.enter,
            merging=self.merging,
        )
        descriptor.sent_at = descriptor.last_active
        if merge is not None:
            self.memory.entries -= held - len(queue)
            self.note_merged(descriptor, before, descriptor.sent_at)
            self.unwritten.append(Sealed(descriptor.queue_id, queue.newest_pruned_id, *merge))
        return Batch(descriptor.queue_id, entries)

    def note_merged(self, descriptor: Descriptor[W], before: list[list[Entry]], now: float | None) -> None:
        """Notes in its trail what a queue's groups became; `before` is what they were."""
        self.histories.note_merged(descriptor.history, merged(descriptor.queue, before), now)

    def rule_failed(self, kind: str, error: Exception) -> None:
        """Counts and keeps that a merge rule failed; its events are delivered singly."""
        self.statistics.rule_failures[kind] += 1
        known = self.rule_failures.get(kind)
        times, first = (0, error) if known is None else (known.times, known.error)
        self.rule_failures[kind] = RuleFailure(kind, times + 1, first)

    def finish_waiter(self, descriptor: Descriptor[W]) -> None:
        """Ends a waiting poll, if there is one, with the present contents of its queue (R2.18)."""
        waiter = descriptor.waiter
        if waiter is not None:
            descriptor.waiter = None
            self.finished.append((waiter, self.read(descriptor)))

    def shapes(self) -> int:
        """How many distinct shapes are in use."""
        return len(self._shapes)

    def acceptances(self) -> int:
        """How many distinct acceptances are in use."""
        return len(self._acceptances)
