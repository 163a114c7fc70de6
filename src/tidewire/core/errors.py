"""The errors that a caller of the server can meet, in one tree.

    TidewireError
    ├── WireError                 anything that becomes an error answer (R6.5)
    │   ├── BadRequest            BAD_REQUEST 400
    │   │   ├── MissingParameter  REQUEST_VARIABLE_MISSING 400
    │   │   ├── ParameterConflict REQUEST_CONFUSING_VAR 400
    │   │   ├── BadEventQueueId   BAD_EVENT_QUEUE_ID 400
    │   │   ├── InvalidNotice     INVALID_NOTICE 400
    │   │   ├── NoticeIdReused    NOTICE_ID_REUSED 409
    │   │   └── RegistrationTooLarge  REGISTRATION_TOO_LARGE 413
    │   ├── Unauthorized          UNAUTHORIZED 401
    │   ├── InvalidApiKey         INVALID_API_KEY 401
    │   ├── InvalidToken          INVALID_TOKEN 401
    │   ├── UserDeactivated       USER_DEACTIVATED 401
    │   ├── RealmDeactivated      REALM_DEACTIVATED 401
    │   ├── AccessDenied          BAD_REQUEST 403 (the code that R6.66 gives)
    │   ├── CsrfFailed            CSRF_FAILED 403
    │   ├── NotFound              NOT_FOUND 404
    │   ├── MethodNotAllowed      METHOD_NOT_ALLOWED 405
    │   ├── RequestTimeout        REQUEST_TIMEOUT 408, a retry helps
    │   ├── PayloadTooLarge       PAYLOAD_TOO_LARGE 413
    │   ├── TargetTooLong         TARGET_TOO_LONG 414
    │   ├── ExpectationFailed     EXPECTATION_FAILED 417
    │   ├── RateLimitHit          RATE_LIMIT_HIT 429, a retry helps
    │   ├── HeadersTooLarge       HEADERS_TOO_LARGE 431
    │   ├── TooManyConnections    TOO_MANY_CONNECTIONS 503, a retry helps
    │   ├── Unavailable           SERVICE_UNAVAILABLE 503, a retry helps
    │   │   ├── StateUnavailable  STATE_UNAVAILABLE 503, a retry helps
    │   │   ├── AuthenticationUnavailable  AUTHENTICATION_UNAVAILABLE 503, a retry helps
    │   │   └── UserMoving        SERVICE_UNAVAILABLE 503, a retry helps
    │   ├── ShardMapDiffers       SHARD_MAP_DIFFERS 409, a retry may help
    │   └── InternalError         INTERNAL_ERROR 500
    └── StateError                the state on disk can't be used
        ├── StartCancelled        START_CANCELLED 500 (in no answer: it was told to stop before it had begun)
        └── StateInUse            STATE_UNUSABLE 500 (in no answer: another process uses it)

`code` is a promise: clients, dashboards and tests rely on it. The sentence is not.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tidewire import TidewireError


class WireError(TidewireError):
    """An error that becomes an error answer.

    Attributes:
        message: the sentence for a person (`msg` on the wire).
        data: further members of the answer, beside `result`, `msg` and `code`.
        headers: further headers of the answer.
    """

    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.data: dict[str, Any] = data


class BadRequest(WireError):
    """The request is wrong, and stays wrong when repeated."""

    code = "BAD_REQUEST"
    http_status = 400


class MissingParameter(BadRequest):
    """A required parameter is absent (R6.10)."""

    code = "REQUEST_VARIABLE_MISSING"

    def __init__(self, name: str) -> None:
        super().__init__(f"Missing '{name}' argument", var_name=name)


class ParameterConflict(BadRequest):
    """One parameter was given under two of its names (R6.7)."""

    code = "REQUEST_CONFUSING_VAR"

    def __init__(self, first: str, second: str) -> None:
        super().__init__(
            f"Can't decide between '{first}' and '{second}' arguments", var_name1=first, var_name2=second
        )


class BadEventQueueId(BadRequest):
    """No such queue for this user (R6.44).

    Attributes:
        owner_id: who owns the queue, when it exists and is another user's; for the log only.
    """

    code = "BAD_EVENT_QUEUE_ID"

    def __init__(self, queue_id: str, *, reason: str = "unknown", owner_id: int | None = None) -> None:
        super().__init__(f"Bad event queue ID: {queue_id}", queue_id=queue_id, reason=reason)
        self.owner_id = owner_id


class InvalidNotice(BadRequest):
    """A published notice is not of the form that `Notice` describes; nothing of its request was taken."""

    code = "INVALID_NOTICE"


class NoticeIdReused(BadRequest):
    """A notice has the id of an earlier one but other content (D4)."""

    code = "NOTICE_ID_REUSED"
    http_status = 409


class RegistrationTooLarge(BadRequest):
    """What a queue was to be registered with takes more memory than a registration may."""

    code = "REGISTRATION_TOO_LARGE"
    http_status = 413

    def __init__(self, size: int, most: int) -> None:
        super().__init__(
            f"The registration would take {size} bytes of memory, and may take {most}; "
            "name fewer or shorter event types and narrow terms",
            size=size,
            most=most,
        )


class Unauthorized(WireError):
    """The request does not say who asks, or not in a form that can be read (R6.3)."""

    code = "UNAUTHORIZED"
    http_status = 401
    headers = MappingProxyType({"WWW-Authenticate": 'Basic realm="zulip"'})


class InvalidApiKey(WireError):
    """The API key is malformed, unknown, or another account's (R6.3)."""

    code = "INVALID_API_KEY"
    http_status = 401


class InvalidToken(WireError):
    """The token is malformed, expired, revoked, or not made for this server."""

    code = "INVALID_TOKEN"
    http_status = 401
    headers = MappingProxyType({"WWW-Authenticate": 'Bearer error="invalid_token"'})


class UserDeactivated(WireError):
    """The account exists but is switched off (R6.3)."""

    code = "USER_DEACTIVATED"
    http_status = 401


class RealmDeactivated(WireError):
    """The account's organisation is switched off (R6.3)."""

    code = "REALM_DEACTIVATED"
    http_status = 401


class AccessDenied(WireError):
    """An internal or operator route was asked by someone it is not open to (R6.66)."""

    code = "BAD_REQUEST"
    http_status = 403

    def __init__(self, message: str = "Access denied") -> None:
        super().__init__(message)


class CsrfFailed(WireError):
    """A request with the browser's cookies may have been begun by a page of another site (R6.2)."""

    code = "CSRF_FAILED"
    http_status = 403


class NotFound(WireError):
    """There is no such route, queue or other object."""

    code = "NOT_FOUND"
    http_status = 404


class MethodNotAllowed(WireError):
    """The route exists, but not for this method (R6.6)."""

    code = "METHOD_NOT_ALLOWED"
    http_status = 405

    def __init__(self, allowed: list[str]) -> None:
        super().__init__("Method Not Allowed", allowed_methods=allowed)
        self.headers = {"Allow": ", ".join(allowed)}


class PayloadTooLarge(WireError):
    """The request's body is larger than the server takes."""

    code = "PAYLOAD_TOO_LARGE"
    http_status = 413


class RateLimitHit(WireError):
    """A user or an address asked more often than it may (R6.13)."""

    code = "RATE_LIMIT_HIT"
    http_status = 429
    retry_helps = True

    def __init__(self, retry_after: float) -> None:
        """Takes the seconds after which the next request is let through."""
        super().__init__("API usage exceeded rate limit", **{"retry-after": retry_after})
        self.headers = {"Retry-After": str(max(1, math.ceil(retry_after)))}


class TargetTooLong(WireError):
    """The request's path and query are longer than the server takes."""

    code = "TARGET_TOO_LONG"
    http_status = 414

    def __init__(self, most: int) -> None:
        super().__init__(f"The path and query are longer than {most} bytes; send parameters in the body")


class ExpectationFailed(WireError):
    """The request has an `Expect` other than `100-continue`, the only one that there is."""

    code = "EXPECTATION_FAILED"
    http_status = 417

    def __init__(self) -> None:
        super().__init__("The only thing that a request may expect is '100-continue'; leave 'Expect' out")


class HeadersTooLarge(WireError):
    """The request's headers are more, or longer, than the server takes."""

    code = "HEADERS_TOO_LARGE"
    http_status = 431

    def __init__(self, most_bytes: int, most: int) -> None:
        super().__init__(
            f"The request has more than {most_bytes} bytes of headers, or more than {most} of them"
        )


class RequestTimeout(WireError):
    """The request did not come whole in time."""

    code = "REQUEST_TIMEOUT"
    http_status = 408
    retry_helps = True

    def __init__(self) -> None:
        super().__init__("The request did not come whole in time")


class TooManyConnections(WireError):
    """More connections are open, in all or from the client's address, than the server takes."""

    code = "TOO_MANY_CONNECTIONS"
    http_status = 503
    retry_helps = True
    headers = MappingProxyType({"Retry-After": "1"})

    def __init__(self) -> None:
        super().__init__("Too many connections are open")


class Unavailable(WireError):
    """The server can't take this now: it is starting, stopping, or can't write its journal."""

    code = "SERVICE_UNAVAILABLE"
    http_status = 503
    retry_helps = True
    headers = MappingProxyType({"Retry-After": "1"})


class StateUnavailable(Unavailable):
    """The application's state can't be read now, so nobody was registered."""

    code = "STATE_UNAVAILABLE"


class AuthenticationUnavailable(Unavailable):
    """Who asks can't be found out now, because those who know can't be asked."""

    code = "AUTHENTICATION_UNAVAILABLE"


class UserMoving(Unavailable):
    """The user is just moving to another shard, and is not this one's any more."""

    def __init__(self) -> None:
        super().__init__("The user is just moving to another shard; try again")


class ShardMapDiffers(WireError):
    """What a shard was told about users and maps does not go with the map that it lives under."""

    code = "SHARD_MAP_DIFFERS"
    http_status = 409
    retry_helps = True


class InternalError(WireError):
    """Something failed that should not have; the log says what (R6.6)."""

    code = "INTERNAL_ERROR"

    def __init__(self) -> None:
        super().__init__("Internal server error")


class StateError(TidewireError):
    """The state on disk can't be used: damaged, of a newer version, or in use by another server."""

    code = "STATE_UNUSABLE"


class StartCancelled(StateError):
    """The server was told to stop while it brought its state back; no queue was changed."""

    code = "START_CANCELLED"


class StateInUse(StateError):
    """Another process holds the state directory."""
