"""The console's guard: who may ask, and what browsers are told to refuse.

A request must come from an internal address, as for the operators' other routes, under a name that is this server's own,
and, unless a person typed the address, from a page of this server. What changes something also needs the session's token.
"""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from types import MappingProxyType

from starlette.datastructures import Headers
from starlette.requests import Request

from tidewire.auth.hosts import comparable
from tidewire.console.sessions import Session, Sessions, has_token
from tidewire.core.errors import AccessDenied, Unauthorized, WireError
from tidewire.http import answers
from tidewire.http.admission import admit_anybody
from tidewire.http.answers import Answer
from tidewire.http.application import failure_of
from tidewire.http.head import Lines
from tidewire.http.noting import note_of
from tidewire.http.routes import View
from tidewire.http.site import Site

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
        """The view for whoever is inside, logged in or not."""

        async def answer(request: Request, site: Site) -> Answer:
            self._check(request, site)
            return await view(request, site)

        return _protected(answer)

    def closed(self, view: View) -> View:
        """The view for whoever has logged in."""

        async def answer(request: Request, site: Site) -> Answer:
            self._check(request, site)
            session = self.session_of(request, site)
            if session is None:
                return logged_out(HINT["session"])
            if request.method not in SAFE_METHODS and not has_token(
                session, request.headers.get(TOKEN_HEADER)
            ):
                raise AccessDenied(HINT["token"])
            # The session stands for the secret from here on.
            note_of(request).internal = True
            return await view(request, site)

        return _protected(answer)

    def session_of(self, request: Request, site: Site) -> Session | None:
        """The session that the request's cookie stands for."""
        return self._sessions.find(request.cookies.get(self.cookie), site.now())

    def _check(self, request: Request, site: Site) -> None:
        note = note_of(request)
        try:
            if not site.access.is_inside(note.peer, note.headers):
                raise AccessDenied(HINT["address"])
            if not self._is_own_host(request.headers.get("host", "")):
                raise AccessDenied(HINT["host"])
            if not _is_own_page(request.headers, request.method):
                raise AccessDenied(HINT["origin"])
        except WireError:
            admit_anybody(note, site)
            raise

    def _is_own_host(self, host: str) -> bool:
        """Against DNS rebinding: a name of an attacker's own may lead here, an address can't."""
        name = comparable(host)
        return name in self._own_names or _is_address(name) or self._is_realm_host(host)


def logged_out(sentence: str) -> Answer:
    """401 without the challenge that makes browsers ask for a password in a window of their own."""
    return replace(answers.failure(Unauthorized(sentence)), headers=())


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

    async def answer(request: Request, site: Site) -> Answer:
        try:
            given = await view(request, site)
        except WireError as error:
            given = failure_of(error, note_of(request), site)
        return replace(given, headers=(*given.headers, *PROTECTION))

    return answer
