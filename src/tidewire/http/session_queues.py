"""Which queues belong to which session, so that they end with it.

Kept in memory alone: after a restart a queue belongs to the session that polls it first, and nobody can poll it without
one.
"""

from collections.abc import Callable

from tidewire.core.ids import QueueId
from tidewire.ports.auth import AuthResult

CROWD = 16
"""Queues of one session from which on those that have ended are looked for at every new one."""


class Sessions:
    """The sessions of one server."""

    def __init__(self, exists: Callable[[str], object | None]) -> None:
        """Takes what tells whether a queue is still there."""
        self._exists = exists
        self._queues: dict[str, set[str]] = {}

    def use(self, admitted: AuthResult | None, queue_id: str) -> None:
        """Notes that a session made or polls a queue."""
        if admitted is None or not admitted.session:
            return
        queues = self._queues.setdefault(admitted.session, set())
        queues.add(queue_id)
        if len(queues) > CROWD:
            self._queues[admitted.session] = {each for each in queues if self._exists(each) is not None}

    def take(self, session: str) -> list[QueueId]:
        """The queues of a session, which is forgotten."""
        return [QueueId(queue_id) for queue_id in self._queues.pop(session, ())]

    def sweep(self) -> None:
        """Forgets sessions none of whose queues is left."""
        for session, queues in list(self._queues.items()):
            left = {queue_id for queue_id in queues if self._exists(queue_id) is not None}
            if left:
                self._queues[session] = left
            else:
                del self._queues[session]

    def __len__(self) -> int:
        return len(self._queues)
