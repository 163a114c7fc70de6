"""The core's door: one shard, a state machine that is turned from outside (D4).

Rules of this file:

1. Whatever changes queues, waiters or deadlines happens here or below; nobody outside changes core objects.
2. A durable change takes three steps: `decide_*` makes a record, the caller journals it, `apply` carries it
   out. If it can't be journalled, nothing has happened.
3. `poll`, `unpark` and `take_*` change what needs no record of its own: waiters at once, acknowledgements
   and activity until the next tick's record repeats them.
4. Nothing awaits, so every call is atomic on a loop, and there are no locks.
5. `W`, a waiter's token, is stored and handed back, never called.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

from tidewire.core import (
    application,
    bounds,
    capture,
    decisions,
    endings,
    polling,
    recovery,
    snapshot,
)
from tidewire.core.batches import Part
from tidewire.core.capture import Capture
from tidewire.core.descriptor import QueueSpec
from tidewire.core.dispatch import Dispatching, Failure
from tidewire.core.dump import DumpedQueue
from tidewire.core.hand_over import HandOver
from tidewire.core.ids import QueueId, UserId
from tidewire.core.limits import Limits
from tidewire.core.looking import Looking
from tidewire.core.merge import MergeRule, RuleFailure, merge_table
from tidewire.core.notice import Notice
from tidewire.core.presentation import Presentation
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
from tidewire.core.recovery import KeptRecord, Recovered
from tidewire.core.restoring import Skipped
from tidewire.core.snapshot import Snapshot
from tidewire.core.state import Batch, State
from tidewire.core.statistics import Stopwatch
from tidewire.core.transit import Transit
from tidewire.core.work import Work

W = TypeVar("W")


class Shard(Looking[W]):
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
        """See `decisions.decide_register`."""
        return decisions.decide_register(self._state, spec, queue_id, now)

    def decide_publish(self, notices: Sequence[Notice]) -> list[Part]:
        """See `decisions.decide_publish`."""
        return decisions.decide_publish(self._state, notices)

    def check_batch(self, notices: Sequence[Notice], ids: dict[str, bytes]) -> Work[None]:
        """See `decisions.check_batch`."""
        return decisions.check_batch(self._state, notices, ids)

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

    def decide_part(self, part: Part, *, now: float) -> Published:
        """See `decisions.decide_part`."""
        return decisions.decide_part(self._state, part, now)

    def decide_acknowledge(self, queue: str, *, through: int, now: float) -> Acknowledged | None:
        """See `decisions.decide_acknowledge`."""
        return decisions.decide_acknowledge(self._state, queue, through, now)

    def decide_delete(self, queue_id: str, *, user_id: UserId, now: float) -> Removed:
        """See `endings.decide_delete`."""
        return endings.decide_delete(self._state, queue_id, user_id, now)

    def decide_revoke(
        self, user_ids: Iterable[UserId], queue_ids: Iterable[QueueId], *, now: float
    ) -> list[Removed]:
        """See `endings.decide_revoke`."""
        return endings.decide_revoke(self._state, user_ids, queue_ids, now)

    def decide_changed(self, rights: Callable[[UserId], bytes], *, now: float) -> list[Removed]:
        """See `endings.decide_changed`."""
        return endings.decide_changed(self._state, rights, now)

    def decide_overflow(self, *, now: float) -> list[Removed]:
        """See `bounds.decide_overflow`."""
        return bounds.decide_overflow(self._state, now)

    def decide_pressure(self, *, now: float) -> list[Removed]:
        """See `bounds.decide_pressure`."""
        return bounds.decide_pressure(self._state, now)

    @property
    def is_over(self) -> bool:
        """Whether a queue or the shard has passed a bound, so that queues must end."""
        return bool(self._state.over) or bounds.is_pressed(self._state)

    def account(self, *, resident: int) -> None:
        """See `bounds.account`."""
        bounds.account(self._state, resident)

    def take_unread(self) -> list[Any]:
        """See `bounds.take_unread`."""
        return bounds.take_unread(self._state)

    @property
    def transit(self) -> Transit[Any]:
        """What connections hold on its way: whoever reads the wire reports there, and no record tells of it."""
        return self._state.memory.transit

    def decide_upgrade(self, queue_ids: Iterable[QueueId], *, now: float) -> list[Removed]:
        """See `endings.decide_upgrade`."""
        return endings.decide_upgrade(self._state, queue_ids, now)

    def decide_import(self, dumped: Sequence[DumpedQueue], *, now: float) -> tuple[list[Imported], list[int]]:
        """See `decisions.decide_import`."""
        return decisions.decide_import(self._state, dumped, now)

    def decide_restart(
        self, event: Mapping[str, Any], *, now: float, queue_ids: Sequence[QueueId] | None = None
    ) -> Announced:
        """See `decisions.decide_restart`."""
        return decisions.decide_restart(self._state, event, now, queue_ids)

    def decide_reload(self, *, immediate: bool, count: int | None, now: float) -> Announced:
        """See `decisions.decide_reload`."""
        return decisions.decide_reload(self._state, immediate=immediate, count=count, now=now)

    def decide_tick(self, now: float, *, collect: bool) -> Ticked | None:
        """See `decisions.decide_tick`."""
        return decisions.decide_tick(self._state, now, collect=collect)

    def decide_seen(self, now: float, *, most: int) -> Ticked | None:
        """See `decisions.decide_seen`."""
        return decisions.decide_seen(self._state, now, most=most)

    def seen(self) -> int:
        """How many queues were polled since a record last said so."""
        return len(self._state.seen)

    def apply(self, record: Record) -> list[Failure]:
        """Carries a journalled record out; returns the deliveries that failed."""
        return application.apply_record(self._state, record)

    def apply_part(self, record: Published, part: Part, by: Dispatching[W] | None = None) -> list[Failure]:
        """`apply` for the record of a part: no notice is decoded and judged a second time."""
        return application.apply_notices(
            self._state, record, part.notices, part.candidates, self._stopwatch, by=by
        )

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
        """See `polling.poll`."""
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

    def unpark(self, queue_id: str, waiter: W, *, now: float) -> bool:
        """See `polling.unpark`."""
        return polling.unpark(self._state, queue_id, waiter, now=now)

    def take_ready(self, limit: int, *, now: float) -> list[tuple[W, Batch]]:
        """See `polling.take_ready`."""
        return polling.take_ready(self._state, limit, now=now)

    def take_delayed(self, *, now: float) -> list[tuple[W, Batch]]:
        """See `polling.take_delayed`."""
        return polling.take_delayed(self._state, now=now)

    def take_due(self, queue_ids: Iterable[str], *, now: float) -> list[tuple[W, Batch]]:
        """See `polling.take_due`."""
        return polling.take_due(self._state, queue_ids, now=now)

    def take_waiting(self, limit: int, *, now: float) -> list[tuple[W, Batch]]:
        """See `polling.take_waiting`."""
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
    def hand_over(self) -> HandOver[W]:
        """Handing users over to other shards, and taking them."""
        return HandOver(self._state)

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
        """See `capture.take_snapshot`."""
        return capture.take_snapshot(self._state, now)

    def restore(self, image: Snapshot) -> list[Skipped]:
        """See `snapshot.restore_snapshot`; the shard must be empty."""
        return snapshot.restore_snapshot(self._state, image)

    def recover(
        self, slices: Iterable[Snapshot], records: Iterable[KeptRecord], *, fingerprint: str
    ) -> Recovered:
        """See `recovery.recover`; the shard must be empty."""
        return recovery.recover(self._state, slices, records, fingerprint=fingerprint)

    @property
    def recorded_at(self) -> float:
        """Time of the newest record or snapshot; 0 for a shard that has neither."""
        return self._state.recorded_at
