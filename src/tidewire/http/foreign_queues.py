"""Who asks for queues of other users: said in the log (R11.9), but not while the answer is made.

A queue that is another user's and one that there is not get the same answer, and it must take the same time. An entry of the log
takes ten times as long as the rest of such an answer. So what was asked is only put aside, in either case, and what is worth
an entry is written later, all together.
"""

from collections import deque
from typing import NamedTuple

from structlog.typing import FilteringBoundLogger

from tidewire.core.users import User
from tidewire.engine.engine import Engine
from tidewire.http.request_log import RequestIds

MOST = 1000
"""Requests of a second that are put aside; the log leaves out all but some of so many anyway."""


class _Asked(NamedTuple):
    """A request for a queue that is none of the user's."""

    queue_id: str
    owner_id: int | None
    user: User | None
    number: int


class ForeignQueues:
    """The requests of the last moments."""

    __slots__ = ("_of_nobody", "_of_others")

    def __init__(self) -> None:
        self._of_others: deque[_Asked] = deque(maxlen=MOST)
        self._of_nobody: deque[_Asked] = deque(maxlen=1)
        """Kept for the time it takes, and for nothing else."""

    def note(self, queue_id: str, owner_id: int | None, user: User | None, number: int) -> None:
        """Puts a request aside; `owner_id` is None when there is no such queue, `number` is the request's."""
        asked = self._of_nobody if owner_id is None else self._of_others
        asked.append(_Asked(queue_id, owner_id, user, number))

    def write(self, log: FilteringBoundLogger, engine: Engine, ids: RequestIds) -> None:
        """Writes an entry for each that asked for somebody's queue; called once a second."""
        while self._of_others:
            asked = self._of_others.popleft()
            descriptor = engine.shard.find(asked.queue_id)
            log.warning(
                "queue of another user asked for",
                queue_id=asked.queue_id,
                user_id=None if asked.user is None else asked.user.id,
                owner=asked.owner_id,
                client=None if descriptor is None else descriptor.spec.client_type_name,
                request_id=ids.shown(asked.number),
            )
