"""A door that knows some sessions, and others only after it was asked."""

import math
from dataclasses import replace

from support.server_process import USER_IDS
from tidewire.auth.revocation import Revoked
from tidewire.core.ids import UserId
from tidewire.ports.auth import Authenticator, AuthResult, Credentials, NeedsBackend, no_session


class SessionDoor:
    """Lets in who shows the cookie `session=NAME`, or `Bearer NAME` elsewhere."""

    has_sessions = True

    def __init__(self, users: Authenticator, *, asks: bool = False, ends_at: float = math.inf) -> None:
        self._users = users
        self._asks = asks
        self.ends_at = ends_at
        self.keep_until = math.inf
        self.asked: list[Credentials] = []
        self._told: set[str] = set()
        self._revoked = Revoked()

    @property
    def generation(self) -> int:
        """Of the users and what was revoked."""
        return self._users.generation + self._revoked.generation

    def known(self, credentials: Credentials, now: float) -> AuthResult:
        """By the name that is shown."""
        name = self._name(credentials)
        if self._asks and name not in self._told:
            raise NeedsBackend
        user = self._users.user(UserId(USER_IDS.get(name, 0)))
        if user is None or self._revoked.has(f"session-of-{name}") or now >= self.ends_at:
            raise no_session(is_session=credentials.is_session)
        return AuthResult(user, min(self.keep_until, self.ends_at), self.ends_at, f"session-of-{name}")

    async def ask(self, credentials: Credentials, now: float) -> AuthResult:
        """Remembers that it was."""
        self.asked.append(replace(credentials))
        self._told.add(self._name(credentials))
        return self.known(credentials, now)

    def revoke(self, session: str, now: float) -> None:
        """Refuses the name from now on."""
        self._revoked.add(session, now)

    def forget(self) -> None:
        """Has to ask again."""
        self._told.clear()

    def _name(self, credentials: Credentials) -> str:
        if credentials.is_session:
            return (credentials.cookie or "").partition("session=")[2]
        return (credentials.authorization or "").partition("Bearer ")[2]
