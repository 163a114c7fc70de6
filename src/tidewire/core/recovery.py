"""Recovery: a state made from a snapshot and the records since (D4).

The invariant that it keeps: *any `last_event_id` that a client may have been given before the crash goes on
correctly after it*, under the rules that it was given. It rests on four things:

1. A record is written before what it says is shown, and an answer waits for every record that it shows
   (`engine.py`); so whatever a client was given, the snapshot and the records tell of it.
2. Each queue gets every record exactly once: its image is put in place when the records that the image
   holds have been passed (`core/snapshot.py`). Until then there is no such queue, and records that name it
   come to nothing.
3. What an image holds before its record is written comes to nothing when the record is applied to it: an
   acknowledgement, activity, a merge (`core/queue.py`).
4. Ids that answers gave out and no record tells of are accepted by a queue that is *resumed* (rule 5 of
   `core/queue.py`).

What is loaded stays within the memory budget: when it passes it, queues give way as they would live, and are ended
again by records of this process, which also tell their owners. Whether an owner has seen more than is known at that
moment, nobody asks: the budget is passed in recovery only when it was lowered, or by a hair.

Records that were written under other rules (another *fingerprint*) are applied with ours, which may number or
merge events in another way. Every queue that one of them may have changed in such a way ends, and says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from tidewire.core.application import apply_notices, apply_record, import_queues
from tidewire.core.descriptor import Descriptor
from tidewire.core.dispatch import Failure
from tidewire.core.errors import BadRequest, InvalidNotice
from tidewire.core.handing import apply_moves
from tidewire.core.ids import QueueId
from tidewire.core.notice import Notice, decode_notice
from tidewire.core.records import (
    Announced,
    Arrived,
    Imported,
    Published,
    Record,
    Registered,
    Removed,
    Restarted,
    Sealed,
    Ticked,
)
from tidewire.core.relief import Relief
from tidewire.core.restoring import Skipped
from tidewire.core.snapshot import Snapshot, restore_queues, restore_tables
from tidewire.core.state import State
from tidewire.core.statistics import Statistics

W = TypeVar("W")


class KeptRecord(NamedTuple):
    """A record as the journal gives it back."""

    position: int
    record: Record
    fingerprint: str
    """Of the rules under which it was written."""


class Recovered(NamedTuple):
    """What recovery found.

    Attributes:
        records: how many were applied.
        skipped: queues that could not be made again.
        failures: deliveries that failed, now or already when they were live.
        upgraded: queues to be ended, because records of other rules may have changed them.
        gave_way: ends of queues that had no room; to be journalled, and carried out for whom they notify.
    """

    records: int
    skipped: Sequence[Skipped]
    failures: Sequence[Failure]
    upgraded: Sequence[QueueId]
    gave_way: Sequence[Removed]


def recover(
    state: State[W], slices: Iterable[Snapshot], records: Iterable[KeptRecord], *, fingerprint: str
) -> Recovered:
    """Fills an empty state from the slices of a snapshot and the records after it, each in its order.

    Both are read as far as they are needed, so that not all of it is in memory at once.
    """
    recovery = _Recovery(state, iter(slices), fingerprint)
    recovery.read_on()
    for kept in records:
        recovery.apply(kept)
    recovery.finish()
    return Recovered(
        recovery.applied,
        recovery.skipped,
        recovery.failures,
        # Those that other records have ended since need no end.
        [queue_id for queue_id in recovery.touched if state.directory.get(queue_id) is not None],
        recovery.relief.ends(),
    )


class _Recovery(Generic[W]):
    """A recovery on its way."""

    def __init__(self, state: State[W], slices: Iterator[Snapshot], fingerprint: str) -> None:
        self._state = state
        self._slices = slices
        self._fingerprint = fingerprint
        self._bodies: list[bytes] = []
        self.relief = Relief(state, self._bodies)
        self._pending: Snapshot | None = None
        self._late: list[Descriptor[W]] = []
        self.applied = 0
        self.skipped: list[Skipped] = []
        self.failures: list[Failure] = []
        self.touched: dict[QueueId, None] = {}

    def read_on(self) -> None:
        """Reads up to the next slice with queues, which is put in place in its time."""
        self._pending = None
        for part in self._slices:
            restore_tables(self._state, part)
            self._bodies.extend(part.bodies)
            self._state.recorded_at = max(self._state.recorded_at, part.now)
            if part.queues:
                self._pending = part
                return
        # Nothing names them by number any more.
        self._bodies.clear()

    def apply(self, kept: KeptRecord) -> None:
        """Applies a record to everything that does not hold it yet."""
        record = kept.record
        # A process that has started held all there is. If the journal lost records before it, positions of the
        # snapshot may be ahead of the journal's, but not behind this record.
        self._place(None if isinstance(record, Restarted) else kept.position - 1)
        self.applied += 1
        notices = self._notices(record) if isinstance(record, Published) else []
        if kept.fingerprint != self._fingerprint:
            self._note_touched(record, notices)
        match record:
            case Published():
                self.failures += apply_notices(self._state, record, notices)
            case Registered():
                self._register(record)
            case Imported():
                self._import(record)
            case Arrived():
                self.skipped += apply_moves(self._state, record)
                self._state.recorded_at = record.now
                self._note_late([image.queue_id for image in record.queues])
            case _:
                self.failures += apply_record(self._state, record)
        self.relief.note(record)
        self.relief.look()

    def finish(self) -> None:
        """Puts in place what is left, and everything in its order."""
        self._place(None)
        directory = self._state.directory
        for descriptor in self._late:
            # They were made after those that the snapshot holds, and stand behind them (R2.8).
            if directory.get(descriptor.queue_id) is descriptor:
                directory.remove(descriptor)
                directory.add(descriptor)
        for descriptor in directory:
            # The bounds may be lower than when the records were written.
            self._state.note_if_over(descriptor)
        # What is counted is what this process does.
        self._state.statistics = Statistics()

    def _place(self, through: int | None) -> None:
        """Puts queues in place whose image holds nothing after the position `through`; None: all."""
        while self._pending is not None and (through is None or self._pending.position <= through):
            part, self._pending = self.relief.without_lost(self._pending), None
            self.skipped += restore_queues(self._state, part, self._bodies)
            del part
            self.relief.placed()
            self.read_on()

    def _register(self, record: Registered) -> None:
        try:
            apply_record(self._state, record)
        except BadRequest as error:
            self.skipped.append(Skipped(record.queue_id, error))
            return
        self._note_late([record.queue_id])

    def _import(self, record: Imported) -> None:
        self.skipped += import_queues(self._state, record)
        self._note_late([image.queue_id for image in record.queues])

    def _note_late(self, queue_ids: Iterable[str]) -> None:
        if self._pending is not None:
            found = (self._state.directory.get(queue_id) for queue_id in queue_ids)
            self._late += [descriptor for descriptor in found if descriptor is not None]

    def _notices(self, record: Published) -> list[Notice | None]:
        """The notices; in place of one that is no longer understood stands None, and it is reported (D9)."""
        notices: list[Notice | None] = []
        for raw in record.notices:
            try:
                notices.append(decode_notice(raw))
            except InvalidNotice as error:
                notices.append(None)
                self.failures.append(Failure("unknown", None, error))
        return notices

    def _note_touched(self, record: Record, notices: Sequence[Notice | None]) -> None:
        """Notes the queues for which our rules may have another outcome than those of the record.

        Acknowledgements and activity are no such outcome.
        """
        named: Iterable[str] = ()
        match record:
            case Sealed():
                named = (record.queue_id,)
            case Announced():
                named = record.queue_ids
            case Ticked():
                named = record.heartbeats
            case Published():
                named = self._recipients(notices)
            case Registered():
                self.touched[QueueId(record.queue_id)] = None
            case Imported() | Arrived():
                self.touched.update((QueueId(image.queue_id), None) for image in record.queues)
            case _:
                pass
        directory = self._state.directory
        found = (directory.get(queue_id) for queue_id in named)
        self.touched.update((descriptor.queue_id, None) for descriptor in found if descriptor is not None)

    def _recipients(self, notices: Sequence[Notice | None]) -> Iterator[str]:
        """Queues of users that the notices name, and those that hear what is not addressed to them."""
        directory = self._state.directory
        for notice in notices:
            for user_id in () if notice is None else notice.users:
                yield from (descriptor.queue_id for descriptor in directory.of_user(user_id))
        hears = (queue for queue in directory if queue.spec.all_public_streams or queue.spec.narrow)
        yield from (descriptor.queue_id for descriptor in hears)
