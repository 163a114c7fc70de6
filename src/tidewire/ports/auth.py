"""Authentication as the server asks for it: the credentials of a request, and the Protocols of who judges them."""

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol

from tidewire.core.errors import Unauthorized
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Realm, User

NOT_LOGGED_IN = "Not logged in: API authentication or user session required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request shows of who asks.

    Attributes:
        authorization: the `Authorization` header as it came.
        cookie: the `Cookie` header as it came; only of a session.
        host: the `Host` header as it came.
        is_session: the request came by a route for browser sessions.
    """

    authorization: str | None = field(repr=False)
    cookie: str | None = field(default=None, repr=False)
    host: str | None = None
    is_session: bool = False


def no_session(*, is_session: bool) -> Unauthorized:
    """The error for a request that shows nothing, or nothing that holds any longer (R6.3)."""
    error = Unauthorized(NOT_LOGGED_IN)
    if is_session:
        error.headers = MappingProxyType({"WWW-Authenticate": 'Session realm="zulip"'})
    return error


class AuthResult(NamedTuple):
    """Somebody who was let in.

    Attributes:
        user: who it is.
        known_until: from when on it must be looked at again, in UNIX seconds.
        ends_at: when the right itself ends, so that a poll must not wait beyond it.
        session: the name under which it can be revoked; empty when there is none.
    """

    user: User
    known_until: float = math.inf
    ends_at: float = math.inf
    session: str = ""


class NeedsBackend(Exception):
    """Nobody here knows who asks, but somebody elsewhere may; never leaves the server."""


class AuthGate(Protocol):
    """Lets requests in.

    Errors are those of `tidewire.ports.auth.Authenticator.authenticate`, and those that the methods name.
    """

    @property
    def generation(self) -> int:
        """Rises whenever an answer given before may no longer hold."""
        ...

    @property
    def has_sessions(self) -> bool:
        """Whether browser sessions are let in at all."""
        ...

    def known(self, credentials: Credentials, now: float, /) -> AuthResult:
        """Who asks, as far as that is known; it waits for nothing, for it stands on the path of every poll.

        Raises:
            WireError: nobody who may ask.
            MustAsk: `ask` may know.
        """
        ...

    async def ask(self, credentials: Credentials, now: float, /) -> AuthResult:
        """Who asks, after somebody else was asked.

        Raises:
            WireError: nobody who may ask.
            AuthenticationUnavailable: nobody could be asked.
        """
        ...

    def revoke(self, session: str, now: float) -> None:
        """Lets nobody in any more under this name."""
        ...


class Authenticator(Protocol):
    """Finds the user whose credentials a request carries."""

    @property
    def generation(self) -> int:
        """Rises whenever an answer given before may no longer hold."""
        ...

    def authenticate(self, authorization: str | None, host: str | None) -> User:
        """Gives the user that a request on `/api` comes from (R6.2, R6.3).

        It does not wait for anything, for it stands on the path of every poll.

        Args:
            authorization: the `Authorization` header as it came; None when there was none.
            host: the `Host` header as it came, with or without a port; None when there was none.

        Raises:
            Unauthorized: no header, or one that can't be read.
            BadRequest: another scheme than Basic, a host of another realm, or an incoming-webhook bot.
            InvalidApiKey: the key is malformed, unknown, or not this email's.
            UserDeactivated: the account is switched off.
            RealmDeactivated: its organisation is switched off.
        """
        ...

    def user(self, user_id: UserId) -> User | None:
        """Gives a user by id, active or not; None when there is no such user."""
        ...

    def rights(self, user_id: UserId) -> bytes:
        """Gives a digest of what the user's right to a queue rests on: role, realm, key, whether active.

        It is kept with the queue, over restarts too, and the queue ends when it has become another. Empty when
        there is no such user.
        """
        ...

    def realm(self, realm_id: RealmId) -> Realm | None:
        """Gives a realm by id, active or not; None when there is no such realm."""
        ...
