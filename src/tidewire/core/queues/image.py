"""Queues as plain data: what snapshots hold and what an import brings, and queues made of it again.

Bodies that queues share are written once and named by number (`Bodies`). What a queue keeps is said by
`QueueImage`, `queue_image` and `fill_queue`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from tidewire.core.events.coalescing import MergeRule
from tidewire.core.events.encoding import Entry, entry_size
from tidewire.core.notifications.decisions import PendingNotification
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.queues.merge_group import Group

ENTRY_EFFORT = 1.0
BYTE_EFFORT = 0.001
"""What it takes to capture and encode an entry, or a byte of a new body, in microseconds on a slow machine."""


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
    missed: tuple[tuple[int, PendingNotification], ...] = ()


class Imaged(Protocol):
    """What an image is made of: a descriptor, or a queue from a dump."""

    @property
    def queue_id(self) -> str:
        """Its id."""

    @property
    def spec(self) -> QueueSpec:
        """What its client registered with."""

    @property
    def queue(self) -> EventQueue:
        """Its events."""

    @property
    def last_active(self) -> float:
        """When it was last polled."""

    @property
    def offline(self) -> bool:
        """Whether its owner counts as gone."""


class Bodies:
    """Numbers for distinct bodies, in order of first use."""

    TABLES = 256
    """Many small dictionaries: one that grows to a million bodies takes too long each time it is enlarged."""

    def __init__(self) -> None:
        self.numbers: list[dict[bytes, int]] = [{} for _ in range(self.TABLES)]
        self.count = 0
        self.new: list[bytes] = []
        """Bodies since the last slice."""
        self.effort = 0.0
        """What the slice has cost so far on their account."""

    def images(self, entries: Iterable[Entry]) -> tuple[EntryImage, ...]:
        """The entries, with their bodies by number."""
        return tuple(EntryImage(event_id, self._number(body), suffix) for event_id, body, suffix in entries)

    def _number(self, body: bytes) -> int:
        self.effort += ENTRY_EFFORT
        numbers = self.numbers[hash(body) % self.TABLES]
        number = numbers.get(body)
        if number is None:
            number = numbers[body] = self.count
            self.count += 1
            self.new.append(body)
            self.effort += len(body) * BYTE_EFFORT
        return number


def queue_image(imaged: Imaged, bodies: Bodies) -> QueueImage:
    """The image of a queue as it is now."""
    queue = imaged.queue
    groups: list[tuple[str | None, Group]] = []
    for opened in queue.open.values():
        groups += opened.items()
    groups += [(None, group) for group in queue.closed]
    return QueueImage(
        queue_id=imaged.queue_id,
        spec=imaged.spec,
        next_event_id=queue.next_event_id,
        newest_pruned_id=queue.newest_pruned_id,
        entries=bodies.images(queue.entries),
        groups=tuple(GroupImage(key, group.kind, bodies.images(group.contributors)) for key, group in groups),
        resumed=queue.resumed,
        last_active=imaged.last_active,
        offline=imaged.offline,
        missed=tuple((queue.missed or {}).items()),
    )


def fill_queue(
    queue: EventQueue, image: QueueImage, bodies: Sequence[bytes], rules: Mapping[str, MergeRule]
) -> None:
    """Makes an empty queue what its image says, but for `missed`."""
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
