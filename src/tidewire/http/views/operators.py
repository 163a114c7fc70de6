"""The views of operators: queues, what became of an event, what a notice would do, and the shard's totals.

Looking at every queue takes turns with other work, so that the event loop is never held for long.
"""

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request

from tidewire.core.errors import BadRequest, MissingParameter, NotFound
from tidewire.core.ids import RealmId, UserId
from tidewire.core.inspection.explain import Explanation
from tidewire.core.inspection.queue_list import SORTS, QueueFilter, QueueList
from tidewire.core.inspection.survey import Survey
from tidewire.http import responses
from tidewire.http.context import ServerContext
from tidewire.http.parameters import Parameters, query_parameters, read_body
from tidewire.http.responses import Response
from tidewire.http.views.publish import MAX_NOTICES_BYTES, check_internal, read_notices_of

STEP = 250
"""Queues looked at before the time is looked at: 0.1 ms when they are in the processor's cache, ten times that when not."""


TURN = 0.001
"""Seconds of looking after which other work gets a turn."""


async def surveyed(context: ServerContext) -> Survey[Any]:
    """What all queues hold together."""
    survey = context.engine.shard.survey()
    await _finish(survey, context)
    return survey


async def listed(context: ServerContext, wanted: QueueFilter) -> QueueList[Any]:
    """The queues that are wanted."""
    listing = context.engine.shard.listing(wanted)
    await _finish(listing, context)
    return listing


async def _finish(look: Survey[Any] | QueueList[Any], context: ServerContext) -> None:
    began = context.timer()
    while not look.done:
        look.step(STEP)
        if context.timer() - began > TURN:
            await asyncio.sleep(0)
            began = context.timer()


USUAL_QUEUES = 100


USUAL_EVENTS = 100


USUAL_STORIES = 20


USUAL_OUTCOMES = 100


MOST = 1000
"""Queues, events, stories or outcomes of one answer."""


async def queues(request: Request, context: ServerContext) -> Response:
    """`GET /api/internal/queues`: the queues as a table, sorted and filtered."""
    parameters = _asked(request, context)
    user_id, realm_id = parameters.integer("user_id", minimum=0), parameters.integer("realm_id", minimum=0)
    sort = parameters.text("sort") or "oldest"
    if sort not in SORTS:
        raise BadRequest(f"sort must be one of {', '.join(SORTS)}")
    limit, skip = _limit(parameters, "limit", USUAL_QUEUES), parameters.integer("skip", minimum=0) or 0
    if limit + skip > MOST:
        raise BadRequest(f"skip and limit together can be {MOST} at most: narrow the search instead")
    wanted = QueueFilter(
        sort=sort,
        ascending=parameters.boolean("ascending", default=False),
        limit=limit,
        skip=skip,
        search=parameters.text("search") or None,
        user_id=None if user_id is None else UserId(user_id),
        realm_id=None if realm_id is None else RealmId(realm_id),
        client=parameters.text("client_name"),
        waiting=parameters.optional_boolean("waiting"),
        offline=parameters.optional_boolean("offline"),
    )
    listing = await listed(context, wanted)
    payload = {"queues": listing.rows(), "found": listing.found, "now": context.now()}
    return responses.success(payload, ignored=parameters.ignored())


async def queue(request: Request, context: ServerContext) -> Response:
    """`GET /api/internal/queues/{queue_id}`: one queue with its contents in outline and its timeline."""
    parameters = _asked(request, context)
    view = context.engine.shard.view_queue(
        request.path_params["queue_id"],
        most=_limit(parameters, "limit", USUAL_EVENTS),
        payload=parameters.boolean("payload", default=False),
    )
    return responses.success({"queue": view, "now": context.now()}, ignored=parameters.ignored())


async def explain(request: Request, context: ServerContext) -> Response:
    """`GET /api/internal/explain`: what became of an event, of a notice, or of the last that a queue or user was offered."""
    parameters = _asked(request, context)
    queue_id, user_id = parameters.text("queue_id"), parameters.integer("user_id", minimum=0)
    event_id, notice_id = parameters.integer("event_id", minimum=0), parameters.text("notice_id")
    last = _limit(parameters, "last", USUAL_STORIES)
    payload = parameters.boolean("payload", default=False)
    shard = context.engine.shard
    stories: list[Explanation] = []
    if queue_id is None:
        if user_id is None:
            raise MissingParameter("queue_id")
        if event_id is not None or notice_id is not None:
            raise BadRequest("event_id and notice_id need a queue_id")
        stories = shard.explain_last(queue_id=None, user_id=UserId(user_id), last=last, payload=payload)
    else:
        if event_id is not None:
            stories.append(shard.explain_event(queue_id, event_id, payload=payload))
        if notice_id is not None:
            stories += shard.explain_notice(queue_id, notice_id, payload=payload)
        if event_id is None and notice_id is None:
            stories = shard.explain_last(queue_id=queue_id, user_id=None, last=last, payload=payload)
        if user_id is not None and any(story.user_id != user_id for story in stories):
            raise NotFound(f"The queue {queue_id} is not one of user {user_id}")
    return responses.success({"stories": stories, "now": context.now()}, ignored=parameters.ignored())


async def dry_run(request: Request, context: ServerContext) -> Response:
    """`POST /api/internal/explain/dry-run`: what one notice would bring to whom; nothing is delivered."""
    parameters = _asked(request, context)
    limit = _limit(parameters, "limit", USUAL_OUTCOMES)
    payload = parameters.boolean("payload", default=False)
    taken = await read_notices_of(await read_body(request, MAX_NOTICES_BYTES), context)
    if len(taken) != 1:
        raise BadRequest("The request must have exactly one notice in its body")
    rehearsed = context.engine.shard.dry_run(taken[0], most=limit, payload=payload)
    return responses.success(msgspec.structs.asdict(rehearsed), ignored=parameters.ignored())


async def stats(request: Request, context: ServerContext) -> Response:
    """`GET /api/internal/stats`: what there is, and the totals since the process began."""
    parameters = _asked(request, context)
    totals = msgspec.structs.asdict(context.engine.shard.overview(await surveyed(context)))
    return responses.success({**totals, "now": context.now()}, ignored=parameters.ignored())


def _asked(request: Request, context: ServerContext) -> Parameters:
    check_internal(request, context)
    return Parameters(query_parameters(request))


def _limit(parameters: Parameters, name: str, usual: int) -> int:
    return min(parameters.integer(name, minimum=1) or usual, MOST)
