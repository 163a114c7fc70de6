"""What can go wrong for a client, in one tree.

TidewireError
├── BadUrl                BAD_URL              the server's address can't be used
└── ClientError
    ├── ClientClosed      CLIENT_CLOSED        used after close()
    ├── ConnectionFailed  CONNECTION_FAILED    no whole answer came; a retry helps
    ├── BadAnswer         BAD_ANSWER           an answer, but not Tidewire's; a retry may help
    └── RequestRefused    the server's code    an error answer; a retry helps after 5xx and 429
        └── QueueGone     BAD_EVENT_QUEUE_ID   the event queue is no longer there
"""

from typing import Any

from tidewire import TidewireError
from tidewire._http import Answer, BadUrl, error_of

__all__ = [
    "BadAnswer",
    "BadUrl",
    "ClientClosed",
    "ClientError",
    "ConnectionFailed",
    "QueueGone",
    "RequestRefused",
]


class ClientError(TidewireError):
    """Base of what a `Client` raises.

    Attributes:
        retry_after: seconds that the server asks to wait before trying again; None when it did not say.
    """

    code = "CLIENT_ERROR"
    retry_after: float | None = None


class ClientClosed(ClientError):
    """The client was used after it was closed."""

    code = "CLIENT_CLOSED"


class ConnectionFailed(ClientError):
    """No whole answer came: no connection, a connection that broke, or no answer in time."""

    code = "CONNECTION_FAILED"
    http_status = 503
    retry_helps = True


class BadAnswer(ClientError):
    """What answered does not speak as Tidewire does: no JSON, or parts missing.

    A retry may help, because a proxy in between may have answered while the server was away.
    """

    code = "BAD_ANSWER"
    http_status = 502
    retry_helps = True


class RequestRefused(ClientError):
    """The server answered with an error (R6.5).

    Attributes:
        code: the server's code; `HTTP_ERROR` when the answer had none.
        http_status: the answer's status.
        message: the server's sentence.
        data: the further members of the answer.
    """

    def __init__(self, answer: Answer) -> None:
        code, message, data = error_of(answer)
        super().__init__(f"{message} ({code}, HTTP {answer.status})")
        self.code = code
        self.http_status = answer.status
        self.message = message
        self.data: dict[str, Any] = data
        self.retry_helps = answer.is_transient
        self.retry_after = answer.retry_after


class QueueGone(RequestRefused):
    """The event queue is not there (R6.44): it ended, or was never this user's.

    Attributes:
        reason: why, as far as the server knows (`expired`, `limit`, ...), else `unknown`.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        reason = self.data.get("reason")
        self.reason = reason if isinstance(reason, str) and reason else "unknown"


def refused(answer: Answer) -> RequestRefused:
    """Makes the error that an error answer stands for."""
    has_lost_queue = (answer.json or {}).get("code") == "BAD_EVENT_QUEUE_ID"
    return QueueGone(answer) if has_lost_queue else RequestRefused(answer)
