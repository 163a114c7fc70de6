"""The operators' routes: parameters, answers and operations (`http/views/operators.py`)."""

from collections.abc import Mapping
from types import MappingProxyType

from tidewire.core import errors
from tidewire.core.history.history import StepKind
from tidewire.core.inspection.dry_run import OUTCOMES
from tidewire.core.inspection.explain import STATES
from tidewire.core.inspection.overview import COUNTED
from tidewire.core.inspection.queue_list import SORTS
from tidewire.http.openapi.rows import Access, Operation, Parameter, Schema
from tidewire.http.openapi.schemas import (
    BOOLEAN,
    NARROW,
    NATURAL,
    NOTICE,
    NULLABLE_BOOLEAN,
    POSITIVE,
    STRINGS,
    TEXT,
    defaulting,
    members,
)
from tidewire.http.views.operators import MOST, USUAL_EVENTS, USUAL_OUTCOMES, USUAL_QUEUES, USUAL_STORIES

_NULLABLE_TEXT: Schema = MappingProxyType({"type": ["string", "null"]})
_NULLABLE_NATURAL: Schema = MappingProxyType({"type": ["integer", "null"], "minimum": 0})
_INTEGER_OR_NULL: Schema = MappingProxyType({"type": ["integer", "null"]})
_TIME: Schema = MappingProxyType({"type": "number"})
_NULLABLE_TIME: Schema = MappingProxyType({"type": ["number", "null"]})
_EVENT: Schema = MappingProxyType({"type": ["object", "null"]})
_COUNTS: Schema = MappingProxyType({"type": "object", "additionalProperties": NATURAL})
_NOW: Schema = MappingProxyType({**_TIME, "description": "The server's clock, in UNIX seconds."})


def _list(items: Schema, description: str = "") -> Schema:
    return {"type": "array", "items": items} | ({"description": description} if description else {})


QUEUE_ID = Parameter(
    "queue_id", "The queue.", TEXT, is_text=True, example="0b9a6c52-7a55-4c0e-9d1f-2f7f3f0e6a11"
)
USER_ID = Parameter("user_id", "The queues of this user.", NATURAL, example=1)
PAYLOAD = Parameter(
    "payload", "Whether to show what events say.", defaulting(BOOLEAN, default=False), example=True
)


def _up_to(name: str, meaning: str, usual: int) -> Parameter:
    return Parameter(name, f"{meaning}, at most {MOST}.", defaulting(POSITIVE, usual), example=5)


ROW = members(
    {
        "queue_id": TEXT,
        "user_id": NATURAL,
        "realm_id": NATURAL,
        "client": TEXT,
        "events": NATURAL,
        "size": NATURAL,
        "oldest": _NULLABLE_TIME,
        "last_active": _TIME,
        "waiting": BOOLEAN,
        "offline": BOOLEAN,
    }
)

HELD = members({"id": NATURAL, "type": TEXT, "size": NATURAL, "state": TEXT, "event": _EVENT})

STEP = members(
    {
        "what": {"enum": [what.name.lower() for what in StepKind]},
        "at": _NULLABLE_TIME,
        "event_id": _INTEGER_OR_NULL,
        "type": _NULLABLE_TEXT,
        "rule": _NULLABLE_TEXT,
        "sent_at": _NULLABLE_TIME,
        "done_at": _NULLABLE_TIME,
        "into": _INTEGER_OR_NULL,
    }
)

VIEW = members(
    {
        "queue_id": TEXT,
        "user_id": NATURAL,
        "realm_id": NATURAL,
        "client": TEXT,
        # Of a queue that ended all of these are null.
        "idle_timeout": _NULLABLE_NATURAL,
        "event_types": STRINGS,
        "narrow": {"anyOf": [NARROW, {"type": "null"}]},
        "all_public_streams": NULLABLE_BOOLEAN,
        "capabilities": {"anyOf": [_list(TEXT), {"type": "null"}]},
        "client_class": _NULLABLE_TEXT,
        "next_event_id": NATURAL,
        "newest_pruned_id": _INTEGER_OR_NULL,
        "ended": _NULLABLE_TEXT,
        "ended_at": _NULLABLE_TIME,
        "row": {"anyOf": [ROW, {"type": "null"}]},
        "contents": _list(HELD),
        "timeline": _list(STEP),
    }
)

STORY = members(
    {
        "queue_id": TEXT,
        "user_id": NATURAL,
        "state": {"enum": list(STATES)},
        "event_id": _NULLABLE_NATURAL,
        "type": _NULLABLE_TEXT,
        "rule": _NULLABLE_TEXT,
        "at": _NULLABLE_TIME,
        "sent_at": _NULLABLE_TIME,
        "acknowledged_at": _NULLABLE_TIME,
        "merged_at": _NULLABLE_TIME,
        "merged_into": _NULLABLE_NATURAL,
        "merged": _list(NATURAL),
        "size": _NULLABLE_NATURAL,
        "variant": _NULLABLE_NATURAL,
        "event": _EVENT,
        "ended": _NULLABLE_TEXT,
        "ended_at": _NULLABLE_TIME,
    }
)

OUTCOME = members(
    {
        "queue_id": TEXT,
        "user_id": NATURAL,
        "client": TEXT,
        "state": {"enum": list(OUTCOMES)},
        "rule": _NULLABLE_TEXT,
        "type": _NULLABLE_TEXT,
        "event_id": _NULLABLE_NATURAL,
        "merges_with": _NULLABLE_NATURAL,
        "answers": BOOLEAN,
        "size": _NULLABLE_NATURAL,
        "event": _EVENT,
    }
)

STATS: Mapping[str, Schema] = MappingProxyType(
    {
        "queues": {**NATURAL, "description": "How many there are."},
        "users": {**NATURAL, "description": "Who have one."},
        "waiting": {**NATURAL, "description": "Polls that wait."},
        "offline": {**NATURAL, "description": "Queues whose owner counts as gone."},
        "events": {**NATURAL, "description": "In all queues."},
        "bytes": {**NATURAL, "description": "Of all events as they would be sent."},
        "shapes": {**NATURAL, "description": "Distinct ones in use."},
        "acceptances": {**NATURAL, "description": "Distinct ones in use."},
        "ended_kept": {**NATURAL, "description": "Ended queues that can still be explained."},
        "outbox": {**NATURAL, "description": "Notification records that wait for workers."},
        "remembered": {**NATURAL, "description": "Ids of notices that are remembered."},
        "memory_used": {**NATURAL, "description": "Bytes that everything takes."},
        "memory_budget": {**NATURAL, "description": "Bytes that it may take; 0: no bound."},
        "memory_trails": {**NATURAL, "description": "Bytes recorded to be explained."},
        "memory_parts": {**_COUNTS, "description": "Bytes by what they are for, uncorrected."},
        "totals": members(dict.fromkeys(COUNTED, NATURAL)),
        "notices": {**_COUNTS, "description": "By type of event, the most frequent ones."},
        "refused": {**_COUNTS, "description": "By rule."},
        "removed": {**_COUNTS, "description": "Queues that ended, by reason."},
        "turned_away": {**_COUNTS, "description": "Refused because of a bound, by what was asked."},
        "gave_way": {**_COUNTS, "description": "Given up for want of memory before any queue ended."},
        "now": _NOW,
    }
)

OPERATORS: Mapping[str, Operation] = MappingProxyType(
    {
        "GET /api/internal/queues": Operation(
            "Lists queues. Those first whose oldest event waits for longest, unless another order is asked for.",
            Access.INTERNAL,
            members={
                "queues": _list(ROW, "In the order that was asked for."),
                "found": {**NATURAL, "description": "How many there are of the kind that was asked for."},
                "now": _NOW,
            },
            parameters=(
                Parameter(
                    "sort",
                    "What to sort by.",
                    defaulting({"type": "string", "enum": list(SORTS)}, "oldest"),
                    is_text=True,
                    example="events",
                ),
                Parameter(
                    "ascending",
                    "Whether the smallest come first.",
                    defaulting(BOOLEAN, default=False),
                    example=True,
                ),
                _up_to("limit", "How many to list", USUAL_QUEUES),
                Parameter(
                    "skip",
                    f"How many of the first to leave out; with `limit` at most {MOST}.",
                    defaulting(NATURAL, 0),
                    example=0,
                ),
                Parameter(
                    "search",
                    "The queues with this in their id or their client's name, or of the user with this id.",
                    TEXT,
                    is_text=True,
                    example="website",
                ),
                USER_ID,
                Parameter("realm_id", "The queues of this realm.", NATURAL, example=1),
                Parameter(
                    "client_name",
                    "The queues of clients with this in their name.",
                    TEXT,
                    is_text=True,
                    example="website",
                ),
                Parameter("waiting", "Whether a poll waits on them.", NULLABLE_BOOLEAN, example=True),
                Parameter("offline", "Whether their owner counts as gone.", NULLABLE_BOOLEAN, example=False),
            ),
            has_form=False,
        ),
        "GET /api/internal/queues/{queue_id}": Operation(
            "Shows one queue. Also one that ended, for as long as that is kept.",
            Access.INTERNAL,
            (errors.NotFound,),
            {"queue": VIEW, "now": _NOW},
            parameters=(_up_to("limit", "How many events and steps to show", USUAL_EVENTS), PAYLOAD),
            in_path=(QUEUE_ID,),
            has_form=False,
        ),
        "GET /api/internal/explain": Operation(
            "Tells what became of events. Of one event or notice in a queue, or of the last that a queue or all queues of a "
            "user were offered.",
            Access.INTERNAL,
            (errors.NotFound,),
            {"stories": _list(STORY, "Oldest first."), "now": _NOW},
            parameters=(
                QUEUE_ID,
                Parameter("event_id", "The event, by its id in the queue.", NATURAL, example=0),
                Parameter(
                    "notice_id",
                    "The notice, by the id that its publisher gave it.",
                    TEXT,
                    is_text=True,
                    example="deploy-17",
                ),
                USER_ID,
                _up_to("last", "How many to tell of when neither event nor notice is named", USUAL_STORIES),
                PAYLOAD,
            ),
            has_form=False,
        ),
        "POST /api/internal/explain/dry-run": Operation(
            "Tells what a notice would do. Nothing is delivered and nothing remembered.",
            Access.INTERNAL,
            (errors.InvalidNotice, errors.NoticeIdReused, errors.PayloadTooLarge),
            {
                "repeated": {
                    **BOOLEAN,
                    "description": "The notice was taken before, so it would do nothing.",
                },
                "outcomes": _list(OUTCOME, "By queue, in the order of delivery."),
                "counts": {**_COUNTS, "description": "By state; those that are left out are counted too."},
                "users_without_queue": {**NATURAL, "description": "Users that the notice is for in vain."},
            },
            parameters=(_up_to("limit", "How many outcomes to list", USUAL_OUTCOMES), PAYLOAD),
            has_form=False,
            bodies={"application/json": NOTICE},
            body_example={"event": {"type": "deploy", "state": "done"}, "users": [1, 2]},
        ),
        "GET /api/internal/stats": Operation(
            "Gives the totals. Of what there is now, and since the process began.",
            Access.INTERNAL,
            members=STATS,
            has_form=False,
        ),
    }
)
