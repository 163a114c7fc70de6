"""Sessions and tokens that were revoked, and users whose description by the application has changed."""

from collections import OrderedDict
from collections.abc import Callable

from tidewire.core.ids import UserId
from tidewire.core.users import User

MAX_REMEMBERED = 100_000
"""Names kept, some 20 MB; beyond, the oldest is forgotten."""


REMEMBERED_FOR = 86_400.0
"""Seconds. A token should not live longer, and an application that is asked knows of its sessions itself."""


class Revoked:
    """Names, with the moment at which each was revoked."""

    def __init__(self) -> None:
        self._at: OrderedDict[str, float] = OrderedDict()
        self.generation = 0
        """Rises with every name."""

    def add(self, session: str, now: float) -> None:
        """Revokes a token or session by its name."""
        self.generation += 1
        self._at[session] = now
        self._at.move_to_end(session)
        while self._at and (len(self._at) > MAX_REMEMBERED or now - self._oldest() > REMEMBERED_FOR):
            self._at.popitem(last=False)

    def has(self, session: str) -> bool:
        """Whether the name was revoked; names are not given twice."""
        return session in self._at

    def _oldest(self) -> float:
        return next(iter(self._at.values()))


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
