"""Taking a snapshot, in slices (`core/snapshot.py` says what that is)."""

from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from tidewire.core.images import BYTE_EFFORT, Bodies, QueueImage, queue_image
from tidewire.core.merge import describe_rules
from tidewire.core.moves import MovesImage
from tidewire.core.outbox import OutboxImage, OutboxQueueImage
from tidewire.core.remembered import RememberedId
from tidewire.core.snapshot import SNAPSHOT_VERSION, Snapshot
from tidewire.core.state import State
from tidewire.core.tombstones import PIECE, Tombstone

W = TypeVar("W")
T = TypeVar("T")

AT_ONCE = 1000
"""Ids of users on their way that are in one piece."""

NUMBERED = 130
"""Bytes that the number of a distinct body takes until the snapshot is taken: measured by numbering 200,000."""

SPLIT_ABOVE = 1.2
"""Times the effort of a slice that its bodies may cost: some 6 MB, which are encoded and written in one piece each, so
that they are in memory three times."""

COPIES = 3
"""Of the bodies of a slice: in the slice, encoded, and as they are written."""

NOTHING_MORE: Mapping[str, Any] = MappingProxyType(
    {"remembered": (), "tombstones": (), "revoked": (), "moves": None, "given": (), "tables": ()}
)
"""What slices of bodies don't say again."""

QUEUE_EFFORT = 10.0
ID_EFFORT = 0.5
NOTIFICATION_EFFORT = 2.0
TOMBSTONE_EFFORT = 0.5
"""What it takes to capture and encode one of each, in microseconds on a slow machine; so in `core/images.py`."""


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
        self._revoked = tuple(state.revoked)
        self._tombstones: deque[tuple[Tombstone, ...]] | None = None
        self._begun = False
        moves = state.moves
        self._moves: MovesImage | None = moves.image() if moves.version else None
        self._given = deque(_pieces(moves.given.images()))
        self._tables = deque(
            (name, piece[0][0], tuple(one for _, one in piece))
            for name, table in moves.tables.items()
            for piece in _pieces(table.ids())
        )
        self._bodies = Bodies()
        self._rest: Snapshot | None = None
        """What is left of a slice that was too large."""

    @property
    def done(self) -> bool:
        """Whether everything is captured."""
        left = self._rest is not None or self._in_tables() or self._queues
        return not left and self._tombstones == deque()

    def _in_tables(self) -> bool:
        """Whether a table is not captured whole yet; they come before all queues."""
        return bool(self._pieces or self._outbox or self._given or self._tables)

    def take(self, *, position: int, now: float, effort: float, clean: bool = False) -> Snapshot:
        """The next slice, at the position reached now; it ends with the queue that makes it cost `effort`.

        Where that is much more, as with a queue that holds many megabytes, its bodies are in slices of their own before
        it. The queues are then those of the position that was reached when their first slice was asked for.
        """
        if self._rest is None:
            self._rest = self._take(position, now, effort, clean=clean)
        part = self._rest
        self._state.memory.numbered = self._bodies.numbers
        self._state.memory.snapshot = self._bodies.count * NUMBERED + COPIES * sum(map(len, part.bodies))
        count = _fitting(part.bodies, effort)
        if count == len(part.bodies):
            self._rest = None
            return part
        self._rest = replace(
            part,
            bodies=part.bodies[count:],
            first_body=part.first_body + count,
            outbox=OutboxImage(self._outbox_number),
            **NOTHING_MORE,
        )
        return replace(part, bodies=part.bodies[:count], queues=())

    def _take(self, position: int, now: float, effort: float, *, clean: bool) -> Snapshot:
        bodies = self._bodies
        first_body = bodies.count
        bodies.new, bodies.effort = [], 0.0
        first_id, remembered = self._take_ids(effort)
        left = effort - len(remembered) * ID_EFFORT
        outbox = self._take_outbox(left)
        left -= sum(len(piece.records) for piece in outbox) * NOTIFICATION_EFFORT
        given = self._given.popleft() if self._given and left > 0 else []
        left -= len(given) * ID_EFFORT
        tables = [self._tables.popleft()] if self._tables and left > 0 else []
        left -= sum(len(ids) for _, _, ids in tables) * ID_EFFORT
        queues = self._take_queues(left)
        left -= len(queues) * QUEUE_EFFORT + bodies.effort
        # What stands in a slice with queues is restored before them, unless it is the first.
        tombstones = self._take_tombstones(left, allowed=not queues or not self._begun)
        revoked, self._revoked, self._begun = self._revoked, (), True
        moves, self._moves = self._moves, None
        return Snapshot(
            version=SNAPSHOT_VERSION,
            now=now,
            queues=tuple(queues),
            bodies=tuple(bodies.new),
            remembered=tuple(remembered),
            position=position,
            first_body=first_body,
            first_id=first_id,
            rules=self._rules,
            outbox=OutboxImage(self._outbox_number, tuple(outbox)),
            clean=clean,
            tombstones=tombstones,
            revoked=revoked,
            moves=moves,
            given=tuple(given),
            tables=tuple(tables),
        )

    def end(self) -> None:
        """It is not taken any further."""
        self._bodies = Bodies()
        self._state.memory.end_snapshot()

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
        if self._in_tables():
            return images
        while self._queues and (len(images) * QUEUE_EFFORT + self._bodies.effort) < effort:
            descriptor = self._queues.popleft()
            if self._state.directory.get(descriptor.queue_id) is descriptor:
                images.append(queue_image(descriptor, self._bodies))
        return images

    def _take_tombstones(self, effort: float, *, allowed: bool) -> tuple[Tombstone, ...]:
        """A few more, of those that there were when the last queue was captured."""
        if self._in_tables() or self._queues:
            return ()
        if self._tombstones is None:
            self._tombstones = deque(self._state.tombstones.pieces())
        taken: list[Tombstone] = []
        while allowed and self._tombstones and effort > 0:
            taken += self._tombstones.popleft()
            effort -= PIECE * TOMBSTONE_EFFORT
        return tuple(taken)


def _fitting(bodies: Sequence[bytes], effort: float) -> int:
    """How many of the bodies are in one slice: at least one, and up to `SPLIT_ABOVE` times the effort."""
    left = effort * SPLIT_ABOVE
    for count, body in enumerate(bodies):
        left -= len(body) * BYTE_EFFORT
        if left < 0:
            return max(count, 1)
    return len(bodies)


def _pieces(whole: Sequence[T]) -> list[Sequence[T]]:
    return [whole[first : first + AT_ONCE] for first in range(0, len(whole), AT_ONCE)]


def take_snapshot(state: State[W], now: float) -> Snapshot:
    """The durable part of the state, in one slice."""
    return Capture(state).take(position=0, now=now, effort=float("inf"))
