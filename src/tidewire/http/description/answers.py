"""Members of successful answers."""

from collections.abc import Mapping
from types import MappingProxyType

from tidewire.core.notice import MAX_ID
from tidewire.core.users import ROLE_CODES
from tidewire.http.description.kinds import BOOLEAN, INTEGER, NATURAL, TEXT, members
from tidewire.http.description.rows import Schema
from tidewire.http.dump import BAD_QUEUE, QUEUE_EXISTS, WRONG_SHARD
from tidewire.log_control import LEVELS

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
