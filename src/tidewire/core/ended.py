"""Ended queues whose trails are still there to be asked: a few of the newest, so that "why did it end?" has an answer.

Nothing of what their clients registered with is kept but the client's name, shortened.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.trails import Trail

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
    trail: Trail
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
