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

What a queue keeps is said in `core/images.py`, what a shard keeps by `Snapshot`, `restore_tables` and
`Capture.take` (`core/capture.py`).
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from tidewire.core.errors import StateError
from tidewire.core.given import GivenImage
from tidewire.core.ids import UserId
from tidewire.core.images import QueueImage
from tidewire.core.merge import MERGE_RULES, MergeRule, describe_rules
from tidewire.core.moves import MovesImage, Table
from tidewire.core.outbox import OutboxImage
from tidewire.core.remembered import RememberedId
from tidewire.core.restoring import Skipped, make_queues
from tidewire.core.state import State
from tidewire.core.tombstones import Tombstone

W = TypeVar("W")

SNAPSHOT_VERSION = 2
"""Of the form below; a newer one is refused, an older one is migrated when there is one."""


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
        tombstones: a piece of them.
        revoked: users who get no queue.
        moves: users on their way; in the first slice.
        given: what they were given, a piece of it.
        tables: pieces of the ids that other shards remembered, each with the table's name and its first number.
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
    tombstones: tuple[Tombstone, ...] = ()
    revoked: tuple[int, ...] = ()
    moves: MovesImage | None = None
    given: tuple[GivenImage, ...] = ()
    tables: tuple[tuple[str, int, tuple[RememberedId, ...]], ...] = ()


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
        state.moves.restore(part.moves)
    for notice_id, digest, taken, users in part.given:
        state.moves.given.add(notice_id, digest, taken, map(UserId, users))
    for name, first, ids in part.tables:
        state.moves.tables.setdefault(name, Table()).add(first, ids)


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
