"""Queues that have ended: why, so that their owners can be told, and the history of the newest of them."""

from collections.abc import Container, Iterable, Iterator
from itertools import takewhile
from math import inf
from sys import getsizeof
from typing import NamedTuple, TypeAlias

from tidewire.core.history.history import QueueHistory
from tidewire.core.ids import QueueId, RealmId, UserId

ENDED = 400
"""Bytes of an ended queue beside its trail: what is said below, and its place; measured with an id of 36 characters."""


MOST_NAME = 100
"""Characters of a client's name that are kept: more than tell one program from another."""


class Ended(NamedTuple):
    """What is left of a queue; `notice` is the number of the newest notice then."""

    queue_id: QueueId
    user_id: UserId
    realm_id: RealmId
    client: str
    trail: QueueHistory
    next_event_id: int
    newest_pruned_id: int | None
    reason: str
    at: float
    notice: int


class EndedQueues:
    """The newest ended queues, oldest first."""

    __slots__ = ("_ended", "_most")

    def __init__(self, *, most: int) -> None:
        """Makes an empty table of up to `most` queues; 0: it keeps none."""
        self._most = most
        self._ended: dict[str, Ended] = {}

    def add(self, ended: Ended) -> list[Ended]:
        """Keeps a queue; returns what has to go for it, which may be the queue itself."""
        known = self._ended.pop(ended.queue_id, None)
        self._ended[ended.queue_id] = ended
        going = [] if known is None else [known]
        if len(self._ended) > self._most:
            going.append(self._ended.pop(next(iter(self._ended))))
        return going

    def clear(self) -> list[Ended]:
        """Drops all and returns them."""
        gone = list(self._ended.values())
        self._ended.clear()
        return gone

    def get(self, queue_id: str) -> Ended | None:
        """The queue of that id."""
        return self._ended.get(queue_id)

    def __iter__(self) -> Iterator[Ended]:
        return iter(self._ended.values())

    def __len__(self) -> int:
        return len(self._ended)


Tombstone: TypeAlias = tuple[str, int, str, float]
"""The queue's id, its owner's, the reason, and when it ended."""


UNKNOWN = "unknown"
"""The reason given for a queue that never was, is another user's, or ended too long ago."""


PIECE = 5000
"""Tombstones of one slice of a snapshot: copied and encoded in a few milliseconds."""


TOMBSTONE = 180
"""Bytes of a tombstone beside the queue's id; measured by making 100,000."""


class Tombstones:
    """Queues that ended, oldest first.

    Attributes:
        size: bytes of memory that they take.
    """

    __slots__ = ("_ended", "_most", "_most_bytes", "size")

    def __init__(self, *, most: int, most_bytes: float = inf) -> None:
        """Makes an empty table of up to `most` tombstones, which take up to `most_bytes`; 0: it remembers nothing."""
        self._most = most
        self._most_bytes = most_bytes
        self.size = 0
        self._ended: dict[str, tuple[UserId, str, float]] = {}

    def add(self, queue_id: QueueId, user_id: UserId, reason: str, now: float) -> None:
        """Remembers the end of a queue; one that is known already stays as it is."""
        if queue_id in self._ended or not self._most:
            return
        self._ended[queue_id] = (user_id, reason, now)
        self.size += TOMBSTONE + getsizeof(queue_id)
        self._make_room()

    def _drop(self, queue_id: str) -> None:
        if self._ended.pop(queue_id, None) is not None:
            self.size -= TOMBSTONE + getsizeof(queue_id)

    def bound(self, *, most: int, most_bytes: float) -> None:
        """Takes other bounds than it was made with; the oldest that are too many go."""
        self._most = most
        self._most_bytes = most_bytes
        self._make_room()

    def _make_room(self) -> None:
        while len(self._ended) > self._most or self.size > self._most_bytes:
            self._drop(next(iter(self._ended)))

    def reason(self, queue_id: str, user_id: UserId) -> str:
        """Why this user's queue ended; `unknown` to everybody else."""
        known = self._ended.get(queue_id)
        return UNKNOWN if known is None or known[0] != user_id else known[1]

    def end_of(self, queue_id: str) -> tuple[str, float] | None:
        """Why and when a queue of any owner ended, for operators."""
        known = self._ended.get(queue_id)
        return None if known is None else known[1:]

    def owners(self) -> set[UserId]:
        """The owners of the queues that ended."""
        return {user_id for user_id, _, _ in self._ended.values()}

    def of(self, user_ids: Container[UserId]) -> list[Tombstone]:
        """The ends of these users' queues."""
        return [(queue_id, *end) for queue_id, end in self._ended.items() if end[0] in user_ids]

    def forget(self, before: float) -> None:
        """Drops the queues that ended before a time."""
        old = takewhile(lambda item: item[1][2] < before, self._ended.items())
        for queue_id in [queue_id for queue_id, _ in old]:
            self._drop(queue_id)

    def pieces(self) -> list[tuple[Tombstone, ...]]:
        """Everything that is remembered now, in pieces that are each for one slice."""
        known = [(queue_id, *tombstone) for queue_id, tombstone in self._ended.items()]
        return [tuple(known[first : first + PIECE]) for first in range(0, len(known), PIECE)]

    def restore(self, tombstones: Iterable[Tombstone]) -> None:
        """Puts a piece of a snapshot behind what is there: its order is that in which the queues ended."""
        for queue_id, user_id, reason, now in tombstones:
            self._drop(queue_id)
            self.add(QueueId(queue_id), UserId(user_id), reason, now)

    def __len__(self) -> int:
        return len(self._ended)
