"""The table of operations: method and path to what it takes and gives."""

from collections.abc import Mapping
from types import MappingProxyType

from tidewire.core import errors
from tidewire.http.description import answers, parameters
from tidewire.http.description.kinds import TEXT
from tidewire.http.description.operators import OPERATORS
from tidewire.http.description.rows import Access, Operation
from tidewire.http.description.shards import SHARDS

_FORM = (errors.PayloadTooLarge,)

_POLL = (
    parameters.QUEUE_TO_POLL,
    parameters.LAST_EVENT_ID,
    parameters.DONT_BLOCK,
    parameters.USER_CLIENT,
    *parameters.QUEUE,
    *parameters.CAPABILITIES,
    parameters.CLIENT,
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
            answers.REGISTERED,
            parameters=(
                *parameters.QUEUE,
                *parameters.REGISTER_CAPABILITIES,
                *parameters.SNAPSHOT,
                parameters.CLIENT,
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
            answers.POLLED,
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
            parameters=(parameters.QUEUE_TO_END, parameters.CLIENT),
        ),
        "GET v1/server_settings": Operation(
            "Tells what clients ask first. Needs no account.",
            Access.OPEN,
            (errors.RateLimitHit, *_FORM),
            answers.SERVER_SETTINGS,
            parameters=(parameters.CLIENT,),
        ),
        "GET v1/users/me": Operation(
            "Tells of the own account.",
            Access.USER,
            _FORM,
            answers.OWN_USER,
            parameters=(parameters.CLIENT,),
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
            answers.POLLED,
            optional=frozenset({"idle_queue_timeout_secs"}),
            parameters=(
                *parameters.OWNER,
                *_POLL,
                parameters.SECRET,
            ),
        ),
        "POST /api/internal/notify_tornado": Operation(
            "Publishes one notice. For applications that speak the protocol's older form.",
            Access.INTERNAL,
            (errors.InvalidNotice, errors.NoticeIdReused, errors.Unavailable, *_FORM),
            {},
            parameters=(parameters.NOTICE_TEXT, parameters.CLIENT, parameters.SECRET),
        ),
        "POST /api/internal/notices": Operation(
            "Publishes notices. All are checked before any is taken; answered once all are durable.",
            Access.INTERNAL,
            (errors.InvalidNotice, errors.NoticeIdReused, errors.Unavailable, *_FORM),
            answers.ACCEPTED,
            has_form=False,
            bodies={
                "application/json": {
                    "anyOf": [answers.NOTICE, {"type": "array", "items": answers.NOTICE, "minItems": 1}]
                },
                "application/x-ndjson": {"type": "string", "description": "One notice a line."},
            },
            body_example=[{"event": {"type": "deploy", "state": "done"}, "users": [1, 2], "id": "deploy-17"}],
        ),
        "GET /api/internal/outbox/{queue}": Operation(
            "Reads notification records. Only what is durable is given out.",
            Access.INTERNAL,
            (errors.NotFound, errors.Unavailable),
            answers.OUTBOX_PAGE,
            parameters=(parameters.AFTER, parameters.LIMIT),
            in_path=(parameters.OUTBOX_QUEUE,),
            has_form=False,
        ),
        "DELETE /api/internal/outbox/{queue}": Operation(
            "Acknowledges notification records. Drops all up to a position; answered once that is durable.",
            Access.INTERNAL,
            (errors.NotFound, errors.Unavailable),
            {},
            parameters=(parameters.THROUGH,),
            in_path=(parameters.OUTBOX_QUEUE,),
            has_form=False,
        ),
        "GET /api/internal/dump": Operation(
            "Gives all queues in the dump format. Each is as it is when its turn comes.",
            Access.INTERNAL,
            (errors.Unavailable,),
            has_form=False,
            list_of=answers.DUMPED,
        ),
        "POST /api/internal/dump": Operation(
            "Makes queues from a dump. What can't be made is named, and the rest is there.",
            Access.INTERNAL,
            (errors.Unavailable, errors.PayloadTooLarge),
            answers.IMPORTED,
            has_form=False,
            bodies={"application/json": {"type": "array", "items": answers.DUMPED}},
            body_example=[],
        ),
        "POST /api/internal/revoke_session": Operation(
            "Lets nobody in any more by a session or token. Its polls and queues end at once.",
            Access.INTERNAL,
            (errors.Unavailable, *_FORM),
            answers.ENDED,
            parameters=(parameters.SESSION, parameters.CLIENT, parameters.SECRET),
        ),
        "POST /api/internal/loglevel": Operation(
            "Changes the level of the log. Without `level` it only says what it is.",
            Access.INTERNAL,
            (errors.NotFound, *_FORM),
            answers.LOG_LEVEL,
            parameters=(parameters.LEVEL, parameters.CLIENT, parameters.SECRET),
        ),
        "POST /api/internal/web_reload_clients": Operation(
            "Tells web clients of an earlier process to reload.",
            Access.INTERNAL,
            (errors.Unavailable, *_FORM),
            answers.RELOADED,
            parameters=(parameters.CLIENT_COUNT, parameters.IMMEDIATE, parameters.CLIENT, parameters.SECRET),
        ),
    }
)

_OPEN: Mapping[str, Operation] = MappingProxyType(
    {
        "GET /api/v1/openapi.json": Operation(
            "Gives this description. Needs no account.",
            Access.OPEN,
            (errors.RateLimitHit,),
            answers.DESCRIPTION,
            has_form=False,
            is_bare=True,
        ),
        "GET /health/live": Operation("Says that the process lives.", Access.OPEN, (), {}, has_form=False),
        "GET /health/ready": Operation(
            "Says whether clients can be served.",
            Access.OPEN,
            (errors.Unavailable,),
            answers.DEGRADED,
            optional=frozenset(answers.DEGRADED),
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
