"""Asking the application who a request comes from, with the request's own credentials.

The application answers `{"user": {...}, "session": "...", "expires_in": 3600}`, or 401 or 403 when it is nobody.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
from msgspec import Struct

from tidewire._http.bounded import CallFailed, Lines, Reply
from tidewire.auth.cache import Remembered, digest_of
from tidewire.auth.credentials import SCHEME as BASIC
from tidewire.auth.credentials import admissible
from tidewire.auth.revocation import Revoked
from tidewire.auth.users_file import LARGEST_ID
from tidewire.core.errors import AuthenticationUnavailable, InvalidApiKey, InvalidToken, WireError
from tidewire.core.users import User
from tidewire.ports.auth import AuthResult, Credentials, NeedsBackend, no_session

OK = 200
REFUSALS = frozenset({401, 403})


class BackendClient(Protocol):
    """The application: a `tidewire._http.bounded.Caller`, or what asks it without HTTP."""

    async def post(self, body: bytes, headers: Lines = (), /) -> Reply:
        """Asks it, with one header that says who asks.

        Raises:
            CallFailed: it could not be asked.
        """
        ...


class _Answer(Struct):
    user: User
    session: str = ""
    expires_in: float | None = None


_DECODER = msgspec.json.Decoder(_Answer)
_ENCODER = msgspec.json.Encoder()


class ApplicationBackend:
    """Credentials that the application judges."""

    def __init__(
        self,
        client: BackendClient,
        *,
        keep_for: float,
        cookies: Iterable[str],
        revoked: Revoked,
        report: Callable[[Exception], None],
        on_seen: Callable[[User], object],
    ) -> None:
        """Takes what it needs.

        Args:
            client: who is asked.
            keep_for: seconds that an answer holds.
            cookies: names of the cookies that are passed on; none is all.
            revoked: the sessions that were revoked.
            report: told why the application could not be asked.
            on_seen: told of every user whom the application names.
        """
        self._client = client
        self._keep_for = keep_for
        self._cookies = frozenset(cookies)
        self._revoked = revoked
        self._report = report
        self._on_seen = on_seen
        self._remembered = Remembered()
        self._under_way: dict[bytes, asyncio.Task[AuthResult]] = {}

    def known(self, credentials: Credentials, now: float) -> AuthResult:
        """Who asks, if the application has said so a moment ago.

        Raises:
            MustAsk: it has not.
            Unauthorized: there is nothing to ask with.
        """
        shown = self._shown(credentials)
        if shown is None:
            raise no_session(is_session=credentials.is_session)
        found = self._remembered.get(self._key(credentials, shown), now)
        if found is None:
            raise NeedsBackend
        return found

    async def ask(self, credentials: Credentials, now: float) -> AuthResult:
        """Has the application say it; requests with the same credentials share one answer."""
        shown = self._shown(credentials)
        if shown is None:
            raise no_session(is_session=credentials.is_session)
        key = self._key(credentials, shown)
        asking = self._under_way.get(key)
        if asking is None:
            asking = self._under_way[key] = asyncio.create_task(self._ask(key, credentials, shown, now))
            asking.add_done_callback(lambda done: self._answered(key, done))
        # One that gives up must not take the answer from the others.
        return await asyncio.shield(asking)

    def _answered(self, key: bytes, done: asyncio.Task[AuthResult]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # should all who asked have gone, nobody else looks at it

    def drop(self, session: str) -> None:
        """Drops the cached results of the session."""
        self._remembered.drop(session)

    def _shown(self, credentials: Credentials) -> str | None:
        """The one header that says who asks: the browser's cookies by the session routes, else `Authorization`."""
        if not credentials.is_session:
            return credentials.authorization
        pairs = [pair.strip() for pair in (credentials.cookie or "").split(";")]
        if self._cookies:
            pairs = [pair for pair in pairs if pair.partition("=")[0] in self._cookies]
        return "; ".join(pair for pair in pairs if pair) or None

    def _key(self, credentials: Credentials, shown: str) -> bytes:
        return digest_of("session" if credentials.is_session else "api", shown, credentials.host)

    async def _ask(self, key: bytes, credentials: Credentials, shown: str, began: float) -> AuthResult:
        answer = await self._answer(credentials, shown)
        user = admissible(answer.user)
        if answer.session and self._revoked.has(answer.session):
            raise no_session(
                is_session=credentials.is_session
            )  # the application may be asked before it has ended it itself
        ends_at = began + answer.expires_in if answer.expires_in is not None else float("inf")
        admitted = AuthResult(user, min(began + self._keep_for, ends_at), ends_at, answer.session)
        self._remembered.put(key, admitted)
        self._on_seen(user)
        return admitted

    async def _answer(self, credentials: Credentials, shown: str) -> _Answer:
        header = "Cookie" if credentials.is_session else "Authorization"
        body = _ENCODER.encode({"is_session": credentials.is_session, "host": credentials.host})
        try:
            reply = await self._client.post(body, [(header, shown)])
            if reply.status in REFUSALS:
                raise _refusal(credentials)  # noqa: TRY301 - it passes as it is
            if reply.status != OK:
                raise CallFailed(f"The application answered {reply.status}")  # noqa: TRY301 - as if none had come
            return _checked(_DECODER.decode(reply.body))
        except WireError:
            raise
        except Exception as error:
            # Whatever came of it, nobody has said who asks.
            self._report(error)
            raise AuthenticationUnavailable("Who asks can't be found out now") from error


def _checked(answer: _Answer) -> _Answer:
    """An answer that makes sense.

    Raises:
        CallFailed: ids that can't be, or a right that ends before it begins.
    """
    if not (0 < answer.user.id <= LARGEST_ID and 0 < answer.user.realm_id <= LARGEST_ID):
        raise CallFailed(
            f"The application named a user or realm with an id that is not from 1 to {LARGEST_ID}"
        )
    if answer.expires_in is not None and not answer.expires_in > 0:
        raise CallFailed("The application's answer had expired before it came")
    return answer


def _refusal(credentials: Credentials) -> WireError:
    if credentials.is_session:
        return no_session(is_session=credentials.is_session)
    scheme = (credentials.authorization or "").partition(" ")[0].lower()
    return InvalidApiKey("Invalid API key") if scheme == BASIC else InvalidToken("The token is not valid")
