"""The table of operations: method and path to what it takes and gives."""

from collections.abc import Mapping
from types import MappingProxyType

from tidewire.core import errors
from tidewire.http.openapi import parameter_rows, schemas
from tidewire.http.openapi.operator_operations import OPERATORS
from tidewire.http.openapi.relocation_operations import SHARDS
from tidewire.http.openapi.rows import Access, Operation
from tidewire.http.openapi.schemas import TEXT

_FORM = (errors.PayloadTooLarge,)

_POLL = (
    parameter_rows.QUEUE_TO_POLL,
    parameter_rows.LAST_EVENT_ID,
    parameter_rows.DONT_BLOCK,
    parameter_rows.USER_CLIENT,
    *parameter_rows.QUEUE,
    *parameter_rows.CAPABILITIES,
    parameter_rows.CLIENT,
)

_PUBLIC: Mapping[str, Operation] = MappingProxyType(
    {
        "POST v1/register": Operation(
            "Makes a queue. It gets events from this moment on. The answer also has the members of the initial state.",
            Access.USER,
            (
                errors.ParameterConflict,
                errors.RegistrationTooLarge,
                errors.Unavailable,
                errors.UserMoving,
                errors.StateUnavailable,
                *_FORM,
            ),
            schemas.REGISTERED,
            parameters=(
                *parameter_rows.QUEUE,
                *parameter_rows.REGISTER_CAPABILITIES,
                *parameter_rows.SNAPSHOT,
                parameter_rows.CLIENT,
            ),
        ),
        "GET v1/events": Operation(
            "Polls a queue. Acknowledges, and returns what the queue holds, or waits until it holds something or "
            "about 50 seconds have passed. Without `queue_id` and with `dont_block` it makes a queue.",
            Access.USER,
            (
                errors.ParameterConflict,
                errors.RegistrationTooLarge,
                errors.BadEventQueueId,
                errors.Unavailable,
                errors.UserMoving,
                *_FORM,
            ),
            schemas.POLLED,
            optional=frozenset({"idle_queue_timeout_secs"}),
            parameters=_POLL,
        ),
        "DELETE v1/events": Operation(
            "Ends a queue. Drops what it holds; a poll that waits on it is answered.",
            Access.USER,
            (
                errors.MissingParameter,
                errors.BadEventQueueId,
                errors.Unavailable,
                errors.UserMoving,
                *_FORM,
            ),
            {},
            parameters=(parameter_rows.QUEUE_TO_END, parameter_rows.CLIENT),
        ),
        "GET v1/server_settings": Operation(
            "Tells what clients ask first. Needs no account.",
            Access.OPEN,
            (errors.RateLimitHit, *_FORM),
            schemas.SERVER_SETTINGS,
            parameters=(parameter_rows.CLIENT,),
        ),
        "GET v1/users/me": Operation(
            "Tells of the own account.",
            Access.USER,
            _FORM,
            schemas.OWN_USER,
            parameters=(parameter_rows.CLIENT,),
        ),
    }
)

_INTERNAL: Mapping[str, Operation] = MappingProxyType(
    {
        "POST /api/v1/events/internal": Operation(
            "Makes or reads a queue on a user's behalf. What `GET /api/v1/events` does.",
            Access.INTERNAL,
            (
                errors.ParameterConflict,
                errors.RegistrationTooLarge,
                errors.BadEventQueueId,
                errors.Unavailable,
                errors.UserMoving,
                *_FORM,
            ),
            schemas.POLLED,
            optional=frozenset({"idle_queue_timeout_secs"}),
            parameters=(
                *parameter_rows.OWNER,
                *_POLL,
                parameter_rows.SECRET,
            ),
        ),
        "POST /api/internal/notify_tornado": Operation(
            "Publishes one notice. For applications that speak the protocol's older form.",
            Access.INTERNAL,
            (errors.InvalidNotice, errors.NoticeIdReused, errors.Unavailable, *_FORM),
            {},
            parameters=(parameter_rows.NOTICE_TEXT, parameter_rows.CLIENT, parameter_rows.SECRET),
        ),
        "POST /api/internal/notices": Operation(
            "Publishes notices. All are checked before any is taken; answered once all are durable.",
            Access.INTERNAL,
            (errors.InvalidNotice, errors.NoticeIdReused, errors.Unavailable, *_FORM),
            schemas.ACCEPTED,
            has_form=False,
            bodies={
                "application/json": {
                    "anyOf": [schemas.NOTICE, {"type": "array", "items": schemas.NOTICE, "minItems": 1}]
                },
                "application/x-ndjson": {"type": "string", "description": "One notice a line."},
            },
            body_example=[{"event": {"type": "deploy", "state": "done"}, "users": [1, 2], "id": "deploy-17"}],
        ),
        "GET /api/internal/outbox/{queue}": Operation(
            "Reads notification records. Only what is durable is given out.",
            Access.INTERNAL,
            (errors.NotFound, errors.Unavailable),
            schemas.OUTBOX_PAGE,
            parameters=(parameter_rows.AFTER, parameter_rows.LIMIT),
            in_path=(parameter_rows.OUTBOX_QUEUE,),
            has_form=False,
        ),
        "DELETE /api/internal/outbox/{queue}": Operation(
            "Acknowledges notification records. Drops all up to a position; answered once that is durable.",
            Access.INTERNAL,
            (errors.NotFound, errors.Unavailable),
            {},
            parameters=(parameter_rows.THROUGH,),
            in_path=(parameter_rows.OUTBOX_QUEUE,),
            has_form=False,
        ),
        "GET /api/internal/dump": Operation(
            "Gives all queues in the dump format. Each is as it is when its turn comes.",
            Access.INTERNAL,
            (errors.Unavailable,),
            has_form=False,
            list_of=schemas.DUMPED,
        ),
        "POST /api/internal/dump": Operation(
            "Makes queues from a dump. What can't be made is named, and the rest is there.",
            Access.INTERNAL,
            (errors.Unavailable, errors.PayloadTooLarge),
            schemas.IMPORTED,
            has_form=False,
            bodies={"application/json": {"type": "array", "items": schemas.DUMPED}},
            body_example=[],
        ),
        "POST /api/internal/revoke_session": Operation(
            "Lets nobody in any more by a session or token. Its polls and queues end at once.",
            Access.INTERNAL,
            (errors.Unavailable, *_FORM),
            schemas.ENDED,
            parameters=(parameter_rows.SESSION, parameter_rows.CLIENT, parameter_rows.SECRET),
        ),
        "POST /api/internal/loglevel": Operation(
            "Changes the level of the log. Without `level` it only says what it is.",
            Access.INTERNAL,
            (errors.NotFound, *_FORM),
            schemas.LOG_LEVEL,
            parameters=(parameter_rows.LEVEL, parameter_rows.CLIENT, parameter_rows.SECRET),
        ),
        "POST /api/internal/web_reload_clients": Operation(
            "Tells web clients of an earlier process to reload.",
            Access.INTERNAL,
            (errors.Unavailable, *_FORM),
            schemas.RELOADED,
            parameters=(
                parameter_rows.CLIENT_COUNT,
                parameter_rows.IMMEDIATE,
                parameter_rows.CLIENT,
                parameter_rows.SECRET,
            ),
        ),
    }
)

_OPEN: Mapping[str, Operation] = MappingProxyType(
    {
        "GET /api/v1/openapi.json": Operation(
            "Gives this description. Needs no account.",
            Access.OPEN,
            (errors.RateLimitHit,),
            schemas.DESCRIPTION,
            has_form=False,
            is_bare=True,
        ),
        "GET /health/live": Operation("Says that the process lives.", Access.OPEN, (), {}, has_form=False),
        "GET /health/ready": Operation(
            "Says whether clients can be served.",
            Access.OPEN,
            (errors.Unavailable,),
            schemas.DEGRADED,
            optional=frozenset(schemas.DEGRADED),
            has_form=False,
        ),
        "GET /metrics": Operation(
            "Gives the metrics for Prometheus. In the form of OpenMetrics if the request asks for that.",
            Access.OPEN,
            (errors.NotFound,),
            has_form=False,
            media={"text/plain": TEXT, "application/openmetrics-text": TEXT},
        ),
    }
)


def _of_sessions(name: str) -> dict[str, Operation]:
    """The two names that a public operation has for browser sessions."""
    method, path = name.split(" ")
    session = _PUBLIC[name]._replace(
        meaning=f"The form for browser sessions of `{method} /api/{path}`. Refuses every request until a kind of "
        "session is configured.",
        access=Access.SESSION,
    )
    return {f"{method} /json/{path.removeprefix('v1/')}": session, f"{method} /json/{path}": session}


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        **{name.replace(" ", " /api/"): operation for name, operation in _PUBLIC.items()},
        **{other: closed for name in _PUBLIC for other, closed in _of_sessions(name).items()},
        **_INTERNAL,
        **OPERATORS,
        **SHARDS,
        **_OPEN,
    }
)
"""By method and path."""
