"""What is known of a request while it is served: for its log entry and for the head of its answer."""

from collections.abc import Iterator
from typing import Protocol

from starlette._utils import get_route_path
from starlette.requests import Request

from tidewire.core.state.state import Batch
from tidewire.core.users import User
from tidewire.http.parameters import Client, Parameters, client_of
from tidewire.http.rate_limits import Allowance
from tidewire.ports.auth import AuthResult


class Headers(Protocol):
    """The headers of a request; names in lower case."""

    def __contains__(self, name: object, /) -> bool:
        """Whether there is such a line."""
        ...

    def __iter__(self) -> Iterator[str]:
        """The names, in order."""
        ...

    def get(self, name: str, /) -> str | None:
        """The value of the first such line."""
        ...

    def getlist(self, key: str) -> list[str]:
        """The values of all such lines, in order."""
        ...


class RequestInfo:
    """The note of one request.

    Attributes:
        method: as it came.
        path: without the query string, which may hold anything.
        peer: address of the other end of the connection.
        headers: the request's headers.
        number: of the request (`RequestIds`).
        began: when serving began, in seconds of any clock.
        waited: seconds that a poll waited; None when it did not.
        user: who asks, once that is known.
        internal: it is an internal request, and has shown the secret.
        client: the program that asks, once the parameters are read.
        batch: what a poll was answered with.
        displaced: the poll took the place of another and was answered at once (R11.4).
        allowance: what is left of the rate limit that it was counted for.
        admitted: the result of authentication, unless the users file alone gave it.
        is_session: the request came by a route for browser sessions.
        gone: the client went away, so nobody gets an answer (R6.16).
        quiet: a page asks again and again by itself, so that only what goes wrong is worth a line.
    """

    __slots__ = (
        "admitted",
        "allowance",
        "batch",
        "began",
        "client",
        "displaced",
        "gone",
        "headers",
        "internal",
        "is_session",
        "method",
        "number",
        "path",
        "peer",
        "quiet",
        "user",
        "waited",
    )

    def __init__(
        self, *, method: str, path: str, peer: str | None, headers: Headers, began: float, number: int = 0
    ) -> None:
        self.method = method
        self.path = path
        self.peer = peer
        self.headers = headers
        self.began = began
        self.number = number
        self.waited: float | None = None
        self.user: User | None = None
        self.internal = False
        self.client: Client | None = None
        self.batch: Batch | None = None
        self.displaced = False
        self.allowance: Allowance | None = None
        self.admitted: AuthResult | None = None
        self.is_session = False
        self.gone = False
        self.quiet = False


KEY = "tidewire.note"


SESSION_ROUTES = "/json/"


WEBSITE = "website"
"""What clients are called that ask with a browser session (R6.22)."""


def noted(request: Request, *, began: float, number: int) -> Request:
    """The request, with a fresh note."""
    request.scope[KEY] = info = RequestInfo(
        method=request.method,
        # As it is in the scope: a whole URL can't be made of every request.
        path=request.scope["path"],
        peer=request.client.host if request.client else None,
        headers=request.headers,
        began=began,
        number=number,
    )
    info.is_session = get_route_path(request.scope).startswith(SESSION_ROUTES)
    return request


def note_of(request: Request) -> RequestInfo:
    """The request's `RequestInfo`."""
    info: RequestInfo = request.scope[KEY]
    return info


def noted_client(request: Request, parameters: Parameters) -> Client:
    """The program that asks (R6.20), noted for the log."""
    info = note_of(request)
    info.client = client_of_note(info, parameters.text("client"))
    return info.client


def client_of_note(info: RequestInfo, claimed: str | None) -> Client:
    """The program that asks, by what it claims and by its header."""
    client = client_of(claimed, info.headers.get("user-agent"))
    if info.is_session and not client.name.startswith("Zulip"):
        return client._replace(name=WEBSITE)
    return client
