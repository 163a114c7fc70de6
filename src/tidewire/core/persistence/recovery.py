"""Recovery: a state made from a snapshot and the records since (D4).

The invariant that it keeps: *any `last_event_id` that a client may have been given before the crash goes on
correctly after it*, under the rules that it was given. It rests on four things:

1. A record is written before what it says is shown, and an answer waits for every record that it shows
   (`engine/engine.py`); so whatever a client was given, the snapshot and the records tell of it.
2. Each queue gets every record exactly once: its image is put in place when the records that the image
   holds have been passed (`core/persistence/snapshot.py`). Until then there is no such queue, and records that name it
   come to nothing.
3. What an image holds before its record is written comes to nothing when the record is applied to it: an
   acknowledgement, activity, a merge (`core/queues/event_queue.py`).
4. Ids that answers gave out and no record tells of are accepted by a queue that is *resumed* (rule 5 of
   `core/queues/event_queue.py`).

What is loaded stays within the memory budget: when it passes it, queues give way as they would live, and are ended
again by records of this process, which also tell their owners. Whether an owner has seen more than is known at that
moment, nobody asks: the budget is passed in recovery only when it was lowered, or by a hair.

Records that were written under other rules (another *fingerprint*) are applied with ours, which may number or
merge events in another way. Every queue that one of them may have changed in such a way ends, and says so. Records
that were decided under other settings are applied under those, and nothing ends; the settings of this process are taken
up behind the last record, where its own `Restarted` will stand (`core/state/state_settings.py`).

What could not be read is missing from the slices or the records that come here. No queue may go on as if nothing had
happened that has lost an event, for its client would never know. So:

- A part of the snapshot with queues: they are gone, and their clients are told as of any unknown queue.
- A part with bodies: a queue with an event of which the body is lost ends (`damaged`). Others don't need it.
- A record, which is seen by the positions on both sides: it may have told of anything, and numbered the events of any
  queue that was there. So every queue that was there ends (`damaged`), and no other: those whose slice holds the record
  already were not changed by it, and those that were made after it start from nothing. Whatever follows is applied.
- Positions of the outbox may have been given to notifications that are lost. It goes on with higher ones, so that
  workers get what waits once more, and take nothing for read that they have not seen.
- A piece of a table costs what is in it: why some queues ended; which notice ids a publisher may repeat without
  effect.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from msgspec.structs import replace

from tidewire.core.delivery.dispatch import Failure
from tidewire.core.errors import BadRequest, InvalidNotice
from tidewire.core.ids import QueueId
from tidewire.core.notices.notice import Notice, decode_notice
from tidewire.core.persistence.memory_relief import Relief
from tidewire.core.persistence.snapshot import Ends, Snapshot, restore_queues, restore_tables
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.queues.image import QueueImage
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
from tidewire.core.state.restore import Skipped
from tidewire.core.state.state import State
from tidewire.core.state.state_settings import Shaping
from tidewire.core.state.statistics import Statistics
from tidewire.core.transitions.apply import apply_notices, apply_record, import_queues
from tidewire.core.transitions.relocate import apply_relocation

W = TypeVar("W")


class KeptRecord(NamedTuple):
    """A record as the journal gives it back."""

    position: int
    record: Record
    fingerprint: str
    """Of the rules under which it was written; empty when nobody knows."""
    shaping: Shaping | None = None
    """The settings under which it was decided; None when nobody knows."""


class Recovered(NamedTuple):
    """What recovery found.

    Attributes:
        records: how many were applied.
        skipped: queues that could not be made again.
        failures: deliveries that failed, now or already when they were live.
        upgraded: queues to be ended, because records of other rules may have changed them.
        gave_way: ends of queues that had no room; to be journalled, and carried out for whom they notify.
        damaged: queues to be ended, because something of them could not be read.
        lost_queues: how many are known to be gone, because they could not be read at all.
    """

    records: int
    skipped: Sequence[Skipped]
    failures: Sequence[Failure]
    upgraded: Sequence[QueueId]
    gave_way: Sequence[Removed] = ()
    damaged: Sequence[QueueId] = ()
    lost_queues: int = 0


LOST_BODY = b""
"""Stands in for a body that could not be read; no body is empty."""

SKIPPED = 1 << 24
"""Positions of the outbox that are left out for a record that is lost: more than one record can hold."""


def recover(
    state: State[W],
    slices: Iterable[Snapshot],
    records: Iterable[KeptRecord],
    *,
    fingerprint: str,
    position: int | None = None,
    existed: int = 0,
    is_whole: bool = True,
) -> Recovered:
    """Fills an empty state from the slices of a snapshot and the records after it, each in its order.

    Both are read as far as they are needed, so that not all of it is in memory at once.

    Args:
        state: the empty one; its settings are in force at the end.
        slices: of the snapshot, or parts of them.
        records: those after it.
        fingerprint: of our rules.
        position: of the snapshot, if records right behind it may be missing.
        existed: the newest record that there was; if it is missing, it is lost.
        is_whole: nothing is missing among the slices.
    """
    recovery = _Recovery(state, iter(slices), fingerprint, position, is_whole=is_whole)
    recovery.read_on()
    for kept in records:
        recovery.apply(kept)
    recovery.finish(existed)
    # Those that other records have ended since need no end.
    damaged = [queue_id for queue_id in recovery.damaged if state.directory.get(queue_id) is not None]
    touched = [queue_id for queue_id in recovery.touched if state.directory.get(queue_id) is not None]
    return Recovered(
        recovery.applied,
        recovery.skipped,
        recovery.failures,
        [queue_id for queue_id in touched if queue_id not in recovery.damaged],
        recovery.relief.ends(),
        damaged,
        recovery.lost_queues,
    )


class _Recovery(Generic[W]):
    """A recovery on its way."""

    def __init__(
        self,
        state: State[W],
        slices: Iterator[Snapshot],
        fingerprint: str,
        position: int | None,
        *,
        is_whole: bool,
    ) -> None:
        self._state = state
        self._slices = slices
        self._fingerprint = fingerprint
        self._own = self._shaping = state.shaping
        self._newest = position
        self._is_whole = is_whole
        self._bodies: list[bytes] = []
        self.relief = Relief(state, self._bodies)
        self._ends: Ends | None = None
        self._queues_read = 0
        self._queues_in_all = 0
        self.damaged: dict[QueueId, None] = {}
        self._pending: Snapshot | None = None
        self._late: list[Descriptor[W]] = []
        self.applied = 0
        self.skipped: list[Skipped] = []
        self.failures: list[Failure] = []
        self.touched: dict[QueueId, None] = {}

    @property
    def lost_queues(self) -> int:
        """How many queues are missing among those that were read."""
        return max(0, self._queues_in_all - self._queues_read)

    def read_on(self) -> None:
        """Reads up to the next slice with queues, which is put in place in its time."""
        self._pending = None
        for part in self._slices:
            restore_tables(self._state, part)
            self._take_bodies(part)
            self._state.recorded_at = max(self._state.recorded_at, part.now)
            self._ends = part.ends or self._ends
            self._queues_read += len(part.queues)
            seen = part.first_queue + len(part.queues)
            self._queues_in_all = max(self._queues_in_all, seen, part.queues_in_all or 0)
            if part.queues:
                self._pending = part
                break
        else:
            # Nothing names them by number any more.
            self._bodies.clear()
        if self._ends is not None:
            # All tables that number things come before the first queue.
            self._state.remembered.reach(self._ends.ids)
            self._state.outbox.reach(self._ends.outbox)
            self._ends = None

    def _take_bodies(self, part: Snapshot) -> None:
        if part.bodies:
            self._bodies += [LOST_BODY] * (part.first_body - len(self._bodies))
            self._bodies += part.bodies

    def _is_lost(self, body: int) -> bool:
        return body >= len(self._bodies) or not self._bodies[body]

    def _without_lost(self, image: QueueImage) -> QueueImage:
        """A queue's image without the events that can't be read; it is noted if there are any."""
        entries = tuple(entry for entry in image.entries if not self._is_lost(entry.body))
        groups = tuple(
            replace(group, contributors=left)
            for group in image.groups
            if (left := tuple(entry for entry in group.contributors if not self._is_lost(entry.body)))
        )
        if entries == image.entries and groups == image.groups:
            return image
        self.damaged[QueueId(image.queue_id)] = None
        ids = {entry.id for entry in (*entries, *(one for group in groups for one in group.contributors))}
        missed = tuple(one for one in image.missed if one[0] in ids)
        return replace(image, entries=entries, groups=groups, missed=missed)

    def _lose(self, through: int) -> None:
        """Goes past records that could not be read, from the newest one up to the position `through`."""
        count = through - (self._newest or 0)
        self._place(through - 1)
        self.damaged.update((descriptor.queue_id, None) for descriptor in self._state.directory)
        self._state.outbox.skip(count * SKIPPED)
        self._newest = through

    def apply(self, kept: KeptRecord) -> None:
        """Applies a record to everything that does not hold it yet."""
        record = kept.record
        if self._newest is not None and kept.position > self._newest + 1:
            self._lose(kept.position - 1)
        self._newest = kept.position
        if kept.shaping is not None and kept.shaping is not self._shaping:
            self._shaping = kept.shaping
            self._state.take_up(kept.shaping)
        # A process that has started held all there is. If the journal lost records before it, positions of the
        # snapshot may be ahead of the journal's, but not behind this record.
        self._place(None if isinstance(record, Restarted) else kept.position - 1)
        self.applied += 1
        notices = self._notices(record) if isinstance(record, Published) else []
        if kept.fingerprint != self._fingerprint:
            noted = self.touched if kept.fingerprint else self.damaged
            noted.update((queue_id, None) for queue_id in self._concerned(record, notices))
        match record:
            case Published():
                self.failures += apply_notices(self._state, record, notices)
            case Registered():
                self._register(record)
            case Imported():
                self._import(record)
            case Arrived():
                self.skipped += apply_relocation(self._state, record)
                self._state.recorded_at = record.now
                self._note_late([image.queue_id for image in record.queues])
            case _:
                self.failures += apply_record(self._state, record)
        self.relief.note(record)
        self.relief.look()

    def finish(self, existed: int) -> None:
        """Puts in place what is left, and everything in its order."""
        if self._newest is not None and existed > self._newest:
            self._lose(existed)
        self._place(None)
        self._state.take_up(self._own)
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
            part, self._pending = self._pending, None
            if not self._is_whole:
                part = replace(part, queues=tuple(map(self._without_lost, part.queues)))
            part = self.relief.without_lost(part)
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

    def _concerned(self, record: Record, notices: Sequence[Notice | None]) -> Iterator[QueueId]:
        """The queues for which our rules may have another outcome than those of the record.

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
                yield QueueId(record.queue_id)
            case Imported() | Arrived():
                yield from (QueueId(image.queue_id) for image in record.queues)
            case _:
                pass
        directory = self._state.directory
        found = (directory.get(queue_id) for queue_id in named)
        yield from (descriptor.queue_id for descriptor in found if descriptor is not None)

    def _recipients(self, notices: Sequence[Notice | None]) -> Iterator[str]:
        """Queues of users that the notices name, and those that hear what is not addressed to them."""
        directory = self._state.directory
        for notice in notices:
            for user_id in () if notice is None else notice.users:
                yield from (descriptor.queue_id for descriptor in directory.of_user(user_id))
        hears = (queue for queue in directory if queue.spec.all_public_streams or queue.spec.narrow)
        yield from (descriptor.queue_id for descriptor in hears)
