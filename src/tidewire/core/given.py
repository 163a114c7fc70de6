"""Which notices were given to users who are remembered by name, because they are about to move or have just come."""

from collections.abc import Iterable
from itertools import takewhile
from typing import NamedTuple, TypeAlias

from tidewire.core.ids import UserId

GivenImage: TypeAlias = tuple[str, bytes, float, tuple[int, ...]]
"""A notice's id, its digest, when it was taken, and the users it was given to."""


class _Notice(NamedTuple):
    digest: bytes
    taken: float
    users: dict[UserId, None]


class Given:
    """Notices by id, in the order in which they were first given to anybody here; nobody else's are in it."""

    __slots__ = ("_notices", "_of_user")

    def __init__(self) -> None:
        self._notices: dict[str, _Notice] = {}
        self._of_user: dict[UserId, dict[str, None]] = {}

    def digest(self, notice_id: str) -> bytes | None:
        """The digest of a notice that somebody was given."""
        known = self._notices.get(notice_id)
        return None if known is None else known.digest

    def has(self, user_id: UserId, notice_id: str) -> bool:
        """Whether the user was given it."""
        known = self._notices.get(notice_id)
        return known is not None and user_id in known.users

    def add(self, notice_id: str, digest: bytes, taken: float, users: Iterable[UserId]) -> None:
        """Notes that users were given a notice."""
        known = self._notices.get(notice_id)
        if known is None:
            known = self._notices[notice_id] = _Notice(digest, taken, {})
        for user_id in users:
            known.users[user_id] = None
            self._of_user.setdefault(user_id, {})[notice_id] = None

    def of(self, users: Iterable[UserId]) -> list[GivenImage]:
        """What these users were given."""
        found: dict[str, list[int]] = {}
        for user_id in users:
            for notice_id in self._of_user.get(user_id, ()):
                found.setdefault(notice_id, []).append(user_id)
        return [
            (notice_id, *self._notices[notice_id][:2], tuple(users_of))
            for notice_id, users_of in found.items()
        ]

    def drop(self, user_id: UserId) -> None:
        """Forgets a user."""
        for notice_id in self._of_user.pop(user_id, ()):
            users = self._notices[notice_id].users
            del users[user_id]
            if not users:
                del self._notices[notice_id]

    def is_stale(self, before: float) -> bool:
        """Whether `forget` would find anything."""
        oldest = next(iter(self._notices.values()), None)
        return oldest is not None and oldest.taken < before

    def forget(self, before: float) -> None:
        """Drops notices that were taken before a time."""
        old = takewhile(lambda item: item[1].taken < before, self._notices.items())
        for notice_id, notice in list(old):
            for user_id in notice.users:
                ids = self._of_user[user_id]
                del ids[notice_id]
                if not ids:
                    del self._of_user[user_id]
            del self._notices[notice_id]

    def images(self) -> list[GivenImage]:
        """Everything."""
        return [(notice_id, *notice[:2], tuple(notice.users)) for notice_id, notice in self._notices.items()]

    def __len__(self) -> int:
        return len(self._notices)
