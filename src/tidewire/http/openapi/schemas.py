"""JSON schemas of parameter values, successful answers and errors."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from tidewire.core import errors
from tidewire.core.errors import WireError
from tidewire.core.events.narrow import IS_OPERANDS, OPERATORS
from tidewire.core.notices.notice import MAX_ID
from tidewire.core.users import ROLE_CODES
from tidewire.http.openapi.rows import Access, Schema
from tidewire.http.parameters import MAX_INTEGER, MAX_ITEM_LENGTH, MAX_LIST_ITEMS
from tidewire.http.views.dump import BAD_QUEUE, QUEUE_EXISTS, WRONG_SHARD
from tidewire.observability.log_level import LEVELS

TEXT: Schema = MappingProxyType({"type": "string"})


ITEM: Schema = MappingProxyType({"type": "string", "maxLength": MAX_ITEM_LENGTH})


BOOLEAN: Schema = MappingProxyType({"type": "boolean"})


NULLABLE_BOOLEAN: Schema = MappingProxyType({"type": ["boolean", "null"]})


INTEGER: Schema = MappingProxyType({"type": "integer", "minimum": -MAX_INTEGER - 1, "maximum": MAX_INTEGER})


NATURAL: Schema = MappingProxyType({"type": "integer", "minimum": 0, "maximum": MAX_INTEGER})


POSITIVE: Schema = MappingProxyType({"type": "integer", "minimum": 1, "maximum": MAX_INTEGER})


STRINGS: Schema = MappingProxyType({"type": ["array", "null"], "items": ITEM, "maxItems": MAX_LIST_ITEMS})


SECONDS: Schema = MappingProxyType({"anyOf": [NATURAL, {"const": "mobile"}, {"type": "null"}]})


def _pair(operators: Iterable[str], operand: Schema) -> Schema:
    return {
        "type": "array",
        "prefixItems": [{"enum": sorted(operators)}, operand],
        "minItems": 2,
        "maxItems": 2,
    }


NARROW: Schema = MappingProxyType(
    {
        "type": ["array", "null"],
        "items": {
            "anyOf": [
                _pair(OPERATORS.keys() - {"is"}, ITEM),
                _pair({"is"}, {"enum": sorted(IS_OPERANDS)}),
            ]
        },
        "maxItems": MAX_LIST_ITEMS,
    }
)


def defaulting(schema: Schema, default: Any) -> Schema:
    """The schema with what counts when the parameter is absent."""
    return {**schema, "default": default}


def members(required: Schema, optional: Schema | None = None) -> Schema:
    """An object with these members; more may come with later versions."""
    return {
        "type": "object",
        "required": sorted(required),
        "properties": {**required, **(optional or {})},
    }


EVENT: Schema = MappingProxyType(
    {
        "type": "object",
        "required": ["id", "type"],
        "properties": {"id": NATURAL, "type": TEXT},
        "description": "An event; its further members depend on its type and on the client's capabilities.",
    }
)


EVENTS: Schema = MappingProxyType(
    {"type": "array", "items": EVENT, "description": "In ascending order of `id`."}
)


IDLE_TIMEOUT: Schema = MappingProxyType(
    {**NATURAL, "description": "Seconds that the queue lives without a poll."}
)


QUEUE_ID: Schema = MappingProxyType({**TEXT, "description": "The queue's name. Treat it as opaque."})


VERSIONS: Mapping[str, Schema] = MappingProxyType(
    {
        "zulip_version": TEXT,
        "zulip_merge_base": TEXT,
        "zulip_feature_level": NATURAL,
    }
)


REGISTERED: Mapping[str, Schema] = MappingProxyType(
    {
        "queue_id": QUEUE_ID,
        "last_event_id": {
            **INTEGER,
            "description": "What the first poll acknowledges: the last event that the state shows.",
        },
        "idle_queue_timeout_secs": IDLE_TIMEOUT,
        **VERSIONS,
    }
)


POLLED: Mapping[str, Schema] = MappingProxyType(
    {
        "events": EVENTS,
        "queue_id": QUEUE_ID,
        "idle_queue_timeout_secs": {
            **IDLE_TIMEOUT,
            "description": "When a queue was made: seconds that it lives.",
        },
    }
)


ENDED: Mapping[str, Schema] = MappingProxyType(
    {"queues_ended": {**NATURAL, "description": "How many queues ended."}}
)


SERVER_SETTINGS: Mapping[str, Schema] = MappingProxyType(
    {
        **VERSIONS,
        "authentication_methods": {"type": "object", "additionalProperties": BOOLEAN},
        "push_notifications_enabled": BOOLEAN,
        "is_incompatible": BOOLEAN,
        "email_auth_enabled": BOOLEAN,
        "require_email_format_usernames": BOOLEAN,
        "realm_url": TEXT,
    }
)


OWN_USER: Mapping[str, Schema] = MappingProxyType(
    {
        "user_id": NATURAL,
        "email": TEXT,
        "delivery_email": TEXT,
        "full_name": TEXT,
        "role": {"enum": sorted(set(ROLE_CODES.values()))},
        "is_active": BOOLEAN,
        "is_admin": BOOLEAN,
        "is_owner": BOOLEAN,
        "is_guest": BOOLEAN,
        "is_bot": BOOLEAN,
        "avatar_url": {"type": ["string", "null"]},
        "timezone": TEXT,
    }
)


RECORD: Schema = members(
    {
        "user_profile_id": NATURAL,
        "message_id": NATURAL,
        "trigger": TEXT,
        "mentioned_user_group_id": {"type": ["integer", "null"]},
    },
    {"type": {"const": "add"}},
)


OUTBOX_PAGE: Mapping[str, Schema] = MappingProxyType(
    {
        "records": {
            "type": "array",
            "items": members({"position": NATURAL, "id": TEXT, "record": RECORD}),
            "description": "In order of position.",
        },
        "waiting": {**NATURAL, "description": "How many records the queue holds in all."},
        "lost": {**NATURAL, "description": "How many it has dropped so far because the outbox was full."},
    }
)


RELOADED: Mapping[str, Schema] = MappingProxyType(
    {
        "sent_events": {**NATURAL, "description": "How many queues were told."},
        "complete": {**BOOLEAN, "description": "Whether no more are left to be told."},
    }
)


ACCEPTED: Mapping[str, Schema] = MappingProxyType(
    {"accepted": {**NATURAL, "description": "How many notices were taken, repeats included."}}
)


LOG_LEVEL: Mapping[str, Schema] = MappingProxyType(
    {
        "level": {"enum": list(LEVELS), "description": "The least that is logged from now on."},
        "before": {"enum": list(LEVELS), "description": "What it was until now."},
    }
)


DEGRADED: Mapping[str, Schema] = MappingProxyType(
    {
        "degraded": {
            "type": "array",
            "items": TEXT,
            "description": "What is wrong although clients can be served.",
        }
    }
)


DESCRIPTION: Mapping[str, Schema] = MappingProxyType(
    {"openapi": TEXT, "info": {"type": "object"}, "paths": {"type": "object"}}
)


_USER_ID: Schema = MappingProxyType({"type": "integer", "minimum": 0, "maximum": MAX_ID})


NOTICE: Schema = MappingProxyType(
    {
        "type": "object",
        "required": ["event", "users"],
        "properties": {
            "event": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"type": "string", "minLength": 1}},
                "description": "The event as clients get it, without `id`.",
            },
            "users": {
                "type": "array",
                "items": {
                    "anyOf": [
                        _USER_ID,
                        {"type": "object", "required": ["id"], "properties": {"id": _USER_ID}},
                    ]
                },
                "description": "Ids; for messages and edits of messages also objects with `id`.",
            },
            "id": {
                "type": ["string", "null"],
                "minLength": 1,
                "maxLength": 128,
                "description": "The publisher's name for the notice, by which a repeat is recognised.",
            },
            "realm_id": {
                "type": ["integer", "null"],
                "minimum": 0,
                "maximum": MAX_ID,
                "description": "When given, only queues of this realm get the event.",
            },
            "traceparent": {"type": ["string", "null"]},
        },
        "additionalProperties": False,
    }
)


DUMPED: Schema = MappingProxyType(
    {
        "type": "array",
        "description": "A queue's id, and the queue with all that its client registered with: the dump format.",
        "items": {"type": ["string", "object"]},
        "minItems": 2,
        "maxItems": 2,
    }
)


IMPORTED: Mapping[str, Schema] = MappingProxyType(
    {
        "imported": {**NATURAL, "description": "How many queues were made."},
        "skipped": {
            "type": "array",
            "items": members(
                {
                    "index": NATURAL,
                    "queue_id": {"type": ["string", "null"]},
                    "code": {"enum": [BAD_QUEUE, QUEUE_EXISTS, WRONG_SHARD]},
                    "reason": TEXT,
                }
            ),
            "description": "Those that were not, in the order of the dump.",
        },
    }
)


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
