"""Snapshots: the durable part of a shard's state as plain data, taken in slices, and read back."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tidewire.core.errors import StateError
from tidewire.core.events.coalescing import MERGE_RULES, MergeRule, describe_rules
from tidewire.core.ids import UserId
from tidewire.core.notices.deduplication import RememberedId, UserNoticeLogImage
from tidewire.core.notifications.outbox import OutboxImage, OutboxQueueImage
from tidewire.core.queues.ended import PIECE, Tombstone
from tidewire.core.queues.image import BYTE_EFFORT, Bodies, QueueImage, queue_image
from tidewire.core.relocation.relocations import RelocationsImage, Table
from tidewire.core.state.restore import Skipped, make_queues
from tidewire.core.state.state import State

W = TypeVar("W")


SNAPSHOT_VERSION = 3
"""Of the form below; another one is refused."""


QUEUES_OF_PART = 16
"""Queues that one part holds at most: what a damaged block of the disk costs."""


BYTES_OF_PART = 32 * 1024
"""Bytes of bodies in one part, beyond which the next body begins another."""


class Ends(Struct, frozen=True, array_like=True):
    """How far tables had come, so that it is seen when their last piece is lost.

    Attributes:
        ids: the number of the next notice id.
        outbox: the position that comes next in each of the outbox's queues.
    """

    ids: int
    outbox: tuple[tuple[str, int], ...]


class Snapshot(Struct, frozen=True, omit_defaults=True):
    """A shard at one moment, or a slice of it, or a part of a slice.

    Attributes:
        now: the shard's time then.
        bodies: those that no earlier slice has; the first has the number `first_body`.
        remembered: notice ids; the first has the number `first_id`.
        position: of the newest record whose effects the queues hold.
        rules: what the application's merge rules are called, by type (`describe_rule`).
        outbox: a piece of it.
        clean: it was taken at a clean stop: nothing happened after it that no record tells of.
        tombstones: a piece of them.
        revoked: users who get no queue.
        moves: users on their way; in the first slice.
        given: what they were given, a piece of it.
        tables: pieces of the ids that other shards remembered, each with the table's name and its first number.
        first_queue: how many queues were captured before these.
        queues_in_all: how many queues there are in all slices; in the last one.
        ends: in the first slice.
    """

    version: int
    now: float
    bodies: tuple[bytes, ...] = ()
    queues: tuple[QueueImage, ...] = ()
    remembered: tuple[RememberedId, ...] = ()
    position: int = 0
    first_body: int = 0
    first_id: int = 0
    rules: dict[str, str] = msgspec.field(default_factory=dict)
    outbox: OutboxImage = OutboxImage()
    clean: bool = False
    tombstones: tuple[Tombstone, ...] = ()
    revoked: tuple[int, ...] = ()
    moves: RelocationsImage | None = None
    given: tuple[UserNoticeLogImage, ...] = ()
    tables: tuple[tuple[str, int, tuple[RememberedId, ...]], ...] = ()
    first_queue: int = 0
    queues_in_all: int | None = None
    ends: Ends | None = None


_ENCODER = msgspec.msgpack.Encoder()


_DECODER = msgspec.msgpack.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The snapshot, or slice of one, as MessagePack."""
    return _ENCODER.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """The snapshot that `encode_snapshot` encoded.

    Raises:
        msgspec.DecodeError: `data` is none.
        StateError: another version wrote it.
    """
    try:
        snapshot = _DECODER.decode(data)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None
    if snapshot.version != SNAPSHOT_VERSION:
        raise StateError(
            f"The snapshot has the form {snapshot.version}, and this version knows {SNAPSHOT_VERSION}; "
            "start the version that wrote it"
        )
    return snapshot


def parts_of(piece: Snapshot) -> list[Snapshot]:
    """A slice in parts, in an order in which they can be restored.

    The first part of the first slice has what no other part can do without: who is on their way, whose rights were
    revoked, how far the tables had come.
    """
    common = Snapshot(
        version=piece.version, now=piece.now, position=piece.position, rules=piece.rules, clean=piece.clean
    )
    replace = msgspec.structs.replace
    parts = []
    if piece.ends is not None or piece.queues_in_all is not None:
        parts.append(
            replace(
                common,
                revoked=piece.revoked,
                moves=piece.moves,
                outbox=OutboxImage(piece.outbox.next_number),
                ends=piece.ends,
                queues_in_all=piece.queues_in_all,
            )
        )
    if piece.remembered or piece.first_id:
        parts.append(replace(common, remembered=piece.remembered, first_id=piece.first_id))
    parts += [
        replace(common, outbox=OutboxImage(piece.outbox.next_number, (queue,)))
        for queue in piece.outbox.queues
    ]
    if piece.given or piece.tables:
        parts.append(replace(common, given=piece.given, tables=piece.tables))
    if piece.tombstones:
        parts.append(replace(common, tombstones=piece.tombstones))
    parts += (replace(common, bodies=bodies, first_body=first) for first, bodies in _few_bodies(piece))
    for first in range(0, len(piece.queues), QUEUES_OF_PART):
        queues = piece.queues[first : first + QUEUES_OF_PART]
        parts.append(replace(common, queues=queues, first_queue=piece.first_queue + first))
    return parts


def _few_bodies(piece: Snapshot) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    """The bodies of a slice, a few at a time, with the number of the first of them."""
    few: list[bytes] = []
    size, first = 0, piece.first_body
    for number, body in enumerate(piece.bodies, piece.first_body + 1):
        few.append(body)
        size += len(body)
        if size >= BYTES_OF_PART:
            yield first, tuple(few)
            few, size, first = [], 0, number
    if few:
        yield first, tuple(few)


def restore_snapshot(state: State[W], snapshot: Snapshot) -> list[Skipped]:
    """Fills an empty state with what a snapshot in one slice holds, as it was then.

    Returns the queues whose narrow is no longer supported; all others are there (R12.9).
    """
    restore_tables(state, snapshot)
    return restore_queues(state, snapshot, snapshot.bodies)


def restore_tables(state: State[W], part: Snapshot) -> None:
    """Restores what a slice holds besides queues; to be called for each slice in turn, before its queues.

    The bodies that queues will name count from here on.
    """
    for body in part.bodies:
        state.memory.enter(body)
    state.remembered.restore(part.first_id, part.remembered)
    state.outbox.restore(part.outbox)
    state.tombstones.restore(part.tombstones)
    state.revoked.update((UserId(user_id), None) for user_id in part.revoked)
    if part.moves is not None:
        state.relocations.restore(part.moves)
    for notice_id, digest, taken, users in part.given:
        state.relocations.given.add(notice_id, digest, taken, map(UserId, users))
    for name, first, ids in part.tables:
        state.relocations.tables.setdefault(name, Table()).add(first, ids)


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
"""What it takes to capture and encode one of each, in microseconds on a slow machine; so in `core/queues/image.py`."""


class Capture(Generic[W]):
    """A snapshot that is being taken, slice by slice."""

    def __init__(self, state: State[W]) -> None:
        self._state = state
        self._pieces = deque(state.remembered.pieces())
        self._next_id = state.remembered.next
        self._rules = describe_rules(state.rules)
        self._ends: Ends | None = Ends(state.remembered.next, state.outbox.ends())
        self._outbox_number = state.outbox.next_number
        self._outbox = deque(state.outbox.pieces())
        self._queues = deque(state.directory)
        self._revoked = tuple(state.revoked)
        self._tombstones: deque[tuple[Tombstone, ...]] | None = None
        self._begun = False
        self._taken = 0
        relocations = state.relocations
        self._moves: RelocationsImage | None = relocations.image() if relocations.version else None
        self._given = deque(_pieces(relocations.given.images()))
        self._tables = deque(
            (name, piece[0][0], tuple(one for _, one in piece))
            for name, table in relocations.tables.items()
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
        ends, self._ends = self._ends, None
        first_queue = self._taken
        self._taken += len(queues)
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
            first_queue=first_queue,
            queues_in_all=self._taken if self.done else None,
            ends=ends,
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
