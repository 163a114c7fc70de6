"""The durable part of a state as plain data, and back (D4).

A snapshot is taken in *slices*, so that the loop is never held for long; what has not been captured yet goes
on changing meanwhile. Each slice says the position of the newest record that it holds. Recovery puts a
slice's queues in place when it has applied the records up to that position, and not before
(`core/recovery.py`), so that each queue gets every record once, and nothing has to be compared or skipped.

- Queues that were made after the capture began come from their records; those that ended before their slice
  are in none.
- A table (remembered ids, the outbox) is captured in the first slices, as it was when the capture began, and
  restored before any record.
- Bodies that queues share are written once, in the slice that first names them, and named by number.
- What lives only as long as the process (waiters, deadlines, statistics) is left out and built anew.

What a queue keeps is said by `QueueImage`, `_queue_image` and `_fill_queue`, what a shard keeps by `Snapshot`,
`Capture.take` and `restore_tables`.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from tidewire.core.descriptor import Descriptor, QueueSpec
from tidewire.core.errors import BadRequest, StateError
from tidewire.core.groups import Group
from tidewire.core.ids import QueueId
from tidewire.core.merge import MERGE_RULES, MergeRule, describe_rules
from tidewire.core.notifications.outcomes import Missed
from tidewire.core.outbox import OutboxImage, OutboxQueueImage
from tidewire.core.queue import EventQueue
from tidewire.core.remembered import RememberedId
from tidewire.core.state import State
from tidewire.core.wire import Entry, entry_size

W = TypeVar("W")

SNAPSHOT_VERSION = 2
"""Of the form below; a newer one is refused, an older one is migrated when there is one."""

QUEUE_EFFORT = 10.0
ENTRY_EFFORT = 1.0
BYTE_EFFORT = 0.001
ID_EFFORT = 0.5
NOTIFICATION_EFFORT = 2.0
"""What it takes to capture and encode one of each, in microseconds on a slow machine."""


class EntryImage(Struct, frozen=True, array_like=True):
    """An entry, its body by number."""

    id: int
    body: int
    suffix: bytes


class GroupImage(Struct, frozen=True, array_like=True):
    """A group; `key` is None for a closed one."""

    key: str | None
    kind: str
    contributors: tuple[EntryImage, ...]


class QueueImage(Struct, frozen=True):
    """A descriptor with its queue; `missed` is what the owner may have missed, with the event that says it."""

    queue_id: str
    spec: QueueSpec
    next_event_id: int
    newest_pruned_id: int | None
    entries: tuple[EntryImage, ...]
    groups: tuple[GroupImage, ...]
    resumed: bool
    last_active: float
    offline: bool
    missed: tuple[tuple[int, Missed], ...] = ()


class Snapshot(Struct, frozen=True):
    """A shard at one moment, or a slice of it.

    Attributes:
        now: the shard's time then.
        bodies: those that no earlier slice has; the first has the number `first_body`.
        remembered: notice ids; the first has the number `first_id`.
        position: of the newest record whose effects the queues hold.
        rules: what the application's merge rules are called, by type (`describe_rule`).
        outbox: a piece of it.
        clean: it was taken at a clean stop: nothing happened after it that no record tells of.
    """

    version: int
    now: float
    bodies: tuple[bytes, ...]
    queues: tuple[QueueImage, ...]
    remembered: tuple[RememberedId, ...]
    position: int = 0
    first_body: int = 0
    first_id: int = 0
    rules: dict[str, str] = msgspec.field(default_factory=dict)
    outbox: OutboxImage = OutboxImage()
    clean: bool = False


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The snapshot, or slice of one, as MessagePack."""
    return _ENCODER.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """The snapshot that `encode_snapshot` encoded.

    Raises:
        msgspec.DecodeError: `data` is none.
        StateError: a newer version wrote it.
    """
    try:
        snapshot = _DECODER.decode(data)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None
    if snapshot.version > SNAPSHOT_VERSION:
        raise StateError(
            f"The snapshot has the form {snapshot.version}, and this version knows {SNAPSHOT_VERSION} at most; "
            "start the version that wrote it"
        )
    return snapshot


# Taking one.


class _Bodies:
    """Numbers for distinct bodies, in order of first use."""

    TABLES = 256
    """Many small dictionaries: one that grows to a million bodies takes too long each time it is enlarged."""

    def __init__(self) -> None:
        self._numbers: list[dict[bytes, int]] = [{} for _ in range(self.TABLES)]
        self.count = 0
        self.new: list[bytes] = []
        """Bodies since the last slice."""
        self.effort = 0.0
        """What the slice has cost so far on their account."""

    def images(self, entries: Iterable[Entry]) -> tuple[EntryImage, ...]:
        return tuple(EntryImage(event_id, self._number(body), suffix) for event_id, body, suffix in entries)

    def _number(self, body: bytes) -> int:
        self.effort += ENTRY_EFFORT
        numbers = self._numbers[hash(body) % self.TABLES]
        number = numbers.get(body)
        if number is None:
            number = numbers[body] = self.count
            self.count += 1
            self.new.append(body)
            self.effort += len(body) * BYTE_EFFORT
        return number


class Capture(Generic[W]):
    """A snapshot that is being taken, slice by slice."""

    def __init__(self, state: State[W]) -> None:
        self._state = state
        self._pieces = deque(state.remembered.pieces())
        self._next_id = state.remembered.next
        self._rules = describe_rules(state.rules)
        self._outbox_number = state.outbox.next_number
        self._outbox = deque(state.outbox.pieces())
        self._queues = deque(state.directory)
        self._bodies = _Bodies()

    @property
    def done(self) -> bool:
        """Whether everything is captured."""
        return not (self._pieces or self._outbox or self._queues)

    def take(self, *, position: int, now: float, effort: float, clean: bool = False) -> Snapshot:
        """The next slice, at the position reached now; it ends with the queue that makes it cost `effort`."""
        bodies = self._bodies
        first_body = bodies.count
        bodies.new, bodies.effort = [], 0.0
        first_id, remembered = self._take_ids(effort)
        left = effort - len(remembered) * ID_EFFORT
        outbox = self._take_outbox(left)
        left -= sum(len(piece.records) for piece in outbox) * NOTIFICATION_EFFORT
        return Snapshot(
            version=SNAPSHOT_VERSION,
            now=now,
            queues=tuple(self._take_queues(left)),
            bodies=tuple(bodies.new),
            remembered=tuple(remembered),
            position=position,
            first_body=first_body,
            first_id=first_id,
            rules=self._rules,
            outbox=OutboxImage(self._outbox_number, tuple(outbox)),
            clean=clean,
        )

    def _take_ids(self, effort: float) -> tuple[int, list[RememberedId]]:
        first, remembered = self._next_id, list[RememberedId]()
        while self._pieces and len(remembered) * ID_EFFORT < effort:
            first_of_piece, ids = self._state.remembered.look_up(self._pieces.popleft())
            first = first if remembered else first_of_piece
            remembered += ids
        return first, remembered

    def _take_outbox(self, effort: float) -> list[OutboxQueueImage]:
        taken: list[OutboxQueueImage] = []
        while self._outbox and not self._pieces and effort > 0:
            taken.append(self._outbox.popleft())
            effort -= len(taken[-1].records) * NOTIFICATION_EFFORT
        return taken

    def _take_queues(self, effort: float) -> list[QueueImage]:
        images: list[QueueImage] = []
        if self._pieces or self._outbox:
            return images
        while self._queues and (len(images) * QUEUE_EFFORT + self._bodies.effort) < effort:
            descriptor = self._queues.popleft()
            if self._state.directory.get(descriptor.queue_id) is descriptor:
                images.append(_queue_image(descriptor, self._bodies))
        return images


def take_snapshot(state: State[W], now: float) -> Snapshot:
    """The durable part of the state, in one slice."""
    return Capture(state).take(position=0, now=now, effort=float("inf"))


def _queue_image(descriptor: Descriptor[W], bodies: _Bodies) -> QueueImage:
    queue = descriptor.queue
    groups: list[tuple[str | None, Group]] = []
    for opened in queue.open.values():
        groups += opened.items()
    groups += [(None, group) for group in queue.closed]
    return QueueImage(
        queue_id=descriptor.queue_id,
        spec=descriptor.spec,
        next_event_id=queue.next_event_id,
        newest_pruned_id=queue.newest_pruned_id,
        entries=bodies.images(queue.entries),
        groups=tuple(GroupImage(key, group.kind, bodies.images(group.contributors)) for key, group in groups),
        resumed=queue.resumed,
        last_active=descriptor.last_active,
        offline=descriptor.offline,
        missed=tuple((queue.missed or {}).items()),
    )


# Bringing one back.


class Skipped(NamedTuple):
    """A queue that could not be restored, and why."""

    queue_id: str
    error: BadRequest


def restore_snapshot(state: State[W], snapshot: Snapshot) -> list[Skipped]:
    """Fills an empty state with what a snapshot in one slice holds, as it was then.

    Returns the queues whose narrow is no longer supported; all others are there (R12.9).
    """
    restore_tables(state, snapshot)
    return restore_queues(state, snapshot, snapshot.bodies)


def restore_tables(state: State[W], part: Snapshot) -> None:
    """Restores what a slice holds besides queues; to be called for each slice in turn, before its queues."""
    state.remembered.restore(part.first_id, part.remembered)
    state.outbox.restore(part.outbox)


def restore_queues(state: State[W], part: Snapshot, bodies: Sequence[bytes]) -> list[Skipped]:
    """Makes the queues that a slice holds; `bodies` are those of all slices so far."""
    state.recorded_at = max(state.recorded_at, part.now)
    skipped: list[Skipped] = []
    rules = _unchanged_rules(part, state.rules)
    shared: dict[Missed, Missed] = {}
    for image in part.queues:
        try:
            descriptor = state.add_queue(QueueId(image.queue_id), image.spec, now=image.last_active)
        except BadRequest as error:
            skipped.append(Skipped(image.queue_id, error))
            continue
        descriptor.offline = image.offline
        _fill_queue(descriptor.queue, image, bodies, rules)
        if image.missed:
            # Written for each queue, but one object for all that are equal, as when the message came.
            descriptor.queue.missed = {
                event_id: shared.setdefault(one, one) for event_id, one in image.missed
            }
    return skipped


def _unchanged_rules(part: Snapshot, rules: Mapping[str, MergeRule]) -> Mapping[str, MergeRule]:
    """The rules that are still what they were: others can't be trusted with groups that they did not form."""
    known = describe_rules(rules)
    return {
        kind: rule
        for kind, rule in rules.items()
        if kind in MERGE_RULES or part.rules.get(kind) == known[kind]
    }


def _fill_queue(
    queue: EventQueue, image: QueueImage, bodies: Sequence[bytes], rules: Mapping[str, MergeRule]
) -> None:
    queue.next_event_id = image.next_event_id
    queue.newest_pruned_id = image.newest_pruned_id
    queue.resumed = image.resumed
    queue.entries = _entries(image.entries, bodies)
    for group_image in image.groups:
        contributors = _entries(group_image.contributors, bodies)
        rule = rules.get(group_image.kind)
        if rule is None:
            # Nothing merges these any more; each by itself is as right as all as one.
            queue.place(contributors)
            continue
        group = Group(group_image.kind, rule, contributors)
        if group_image.key is None:
            queue.closed.append(group)
        else:
            queue.open.setdefault(group_image.kind, {})[group_image.key] = group
    queue.size = sum(map(entry_size, queue.entries))
    queue.size += sum(entry_size(entry) for group in queue.groups() for entry in group.contributors)


def _entries(images: tuple[EntryImage, ...], bodies: Sequence[bytes]) -> list[Entry]:
    return [(image.id, bodies[image.body], image.suffix) for image in images]
