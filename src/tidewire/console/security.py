"""Who may use the console: sessions of operators, and what browsers are told to refuse."""

import hmac
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from ipaddress import ip_address
from types import MappingProxyType
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.requests import Request

from tidewire.auth.credentials import comparable
from tidewire.core.errors import AccessDenied, Unauthorized, WireError
from tidewire.http import responses
from tidewire.http.app import View, failure_of
from tidewire.http.authentication import admit_anybody
from tidewire.http.context import ServerContext
from tidewire.http.request_info import note_of
from tidewire.http.responses import Lines, Response

MOST = 100
"""Sessions at a time; a further one takes the place of the oldest. Operators are few, and each may have some browsers."""


DIGEST_SIZE = 32


class Session(NamedTuple):
    """A session.

    Attributes:
        token: what requests that change something must show beside the cookie, against forgery (CSRF).
        ends_at: UNIX seconds.
    """

    token: str
    ends_at: float


class Sessions:
    """The sessions of one server.

    Args:
        new_secret: gives a text that nobody can guess, a new one at each call.
        lifetime: seconds from logging in.
        most: how many there are at a time.
    """

    def __init__(self, *, new_secret: Callable[[], str], lifetime: float, most: int = MOST) -> None:
        self._new_secret = new_secret
        self._lifetime = lifetime
        self._most = most
        # By the digest of the id: how long it takes to find one says nothing about the ids that there are.
        self._sessions: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, now: float) -> tuple[str, Session]:
        """A new session, and the id that stands for it."""
        self._sweep(now)
        while len(self._sessions) >= self._most:
            del self._sessions[next(iter(self._sessions))]
        session_id, session = self._new_secret(), Session(self._new_secret(), now + self._lifetime)
        self._sessions[_digest(session_id)] = session
        return session_id, session

    def find(self, session_id: str | None, now: float) -> Session | None:
        """The session that the id stands for, unless it has ended."""
        session = None if session_id is None else self._sessions.get(_digest(session_id))
        return session if session is not None and now < session.ends_at else None

    def close(self, session_id: str | None) -> None:
        """Ends a session; there need be none."""
        if session_id is not None:
            self._sessions.pop(_digest(session_id), None)

    def _sweep(self, now: float) -> None:
        for key in [key for key, session in self._sessions.items() if now >= session.ends_at]:
            del self._sessions[key]


def has_token(session: Session, given: str | None) -> bool:
    """Whether a request shows the session's token, compared in constant time."""
    shown = (given or "").encode("utf-8", "surrogatepass")
    return hmac.compare_digest(shown, session.token.encode())


def _digest(session_id: str) -> bytes:
    return blake2b(session_id.encode("utf-8", "surrogatepass"), digest_size=DIGEST_SIZE).digest()


TOKEN_HEADER = "x-console-token"  # noqa: S105 - the name of a header


DIRECTIVES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types lit-html",
)
"""Files of this server and nothing else; nothing inline; and no text becomes a page's code but the templates'."""


PROTECTION: Lines = (
    (b"content-security-policy", "; ".join(DIRECTIVES).encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
"""On every answer of the console."""


OWN_SITES = frozenset({"same-origin", "none"})
"""What `Sec-Fetch-Site` says of a request that a page of ours, or a person, has begun."""


SAFE_METHODS = frozenset({"GET"})


OWN_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


HINT = MappingProxyType(
    {
        "address": "The console can't be asked from this address: server.internal_from lists those that can",
        "host": "The console does not answer to this host name: use an IP address, localhost, or the host of a realm",
        "origin": "Another site's page has sent this request: open the console by its own address",
        "token": "The request lacks the session's token: reload the page",
        "session": "Log in to the console first",
    }
)
"""What each refusal tells the operator."""


class Guard:
    """Lets requests in.

    Args:
        sessions: who has logged in.
        cookie: name of the cookie; another for each port, because browsers keep no ports apart.
        own_host: the host that the server was told to listen on.
        is_realm_host: whether a `Host` is that of a realm.
    """

    def __init__(
        self, sessions: Sessions, *, cookie: str, own_host: str, is_realm_host: Callable[[str], bool]
    ) -> None:
        self._sessions = sessions
        self._own_names = OWN_NAMES | {comparable(own_host)}
        self._is_realm_host = is_realm_host
        self.cookie = cookie

    def opened(self, view: View) -> View:
        """The view for users with or without a session."""

        async def answer(request: Request, context: ServerContext) -> Response:
            self._check(request, context)
            return await view(request, context)

        return _protected(answer)

    def closed(self, view: View) -> View:
        """The view for users with a session."""

        async def answer(request: Request, context: ServerContext) -> Response:
            self._check(request, context)
            session = self.session_of(request, context)
            if session is None:
                return logged_out(HINT["session"])
            if request.method not in SAFE_METHODS and not has_token(
                session, request.headers.get(TOKEN_HEADER)
            ):
                raise AccessDenied(HINT["token"])
            # The session stands for the secret from here on.
            note_of(request).internal = True
            return await view(request, context)

        return _protected(answer)

    def session_of(self, request: Request, context: ServerContext) -> Session | None:
        """The session that the request's cookie stands for."""
        return self._sessions.find(request.cookies.get(self.cookie), context.now())

    def _check(self, request: Request, context: ServerContext) -> None:
        info = note_of(request)
        try:
            if not context.access.is_inside(info.peer, info.headers):
                raise AccessDenied(HINT["address"])
            if not self._is_own_host(request.headers.get("host", "")):
                raise AccessDenied(HINT["host"])
            if not _is_own_page(request.headers, request.method):
                raise AccessDenied(HINT["origin"])
        except WireError:
            admit_anybody(info, context)
            raise

    def _is_own_host(self, host: str) -> bool:
        """Against DNS rebinding: a name of an attacker's own may lead here, an address can't."""
        name = comparable(host)
        return name in self._own_names or _is_address(name) or self._is_realm_host(host)


def logged_out(sentence: str) -> Response:
    """401 without the challenge that makes browsers ask for a password in a window of their own."""
    return replace(responses.failure(Unauthorized(sentence)), headers=())


def _is_own_page(headers: Headers, method: str) -> bool:
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower():
        return False
    site = headers.get("sec-fetch-site")
    # Links from elsewhere may lead to the page: it shows nothing by itself.
    is_link = method in SAFE_METHODS and headers.get("sec-fetch-mode") == "navigate"
    return site is None or site in OWN_SITES or is_link


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _protected(view: View) -> View:
    """The view, whose failures too tell browsers what to refuse."""

    async def answer(request: Request, context: ServerContext) -> Response:
        try:
            given = await view(request, context)
        except WireError as error:
            given = failure_of(error, note_of(request), context)
        return replace(given, headers=(*given.headers, *PROTECTION))

    return answer
