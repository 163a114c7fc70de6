"""The durable part of a state as plain data, and back (D4).

Bodies that queues share are written once and named by number. What lives only as long as the process
(waiters, deadlines, statistics) is left out and built anew.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from tidewire.core.descriptor import Descriptor, QueueSpec
from tidewire.core.errors import BadRequest
from tidewire.core.groups import Group
from tidewire.core.ids import QueueId
from tidewire.core.merge import MERGE_RULES, MergeRule, describe_rules
from tidewire.core.notifications.outcomes import Missed
from tidewire.core.outbox import OutboxImage
from tidewire.core.state import State
from tidewire.core.wire import Entry, entry_size

W = TypeVar("W")

SNAPSHOT_VERSION = 1
"""Of the form below; a newer one is refused, an older one is migrated when there is one."""


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
    """A whole shard at one moment; `now` is the shard's time then.

    Attributes:
        rules: what the application's merge rules are called, by type (`describe_rule`).
    """

    version: int
    now: float
    bodies: tuple[bytes, ...]
    queues: tuple[QueueImage, ...]
    remembered: tuple[tuple[str, bytes, float], ...]
    rules: dict[str, str] = msgspec.field(default_factory=dict)
    outbox: OutboxImage = OutboxImage()


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The snapshot as MessagePack."""
    return _ENCODER.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """The snapshot that `encode_snapshot` encoded.

    Raises:
        msgspec.DecodeError: `data` is none.
    """
    try:
        return _DECODER.decode(data)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None


class _Bodies:
    """Numbers for distinct bodies, in order of first use."""

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {}

    def images(self, entries: Iterable[Entry]) -> tuple[EntryImage, ...]:
        numbers = self.numbers
        return tuple(
            EntryImage(event_id, numbers.setdefault(body, len(numbers)), suffix)
            for event_id, body, suffix in entries
        )


def take_snapshot(state: State[W], now: float) -> Snapshot:
    """The durable part of the state."""
    bodies = _Bodies()
    queues = tuple(_queue_image(descriptor, bodies) for descriptor in state.directory)
    return Snapshot(
        version=SNAPSHOT_VERSION,
        now=now,
        bodies=tuple(bodies.numbers),
        queues=queues,
        remembered=tuple(state.remembered),
        rules=describe_rules(state.rules),
        outbox=state.outbox.image(),
    )


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


class Skipped(NamedTuple):
    """A queue that could not be restored, and why."""

    queue_id: str
    error: BadRequest


def restore_snapshot(state: State[W], snapshot: Snapshot) -> list[Skipped]:
    """Fills an empty state with what the snapshot holds, as it was then.

    Returns the queues whose narrow is no longer supported; all others are there (R12.9).
    """
    state.recorded_at = snapshot.now
    state.outbox.restore(snapshot.outbox)
    skipped: list[Skipped] = []
    rules = _unchanged_rules(snapshot, state.rules)
    shared: dict[Missed, Missed] = {}
    for image in snapshot.queues:
        try:
            descriptor = state.add_queue(QueueId(image.queue_id), image.spec, now=image.last_active)
        except BadRequest as error:
            skipped.append(Skipped(image.queue_id, error))
            continue
        descriptor.offline = image.offline
        _fill_queue(descriptor, image, snapshot.bodies, rules)
        if image.missed:
            # Written for each queue, but one object for all that are equal, as when the message came.
            descriptor.queue.missed = {
                event_id: shared.setdefault(one, one) for event_id, one in image.missed
            }
    for notice_id, digest, taken in snapshot.remembered:
        state.remembered.add(notice_id, digest, taken)
    return skipped


def _unchanged_rules(snapshot: Snapshot, rules: Mapping[str, MergeRule]) -> Mapping[str, MergeRule]:
    """The rules that are still what they were: others can't be trusted with groups that they did not form."""
    known = describe_rules(rules)
    return {
        kind: rule
        for kind, rule in rules.items()
        if kind in MERGE_RULES or snapshot.rules.get(kind) == known[kind]
    }


def _fill_queue(
    descriptor: Descriptor[W], image: QueueImage, bodies: tuple[bytes, ...], rules: Mapping[str, MergeRule]
) -> None:
    queue = descriptor.queue
    queue.next_event_id = image.next_event_id
    queue.newest_pruned_id = image.newest_pruned_id
    queue.resumed = image.resumed
    queue.entries = _entries(image.entries, bodies)
    for group_image in image.groups:
        contributors = _entries(group_image.contributors, bodies)
        rule = rules.get(group_image.kind)
        if rule is None:
            queue.place(contributors)
            continue
        group = Group(group_image.kind, rule, contributors)
        if group_image.key is None:
            queue.closed.append(group)
        else:
            queue.open.setdefault(group_image.kind, {})[group_image.key] = group
    queue.size = sum(map(entry_size, queue.entries))
    queue.size += sum(entry_size(entry) for group in queue.groups() for entry in group.contributors)


def _entries(images: tuple[EntryImage, ...], bodies: tuple[bytes, ...]) -> list[Entry]:
    return [(image.id, bodies[image.body], image.suffix) for image in images]
