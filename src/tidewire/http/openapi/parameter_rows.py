"""The parameters of the routes, each described once."""

from tidewire.core.events.capabilities import CHANGES, DESCRIPTIONS, TOP_LEVEL
from tidewire.http.openapi.rows import Parameter
from tidewire.http.openapi.schemas import (
    BOOLEAN,
    INTEGER,
    NARROW,
    NATURAL,
    NULLABLE_BOOLEAN,
    POSITIVE,
    SECONDS,
    STRINGS,
    TEXT,
    defaulting,
)
from tidewire.http.parameters import MAX_LENGTH, MAX_LIST_ITEMS
from tidewire.http.views.events import DECLARED, IDLE_TIMEOUT_NAMES
from tidewire.http.views.outbox import MOST_RECORDS, USUAL_RECORDS
from tidewire.observability.log_level import LEVELS

CLIENT = Parameter(
    "client",
    "The client's name, cut to 30 characters; without it the one in `User-Agent`.",
    TEXT,
    is_text=True,
    example="example-bot",
)

QUEUE_ID = Parameter(
    "queue_id", "The queue.", TEXT, is_text=True, example="fb67bf8a-c031-47cc-84cf-ed80accacda8"
)

QUEUE_TO_END = QUEUE_ID._replace(is_required=True)

QUEUE_TO_POLL = QUEUE_ID._replace(meaning="The queue; without it, and with `dont_block`, one is made.")

LAST_EVENT_ID = Parameter(
    "last_event_id",
    "Acknowledges every event up to this id; -1 acknowledges nothing. Required with `queue_id`.",
    INTEGER,
    example=-1,
)

DONT_BLOCK = Parameter(
    "dont_block", "Answers at once, even with nothing.", defaulting(BOOLEAN, default=False), example=True
)

USER_CLIENT = Parameter(
    "user_client",
    "The name of the client that a queue is made for.",
    {**TEXT, "maxLength": MAX_LENGTH},
    is_text=True,
    example="example-bot",
)

EVENT_TYPES = Parameter(
    "event_types",
    "The types of events that the queue gets; null means all. Unknown types are fine.",
    defaulting(STRINGS, None),
    example=["message", "reaction"],
)

NARROW_TERMS = Parameter(
    "narrow",
    "Which messages the queue gets: pairs of operator and operand, all of which must hold.",
    defaulting(NARROW, []),
    example=[["channel", "general"], ["is", "unread"]],
)

ALL_PUBLIC_STREAMS = Parameter(
    "all_public_streams",
    "The queue also gets the messages of public channels that its owner is not subscribed to. Refused for guests.",
    defaulting(NULLABLE_BOOLEAN, default=False),
    example=False,
)

IDLE_TIMEOUTS = (
    Parameter(
        IDLE_TIMEOUT_NAMES[0],
        'Seconds that the queue lives without a poll, within the server\'s bounds. "mobile", which may stand bare, '
        "is 12 hours; 0 and null are the server's default, `queues.idle_timeout`.",
        SECONDS,
        example=600,
    ),
    *(
        Parameter(
            name, f"An older name of `{IDLE_TIMEOUT_NAMES[0]}`; only one of them may be given.", SECONDS
        )
        for name in IDLE_TIMEOUT_NAMES[1:]
    ),
)

QUEUE = (EVENT_TYPES, NARROW_TERMS, ALL_PUBLIC_STREAMS, *IDLE_TIMEOUTS)
"""What a queue is made with, beside capabilities."""


def _capability(name: str) -> Parameter:
    changes = f" Event types: {', '.join(CHANGES[name])}." if CHANGES[name] else ""
    return Parameter(
        name, f"Capability. {DESCRIPTIONS[name]}{changes}", defaulting(BOOLEAN, default=False), example=True
    )


CAPABILITIES = tuple(_capability(name) for name in (*sorted(TOP_LEVEL), *DECLARED))
"""Each by its name, as the events routes take them."""

REGISTER_CAPABILITIES = (
    *(row for row in CAPABILITIES if row.name in TOP_LEVEL - {"client_gravatar"}),
    _capability("client_gravatar")._replace(schema=defaulting(NULLABLE_BOOLEAN, default=True)),
    Parameter(
        "client_capabilities",
        "The other capabilities. Members that are no capability are ignored.",
        {
            "type": ["object", "null"],
            "required": ["notification_settings_null"],
            "properties": {
                "notification_settings_null": BOOLEAN,
                **{name: {**BOOLEAN, "description": DESCRIPTIONS[name]} for name in DECLARED},
            },
            "additionalProperties": BOOLEAN,
            "maxProperties": MAX_LIST_ITEMS,
        },
        example={"notification_settings_null": True, "bulk_message_deletion": True},
    ),
)
"""The parameters of `register`."""

SNAPSHOT = (
    Parameter(
        "fetch_event_types",
        "Which parts of the initial state are wanted; `null`: those of `event_types`.",
        defaulting(STRINGS, None),
        example=["message"],
    ),
    Parameter(
        "include_subscribers",
        'Told to the application that provides the state. "partial" may stand bare.',
        {"enum": [True, False, "partial"]},
        example="partial",
    ),
    Parameter(
        "presence_history_limit_days", "Told to the application that provides the state.", NATURAL, example=14
    ),
)
"""What `register` takes about the initial state."""

SESSION = Parameter(
    "session",
    "What the application calls the session, or the `jti` of a token.",
    TEXT,
    is_text=True,
    is_required=True,
    example="c7d8f0",
)

OWNER = (
    Parameter(
        "user_profile_id", "The user on whose behalf it is asked.", NATURAL, is_required=True, example=1
    ),
    Parameter(
        "realm_id",
        "The user's realm; required when the users file does not know the user.",
        NATURAL,
        example=1,
    ),
    Parameter(
        "can_access_public_streams",
        "Whether a user whom the users file does not know may see public channels.",
        defaulting(BOOLEAN, default=False),
        example=True,
    ),
)

SECRET = Parameter(
    "secret",
    "The shared secret, when it is not in `Authorization: Bearer`. Only in the form, never in the query string.",
    TEXT,
    is_text=True,
)
"""Belongs to every internal route with a form."""

NOTICE_TEXT = Parameter(
    "data",
    "One notice, as JSON.",
    {**TEXT, "contentMediaType": "application/json"},
    is_text=True,
    is_required=True,
    example='{"event":{"type":"deploy","state":"done"},"users":[1]}',
)

OUTBOX_QUEUE = Parameter(
    "queue",
    "A notification queue.",
    {**TEXT, "pattern": "^[^/]+$"},
    is_text=True,
    is_required=True,
    example="missedmessage_emails",
)

AFTER = Parameter("after", "Only records behind this position.", defaulting(NATURAL, 0), example=0)

LIMIT = Parameter(
    "limit",
    f"How many records at most; more than {MOST_RECORDS} count as {MOST_RECORDS}.",
    defaulting(POSITIVE, USUAL_RECORDS),
    example=10,
)

THROUGH = Parameter(
    "through", "The position up to which records are dropped.", NATURAL, is_required=True, example=0
)

CLIENT_COUNT = Parameter("client_count", "How many clients to tell now; all without it.", NATURAL, example=10)

LEVEL = Parameter(
    "level", "The least that is logged from now on.", {"enum": list(LEVELS)}, is_text=True, example="debug"
)

IMMEDIATE = Parameter(
    "immediate", "Whether the event asks to reload at once.", defaulting(BOOLEAN, default=False), example=True
)
