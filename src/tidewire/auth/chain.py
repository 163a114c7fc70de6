"""Authentication with several backends: finds the one that a request's credentials belong to.

Routes for browser sessions take cookies, and tokens, but never HTTP Basic. The others take `Authorization` and no
cookie: a page of another site could have the browser send that one.
"""

from typing import Protocol

from tidewire.auth.revocation import Revoked
from tidewire.core.errors import InvalidApiKey, RealmDeactivated
from tidewire.ports.auth import Authenticator, AuthResult, Credentials, NeedsBackend, no_session


class AuthBackend(Protocol):
    """One kind of credentials that isn't the users file."""

    def known(self, credentials: Credentials, now: float, /) -> AuthResult:
        """Returns the user if no call is needed; raises `NeedsBackend` if one is."""
        ...

    async def ask(self, credentials: Credentials, now: float, /) -> AuthResult:
        """Returns the user, with a call to the application or issuer if needed."""
        ...

    def drop(self, session: str) -> None:
        """Drops the cached results of a session."""
        ...


class AuthChain:
    """A `AuthGate` over the kinds that are configured."""

    def __init__(
        self,
        *,
        users: Authenticator | None,
        tokens: AuthBackend | None,
        application: AuthBackend | None,
        revoked: Revoked,
        directory: Authenticator,
    ) -> None:
        """Takes the kinds, None for those that are not wanted, and who is known by id."""
        self._users = users
        self._tokens = tokens
        self._application = application
        self._revoked = revoked
        self._directory = directory

    @property
    def generation(self) -> int:
        """Of the users file and of what was revoked together: neither ever falls."""
        return self._directory.generation + self._revoked.generation

    @property
    def has_sessions(self) -> bool:
        """Whether anything can be shown on the routes for browser sessions."""
        return self._tokens is not None or self._application is not None

    def known(self, credentials: Credentials, now: float) -> AuthResult:
        """Returns the user if no call is needed; raises `NeedsBackend` if one is, `WireError` if access is denied."""
        kind = self._kind(credentials)
        if kind is not None:
            return self._checked(kind.known(credentials, now))
        if self._users is None or credentials.is_session:
            raise no_session(is_session=credentials.is_session)
        try:
            return AuthResult(self._users.authenticate(credentials.authorization, credentials.host))
        except InvalidApiKey:
            if self._application is None:
                raise
            return self._checked(self._application.known(credentials, now))

    async def ask(self, credentials: Credentials, now: float) -> AuthResult:
        """Checks the credentials, with a call to the application if that is needed."""
        kind = self._kind(credentials) or self._application
        if kind is None:
            return self.known(credentials, now)
        try:
            return self._checked(await kind.ask(credentials, now))
        except NeedsBackend:
            raise no_session(is_session=credentials.is_session) from None

    def revoke(self, session: str, now: float) -> None:
        """Rejects this session name from now on."""
        self._revoked.add(session, now)
        for kind in (self._tokens, self._application):
            if kind is not None:
                kind.drop(session)

    def _checked(self, admitted: AuthResult) -> AuthResult:
        """Raises `RealmDeactivated` if the users file has the user's realm switched off."""
        realm = self._directory.realm(admitted.user.realm_id)
        if realm is not None and not realm.active:
            raise RealmDeactivated("This organization has been deactivated")
        return admitted

    def _kind(self, credentials: Credentials) -> AuthBackend | None:
        """Who judges the credentials; None for the users file, or nobody."""
        scheme = (credentials.authorization or "").lstrip().partition(" ")[0].lower()
        if scheme == "bearer" and self._tokens is not None:
            return self._tokens
        if credentials.is_session:
            return self._application
        return self._application if scheme and (scheme != "basic" or self._users is None) else None
