"""What is noted of a request while it is served: for its log line and the head of its answer."""

from tidewire.admitting import Admitted
from tidewire.core.state import Batch
from tidewire.core.users import User
from tidewire.http.access import Headers
from tidewire.http.client_name import Client
from tidewire.http.limits import Allowance


class Note:
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
        admitted: how the user was let in, when not by the users file alone.
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
        self.admitted: Admitted | None = None
        self.is_session = False
        self.gone = False
        self.quiet = False
