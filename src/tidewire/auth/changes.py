"""Users whom an application describes differently from before: what their queues rest on is no longer true (D11)."""

from collections import OrderedDict
from collections.abc import Callable

from tidewire.core.ids import UserId
from tidewire.core.users import User

MAX_USERS = 100_000
"""Of whom the role and realm are kept; the one that was seen longest ago makes room."""


class Changes:
    """Tells of users whose role or realm has changed."""

    def __init__(self, changed: Callable[[UserId], object]) -> None:
        self._changed = changed
        self._facts: OrderedDict[UserId, tuple[str, int]] = OrderedDict()

    def seen(self, user: User) -> None:
        """Compares a user with what was said before."""
        facts = (user.role, user.realm_id)
        before = self._facts.get(user.id, facts)
        self._facts[user.id] = facts
        self._facts.move_to_end(user.id)
        if len(self._facts) > MAX_USERS:
            self._facts.popitem(last=False)
        if before != facts:
            self._changed(user.id)
