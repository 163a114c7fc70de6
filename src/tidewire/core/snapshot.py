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

What a queue keeps is said in `core/images.py`, what a shard keeps by `Snapshot`, `Capture.take` and
`restore_tables`.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from tidewire.core.errors import StateError
from tidewire.core.images import Bodies, QueueImage, queue_image
from tidewire.core.merge import MERGE_RULES, MergeRule, describe_rules
from tidewire.core.outbox import OutboxImage, OutboxQueueImage
from tidewire.core.remembered import RememberedId
from tidewire.core.restoring import Skipped, make_queues
from tidewire.core.state import State

W = TypeVar("W")

SNAPSHOT_VERSION = 2
"""Of the form below; a newer one is refused, an older one is migrated when there is one."""

QUEUE_EFFORT = 10.0
ID_EFFORT = 0.5
NOTIFICATION_EFFORT = 2.0
"""What it takes to capture and encode one of each, in microseconds on a slow machine; so in `core/images.py`."""


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
        self._bodies = Bodies()

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
                images.append(queue_image(descriptor, self._bodies))
        return images


def take_snapshot(state: State[W], now: float) -> Snapshot:
    """The durable part of the state, in one slice."""
    return Capture(state).take(position=0, now=now, effort=float("inf"))


# Bringing one back.


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
    return make_queues(state, part.queues, bodies, _unchanged_rules(part, state.rules))


def _unchanged_rules(part: Snapshot, rules: Mapping[str, MergeRule]) -> Mapping[str, MergeRule]:
    """The rules that are still what they were: others can't be trusted with groups that they did not form."""
    known = describe_rules(rules)
    return {
        kind: rule
        for kind, rule in rules.items()
        if kind in MERGE_RULES or part.rules.get(kind) == known[kind]
    }
