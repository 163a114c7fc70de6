"""The interface of the core: one shard, a state machine that the engine drives.

`decide_...` makes a record of an input and changes nothing; `apply` carries a record out. The methods inherited from
`ShardInspection` only read, so anybody may call them at any time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from tidewire.core.bytes_in_transit import Transit
from tidewire.core.delivery.dispatch import Dispatching, Failure
from tidewire.core.dump import DumpedQueue
from tidewire.core.events.coalescing import MergeRule, RuleFailure, merge_table
from tidewire.core.events.presentation import Presentation
from tidewire.core.ids import QueueId, UserId
from tidewire.core.inspection import dry_run, explain, overview
from tidewire.core.inspection.dry_run import DryRun
from tidewire.core.inspection.explain import Explanation
from tidewire.core.inspection.overview import Overview, QueueView
from tidewire.core.inspection.queue_list import QueueFilter, QueueList
from tidewire.core.inspection.survey import Survey
from tidewire.core.notices.deduplication import RememberedIds
from tidewire.core.notices.notice import Notice
from tidewire.core.notifications.outbox import OutboxPage
from tidewire.core.persistence import recovery, snapshot
from tidewire.core.persistence.recovery import KeptRecord, Recovered
from tidewire.core.persistence.snapshot import Capture, Snapshot
from tidewire.core.queues.descriptor import Descriptor, QueueSpec
from tidewire.core.records import (
    Acknowledged,
    Announced,
    Imported,
    Published,
    Record,
    Registered,
    Removed,
    Sealed,
    Ticked,
)
from tidewire.core.slices import Work
from tidewire.core.state.limits import Limits
from tidewire.core.state.restore import Skipped
from tidewire.core.state.state import Batch, State
from tidewire.core.state.statistics import Statistics, Stopwatch
from tidewire.core.transitions import apply, decide, polling, removal
from tidewire.core.transitions.publish_batch import PublishBatch
from tidewire.core.transitions.relocate import Relocation
from tidewire.core.transitions.removal import GivingWay

W = TypeVar("W")


class ShardInspection(Generic[W]):
    """What can be seen of one shard."""

    __slots__ = ("_state",)

    def __init__(self, state: State[W]) -> None:
        """Takes what there is to be seen."""
        self._state = state

    # Queues and totals.

    @property
    def statistics(self) -> Statistics:
        """The running totals."""
        return self._state.statistics

    @property
    def memory_used(self) -> int:
        """Bytes that all queues take, as far as that can be counted (D8)."""
        return round(self._state.memory.used(len(self._state.directory)))

    @property
    def registration_bytes(self) -> int:
        """Bytes that a registration may take; 0: no bound."""
        return self._state.limits.registration_bytes

    def queues(self) -> int:
        """How many queues there are."""
        return len(self._state.directory)

    def waiting(self) -> int:
        """How many polls wait, those that were displaced among them; looks at every queue."""
        waiting = sum(descriptor.waiter is not None for descriptor in self._state.directory)
        return waiting + len(self._state.delayed)

    def queues_of(self, user_ids: Iterable[UserId]) -> list[QueueId]:
        """The ids of these users' queues."""
        directory = self._state.directory
        return [queue.queue_id for user_id in user_ids for queue in directory.of_user(user_id)]

    def queue_ids(self) -> list[QueueId]:
        """The queues there are, in order of creation."""
        return [descriptor.queue_id for descriptor in self._state.directory]

    def find(self, queue_id: str) -> Descriptor[W] | None:
        """A queue to look at, not to change."""
        return self._state.directory.get(queue_id)

    @property
    def remembered(self) -> RememberedIds:
        """The ids of notices that were taken, to look at."""
        return self._state.remembered

    def outbox_page(self, queue: str, *, after: int, limit: int) -> OutboxPage:
        """Up to `limit` records of an outbox queue after the position `after`. Raises `NotFound`."""
        return self._state.outbox.page(queue, after=after, limit=limit)

    def outbox_queues(self) -> list[str]:
        """The names of the outbox's queues."""
        return self._state.outbox.names()

    def survey(self) -> Survey[W]:
        """Begins to look at every queue, in slices (`core/inspection/survey.py`)."""
        return Survey(self._state)

    # Explaining.

    def explain_event(self, queue_id: str, event_id: int, *, payload: bool = False) -> Explanation:
        """Explains what happened to one event of a queue. Raises `NotFound` for an unknown queue."""
        return explain.explain_event(self._state, queue_id, event_id, payload=payload)

    def explain_notice(self, queue_id: str, notice_id: str, *, payload: bool = False) -> list[Explanation]:
        """Explains what a notice, by its id, did to a queue; with `payload`, includes the events."""
        return explain.explain_notice(self._state, queue_id, notice_id, payload=payload)

    def explain_last(
        self, *, queue_id: str | None, user_id: UserId | None, last: int, payload: bool = False
    ) -> list[Explanation]:
        """Explains the latest events offered to a queue, or to all queues of a user, oldest first."""
        return explain.explain_last(
            self._state, queue_id=queue_id, user_id=user_id, last=last, payload=payload
        )

    def dry_run(self, notice: Notice, *, most: int, payload: bool = False) -> DryRun:
        """Says which queues would get a notice, at most `most` of them in full, and delivers nothing."""
        return dry_run.dry_run(self._state, notice, most=most, payload=payload)

    def listing(self, wanted: QueueFilter) -> QueueList[W]:
        """Begins to look for queues, in slices (`core/inspection/queue_list.py`)."""
        return QueueList(self._state, wanted)

    def view_queue(self, queue_id: str, *, most: int, payload: bool = False) -> QueueView:
        """One queue in full, with at most `most` of its events; with `payload`, their content too."""
        return overview.view_queue(self._state, queue_id, most=most, payload=payload)

    def overview(self, survey: Survey[W]) -> Overview:
        """The totals of this shard, from a survey that has looked at every queue."""
        return overview.overview(self._state, survey)


class Shard(ShardInspection[W]):
    """All queues of one process."""

    __slots__ = ("_stopwatch",)

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        rules: Mapping[str, MergeRule] = MappingProxyType({}),
        presentation: Presentation | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        """Makes an empty shard.

        Args:
            limits: what it works by.
            rules: merge rules of the application's own, by event type, beside the built-in ones.
            presentation: how people are shown.
            stopwatch: told of each notice that is carried out, but not of those that recovery repeats.

        Raises:
            ValueError: a type has a built-in rule.
        """
        super().__init__(
            State(
                limits=limits or Limits(),
                rules=merge_table(rules),
                presentation=presentation or Presentation(),
            )
        )
        self._stopwatch = stopwatch

    # Deciding and applying.

    def decide_register(
        self, spec: QueueSpec, *, queue_id: QueueId, now: float
    ) -> list[Removed | Registered]:
        """Returns the record that makes a queue. Raises `BadRequest` if the narrow or the user's limit forbids it."""
        return decide.decide_register(self._state, spec, queue_id, now)

    def decide_publish(self, notices: Sequence[Notice]) -> list[PublishBatch]:
        """Checks notices and returns the batches to record, without the notices that are known already."""
        return decide.decide_publish(self._state, notices)

    def check_batch(self, notices: Sequence[Notice], ids: dict[str, bytes]) -> Work[None]:
        """Checks notices in slices, as `decide_publish` does in one go; `ids` gathers their ids and digests."""
        return decide.check_batch(self._state, notices, ids)

    @contextmanager
    def promising(self) -> Iterator[dict[str, bytes]]:
        """Keeps ids for a batch that is carried out in parts, as long as it lasts; they are entered by `check_batch`."""
        ids: dict[str, bytes] = {}
        promised = self._state.promised
        promised.append(ids)
        try:
            yield ids
        finally:
            # By identity: another batch may have the same ids.
            del promised[next(place for place, each in enumerate(promised) if each is ids)]

    def decide_part(self, part: PublishBatch, *, now: float) -> Published:
        """Returns the record of one batch, with whom its notices notify."""
        return decide.decide_part(self._state, part, now)

    def decide_acknowledge(self, queue: str, *, through: int, now: float) -> Acknowledged | None:
        """Returns the record that drops outbox records up to `through`; None if they are gone already."""
        return decide.decide_acknowledge(self._state, queue, through, now)

    def decide_delete(self, queue_id: str, *, user_id: UserId, now: float) -> Removed:
        """Returns the record that deletes a queue. Raises `BadEventQueueId` if it is not this user's."""
        return removal.decide_delete(self._state, queue_id, user_id, now)

    def decide_revoke(
        self, user_ids: Iterable[UserId], queue_ids: Iterable[QueueId], *, now: float
    ) -> list[Removed]:
        """Returns the records that end the queues of users, and the named queues, as revoked."""
        return removal.decide_revoke(self._state, user_ids, queue_ids, now)

    def decide_changed(self, rights: Callable[[UserId], bytes], *, now: float) -> list[Removed]:
        """Returns the records that end queues whose owner's rights have changed since registration."""
        return removal.decide_changed(self._state, rights, now)

    def decide_overflow(self, *, now: float) -> list[Removed]:
        """Returns the records that end queues with more events or bytes than a queue may hold."""
        return removal.decide_overflow(self._state, now)

    def free_memory(self) -> None:
        """Gives up what is worth less than any queue, while the memory budget is passed."""
        removal.free_memory(self._state)

    def decide_pressure(self, *, now: float) -> GivingWay:
        """Returns records that end queues to free memory, and what a snapshot holds of them; to be repeated until there are none."""
        return removal.decide_pressure(self._state, now)

    def note_giving_way(self, giving: GivingWay) -> None:
        """Enters a decision of `decide_pressure` in the account of memory, before it is carried out."""
        removal.note_giving_way(self._state, giving)

    @property
    def is_over(self) -> bool:
        """Whether a queue or the shard has passed a bound, so that queues must end."""
        return bool(self._state.over) or removal.is_pressed(self._state)

    def account(self, *, resident: int) -> None:
        """Tells the memory accounting how many bytes the process really uses."""
        removal.account(self._state, resident)

    def take_unread(self) -> list[Any]:
        """Takes the peers whose unread answers use too much memory; their connections are dropped, their queues stay."""
        return removal.take_unread(self._state)

    @property
    def transit(self) -> Transit[Any]:
        """The bytes that connections hold in transit; they report them here, and no record has them."""
        return self._state.memory.transit

    def decide_upgrade(self, queue_ids: Iterable[QueueId], *, now: float) -> list[Removed]:
        """Returns the records that end queues because other rules shaped their events (`upgraded`)."""
        return removal.decide_upgrade(self._state, queue_ids, now)

    def decide_damaged(self, queue_ids: Iterable[QueueId], *, now: float) -> list[Removed]:
        """Returns the records that end queues whose records were lost (`damaged`)."""
        return removal.decide_damaged(self._state, queue_ids, now)

    def decide_import(self, dumped: Sequence[DumpedQueue], *, now: float) -> tuple[list[Imported], list[int]]:
        """Returns the records that import dumped queues, and the places of queues that exist already."""
        return decide.decide_import(self._state, dumped, now)

    def decide_restart(
        self, event: Mapping[str, Any], *, now: float, queue_ids: Sequence[QueueId] | None = None
    ) -> Announced:
        """Returns the record that puts a `restart` event into these queues, or into all (R1.23)."""
        return decide.decide_restart(self._state, event, now, queue_ids)

    def decide_reload(self, *, immediate: bool, count: int | None, now: float) -> Announced:
        """Returns the record that asks old web clients to reload: the next `count` queues, or all (R1.24)."""
        return decide.decide_reload(self._state, immediate=immediate, count=count, now=now)

    def decide_tick(self, now: float, *, collect: bool) -> Ticked | None:
        """Returns the record of a tick, or None if nothing is due; `collect` removes idle queues too."""
        return decide.decide_tick(self._state, now, collect=collect)

    def decide_seen(self, now: float, *, most: int) -> Ticked | None:
        """Returns the record of acknowledgements and activity of at most `most` queues; None if there is none."""
        return decide.decide_seen(self._state, now, most=most)

    def seen(self) -> int:
        """How many queues were polled since a record last said so."""
        return len(self._state.seen)

    def apply(self, record: Record) -> list[Failure]:
        """Carries a journalled record out; returns the deliveries that failed."""
        return apply.apply_record(self._state, record)

    def apply_part(
        self, record: Published, part: PublishBatch, by: Dispatching[W] | None = None
    ) -> list[Failure]:
        """`apply` for the record of a part: no notice is decoded and judged a second time."""
        return apply.apply_notices(self._state, record, part.notices, part.candidates, self._stopwatch, by=by)

    # Polls.

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
        """Returns the answer to a poll, or None if `waiter` now waits. Raises if the queue is not this user's."""
        return polling.poll(
            self._state,
            queue_id,
            user_id=user_id,
            last_event_id=last_event_id,
            block=block,
            waiter=waiter,
            now=now,
            heartbeat_at=heartbeat_at,
        )

    def cancel_poll(self, queue_id: str, waiter: W, *, now: float) -> bool:
        """Removes a waiting poll whose client is gone; false if it no longer waits."""
        return polling.cancel_poll(self._state, queue_id, waiter, now=now)

    def take_ready(self, limit: int, *, now: float) -> list[tuple[W, Batch]]:
        """Takes up to `limit` waiting polls whose queues have got events, with their answers."""
        return polling.take_ready(self._state, limit, now=now)

    def take_delayed(self, *, now: float) -> list[tuple[W, Batch]]:
        """Takes the displaced polls whose answer was delayed long enough; they are answered with no events."""
        return polling.take_delayed(self._state, now=now)

    def take_due(self, queue_ids: Iterable[str], *, now: float) -> list[tuple[W, Batch]]:
        """Takes the waiting polls of these queues, to be answered with no events."""
        return polling.take_due(self._state, queue_ids, now=now)

    def take_waiting(self, limit: int, *, now: float) -> list[tuple[W, Batch]]:
        """Takes up to `limit` waiting polls, to be answered with no events."""
        return polling.take_waiting(self._state, limit, now=now)

    def ready(self) -> int:
        """How many polls `take_ready` would look at."""
        return len(self._state.ready) + len(self._state.finished)

    @property
    def has_unwritten(self) -> bool:
        """Whether `take_unwritten` has something to hand out."""
        return bool(self._state.unwritten)

    def take_unwritten(self) -> list[Sealed]:
        """Hands out the records that must be journalled before any answer taken so far leaves (D3)."""
        unwritten = self._state.unwritten
        self._state.unwritten = []
        return unwritten

    @property
    def relocation(self) -> Relocation[W]:
        """Handing users over to other shards, and taking them."""
        return Relocation(self._state)

    # Keeping, and coming back.

    def take_rule_failures(self) -> list[RuleFailure]:
        """Hands out what merge rules did wrong since it was last asked, one entry a type."""
        failures = list(self._state.rule_failures.values())
        self._state.rule_failures.clear()
        return failures

    def merge_on_read(self, *, allowed: bool) -> None:
        """Says whether answers may merge events, which needs a journal that can be written (D3)."""
        self._state.merging = allowed

    def capture(self) -> Capture[W]:
        """Begins a snapshot in slices; the first must be taken before anything else happens."""
        return Capture(self._state)

    def snapshot(self, *, now: float) -> Snapshot:
        """Takes a whole snapshot in one go."""
        return snapshot.take_snapshot(self._state, now)

    def restore(self, image: Snapshot) -> list[Skipped]:
        """Restores a snapshot into this shard, which must be empty; returns the queues that were skipped."""
        return snapshot.restore_snapshot(self._state, image)

    def recover(
        self,
        slices: Iterable[Snapshot],
        records: Iterable[KeptRecord],
        *,
        fingerprint: str,
        position: int | None = None,
        existed: int = 0,
        is_whole: bool = True,
    ) -> Recovered:
        """Restores a snapshot and applies the records after it; the shard must be empty."""
        return recovery.recover(
            self._state,
            slices,
            records,
            fingerprint=fingerprint,
            position=position,
            existed=existed,
            is_whole=is_whole,
        )

    @property
    def recorded_at(self) -> float:
        """Time of the newest record or snapshot; 0 for a shard that has neither."""
        return self._state.recorded_at
