"""The outbox: notifications that wait for the workers that send them (D6).

Each queue numbers its records on its own: positions start at 1 and rise by one, whatever becomes of the
records. So a reader sees from the positions alone what it has missed.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from tidewire.core.errors import BadRequest, NotFound
from tidewire.core.notifications.worker_records import (
    Kind,
    Notification,
    NotificationDecision,
    queue_names,
    queue_of,
)

NOTIFICATION = 280
"""Bytes of a notification in memory; measured by adding 100,000."""

PIECE = 1000
"""Records of one piece of a snapshot."""


class OutboxQueueImage(Struct, frozen=True, array_like=True):
    """One queue of the outbox as plain data, or a piece of it.

    Attributes:
        first: position of the first record.
        lost: records dropped so far because there was no room.
    """

    name: str
    first: int
    records: tuple[Notification, ...]
    lost: int


class OutboxImage(Struct, frozen=True):
    """The outbox as plain data; `next_number` is what the next notification is counted as."""

    next_number: int = 1
    queues: tuple[OutboxQueueImage, ...] = ()


class OutboxPage(NamedTuple):
    """The answer to a reader.

    Attributes:
        records: records with their positions, oldest first.
        waiting: how many records the queue holds in all.
        lost: how many it has dropped so far because there was no room.
    """

    records: list[tuple[int, Notification]]
    waiting: int
    lost: int


class _Queue:
    __slots__ = ("first", "lost", "records")

    def __init__(self, first: int = 1, lost: int = 0) -> None:
        self.first = first
        self.lost = lost
        # By position: dropped at one end and added at the other, and found anywhere, each in one step.
        self.records: dict[int, Notification] = {}

    @property
    def end(self) -> int:
        """The position that comes next."""
        return self.first + len(self.records)

    def drop_first(self) -> None:
        del self.records[self.first]
        self.first += 1


class Outbox:
    """The notification records of all worker queues, with one common limit."""

    __slots__ = ("_mobile_shards", "_most", "_queues", "_size", "next_number")

    def __init__(self, *, most: int, mobile_shards: int) -> None:
        """Makes an empty one.

        Args:
            most: records kept in all queues together; 0: no bound.
            mobile_shards: how many workers share the push notifications.
        """
        self._most = most
        self._mobile_shards = mobile_shards
        self._queues = {name: _Queue() for name in queue_names(mobile_shards)}
        self._size = 0
        self.next_number = 1

    def __len__(self) -> int:
        return self._size

    def bound(self, *, most: int, mobile_shards: int) -> int:
        """Takes other bounds than it was made with; returns how many records had to give way."""
        self._most, self._mobile_shards = most, mobile_shards
        for name in queue_names(mobile_shards):
            self._queues.setdefault(name, _Queue())
        return self._make_room()

    def ends(self) -> tuple[tuple[str, int], ...]:
        """The position that comes next in each queue."""
        return tuple((name, queue.end) for name, queue in self._queues.items())

    def reach(self, ends: Iterable[tuple[str, int]]) -> None:
        """Has queues come as far as they were before their last records got lost; what is left of them moves up."""
        for name, end in ends:
            queue = self._queues.setdefault(name, _Queue())
            missing = end - queue.end
            if missing > 0:
                queue.first += missing
                queue.lost += missing
                queue.records = dict(enumerate(queue.records.values(), queue.first))

    def skip(self, count: int) -> None:
        """Gives what waits, and all that comes, positions and numbers that are so much higher.

        It comes in place of records of which nobody knows how many they were: whoever has read up to a position, or
        acknowledged it, gets everything that waits once more, and nothing unseen is taken for seen.
        """
        self.next_number += count
        for queue in self._queues.values():
            queue.first += count
            queue.records = dict(enumerate(queue.records.values(), queue.first))

    def names(self) -> list[str]:
        """Of all queues, those of another number of workers among them."""
        return list(self._queues)

    def add(self, notified: NotificationDecision, at: float) -> int:
        """Adds the one or two notifications of a decision; returns how many others had to give way."""
        if notified.push is not None:
            self._append("push", notified, notified.push, at)
        if notified.email is not None:
            self._append("email", notified, notified.email, at)
        return self._make_room()

    def _append(self, kind: Kind, notified: NotificationDecision, trigger: str, at: float) -> None:
        name = queue_of(kind, notified.user_id, self._mobile_shards)
        queue = self._queues[name]
        queue.records[queue.end] = Notification(
            self.next_number,
            at,
            kind,
            notified.user_id,
            notified.message_id,
            trigger,
            notified.mentioned_user_group_id,
        )
        self.next_number += 1
        self._size += 1

    def _make_room(self) -> int:
        dropped = 0
        while self._most and self._size > self._most:
            # There are a few queues only, and the oldest record is the first of one of them.
            held = (queue for queue in self._queues.values() if queue.records)
            oldest = min(held, key=lambda queue: queue.records[queue.first].number)
            oldest.drop_first()
            oldest.lost += 1
            self._size -= 1
            dropped += 1
        return dropped

    def page(self, name: str, *, after: int, limit: int) -> OutboxPage:
        """Up to `limit` records behind the position `after`.

        Raises:
            NotFound: there is no such queue.
        """
        queue = self._queue(name)
        start = max(queue.first, after + 1)
        positions = range(start, min(queue.end, start + limit))
        records = [(position, queue.records[position]) for position in positions]
        return OutboxPage(records, len(queue.records), queue.lost)

    def holds(self, name: str, *, through: int) -> bool:
        """Whether an acknowledgement up to a position has anything to drop.

        Raises:
            NotFound: there is no such queue.
            BadRequest: the queue has not come that far, so nobody can have read it.
        """
        queue = self._queue(name)
        if through >= queue.end:
            raise BadRequest(f"The queue {name} has no record {through} yet")
        return through >= queue.first

    def acknowledge(self, name: str, *, through: int) -> None:
        """Drops the records that a worker has taken."""
        queue = self._queue(name)
        while queue.records and queue.first <= through:
            queue.drop_first()
            self._size -= 1

    def _queue(self, name: str) -> _Queue:
        queue = self._queues.get(name)
        if queue is None:
            raise NotFound(f"No such queue: {name} (there are {', '.join(self._queues)})")
        return queue

    # For snapshots.

    def pieces(self) -> list[OutboxQueueImage]:
        """Everything as plain data, in pieces that are encoded in a few milliseconds each."""
        found: list[OutboxQueueImage] = []
        for name, queue in self._queues.items():
            records = tuple(queue.records.values())
            for start in range(0, max(1, len(records)), PIECE):
                piece = records[start : start + PIECE]
                found.append(OutboxQueueImage(name, queue.first + start, piece, queue.lost))
        return found

    def restore(self, image: OutboxImage) -> None:
        """Adds pieces, in their order, to what was empty before them.

        The queues of another number of workers stay readable.
        """
        self.next_number = max(self.next_number, image.next_number)
        for piece in image.queues:
            queue = self._queues.get(piece.name)
            if queue is None or not queue.records:
                queue = self._queues[piece.name] = _Queue(piece.first, piece.lost)
            elif queue.end < piece.first:
                # A piece between them is lost. Its positions are left out; those before it move up to what follows,
                # so that whoever had read them reads them again, under the same ids.
                moved = piece.first - queue.end
                queue.first += moved
                queue.lost += moved
                queue.records = dict(enumerate(queue.records.values(), queue.first))
            queue.records |= enumerate(piece.records, piece.first)
            self._size += len(piece.records)
