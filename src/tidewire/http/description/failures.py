"""The errors of the wire, as schemas: one for each class of `core/errors.py` that becomes an answer."""

from collections.abc import Mapping
from types import MappingProxyType

from tidewire.core import errors
from tidewire.core.errors import WireError
from tidewire.http.description.kinds import NATURAL, TEXT, members
from tidewire.http.description.rows import Access, Schema

_TEXTS: Schema = MappingProxyType({"type": "array", "items": TEXT})
_REASON: Schema = MappingProxyType(
    {**TEXT, "description": "Why the queue ended, as far as the server knows."}
)

MEMBERS: Mapping[type[WireError], Mapping[str, Schema]] = MappingProxyType(
    {
        errors.BadRequest: {},
        errors.MissingParameter: {"var_name": TEXT},
        errors.ParameterConflict: {"var_name1": TEXT, "var_name2": TEXT},
        errors.BadEventQueueId: {"queue_id": TEXT, "reason": _REASON},
        errors.InvalidNotice: {},
        errors.NoticeIdReused: {"id": TEXT},
        errors.RegistrationTooLarge: {"size": NATURAL, "most": NATURAL},
        errors.Unauthorized: {},
        errors.InvalidApiKey: {},
        errors.InvalidToken: {},
        errors.UserDeactivated: {},
        errors.RealmDeactivated: {},
        errors.AccessDenied: {},
        errors.CsrfFailed: {},
        errors.NotFound: {},
        errors.MethodNotAllowed: {"allowed_methods": _TEXTS},
        errors.RequestTimeout: {},
        errors.PayloadTooLarge: {},
        errors.TargetTooLong: {},
        errors.ExpectationFailed: {},
        errors.HeadersTooLarge: {},
        errors.TooManyConnections: {},
        errors.RateLimitHit: {"retry-after": {"type": "number", "minimum": 0}},
        errors.Unavailable: {},
        errors.StateUnavailable: {},
        errors.AuthenticationUnavailable: {},
        errors.UserMoving: {},
        errors.ShardMapDiffers: {},
        errors.InternalError: {},
    }
)
"""Members beside `result`, `msg` and `code`."""

OPTIONAL: Mapping[type[WireError], Mapping[str, Schema]] = MappingProxyType(
    {
        errors.StateUnavailable: {"reason": _REASON},
        errors.InvalidNotice: {"index": NATURAL},
        errors.NoticeIdReused: {"index": NATURAL},
    }
)
"""Members that are not always there."""

HEADERS: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {
        429: {"Retry-After": "Seconds until the next request is let through."},
        503: {"Retry-After": "Seconds after which to try again."},
    }
)
"""Header lines that error answers of a status have, and what they say."""

EVERYWHERE = (
    errors.BadRequest,
    errors.RequestTimeout,
    errors.TargetTooLong,
    errors.ExpectationFailed,
    errors.HeadersTooLarge,
    errors.TooManyConnections,
    errors.InternalError,
)
"""What any route may answer: to a request without one `Host` or beyond a bound (`limits`), and at a fault."""

_LOGIN = (
    errors.Unauthorized,
    errors.InvalidApiKey,
    errors.InvalidToken,
    errors.UserDeactivated,
    errors.RealmDeactivated,
    errors.RateLimitHit,
    errors.AuthenticationUnavailable,
)

BY_ACCESS: Mapping[Access, tuple[type[WireError], ...]] = MappingProxyType(
    {
        Access.USER: _LOGIN,
        Access.SESSION: (*_LOGIN, errors.CsrfFailed),
        Access.INTERNAL: (errors.MissingParameter, errors.AccessDenied, errors.RateLimitHit),
        Access.OPEN: (),
    }
)
"""What asking who asks may end in."""


def schema_of(kind: type[WireError]) -> Schema:
    """The error's answer."""
    envelope = {"result": {"const": "error"}, "msg": TEXT, "code": {"const": kind.code}}
    schema = members({**envelope, **MEMBERS[kind]}, OPTIONAL.get(kind))
    help_ = "A retry may help." if kind.retry_helps else "A retry does not help."
    return {**schema, "description": f"{_first_line(kind)} {help_}", "x-retry-helps": kind.retry_helps}


def _first_line(kind: type[WireError]) -> str:
    return (kind.__doc__ or "").partition("\n")[0].partition(" (R")[0].rstrip(".") + "."
