"""The outbox views: workers read notification records and acknowledge them (D6)."""

from starlette.requests import Request

from tidewire.cluster.awaitable import AwaitableWaiter
from tidewire.core.notifications.outbox import OutboxPage
from tidewire.core.notifications.worker_records import stable_id, wire_record
from tidewire.http import responses
from tidewire.http.context import ServerContext
from tidewire.http.parameters import Parameters, query_parameters
from tidewire.http.responses import Response
from tidewire.http.views.publish import check_internal

USUAL_RECORDS = 100
MOST_RECORDS = 1000
"""Of one answer: some 200 KB."""


async def read(request: Request, context: ServerContext) -> Response:
    """`GET /api/internal/outbox/{queue}`: the records behind a position, as far as they are durable."""
    queue, parameters = _asked(request, context)
    after = parameters.integer("after", minimum=0)
    limit = parameters.integer("limit", minimum=1)
    slot: AwaitableWaiter[OutboxPage] = AwaitableWaiter()
    context.engine.read_outbox(
        queue, after=after or 0, limit=min(limit or USUAL_RECORDS, MOST_RECORDS), waiter=slot
    )
    page = await slot.wait()
    records = [
        {"position": position, "id": stable_id(record), "record": wire_record(record)}
        for position, record in page.records
    ]
    payload = {"records": records, "waiting": page.waiting, "lost": page.lost}
    return responses.success(payload, ignored=parameters.ignored())


async def acknowledge(request: Request, context: ServerContext) -> Response:
    """`DELETE /api/internal/outbox/{queue}`: drops the records up to a position; answered once that is durable."""
    queue, parameters = _asked(request, context)
    through = parameters.required_integer("through", minimum=0)
    slot: AwaitableWaiter[int] = AwaitableWaiter()
    context.engine.acknowledge_outbox(queue, through=through, waiter=slot)
    await slot.wait()
    return responses.success({}, ignored=parameters.ignored())


def _asked(request: Request, context: ServerContext) -> tuple[str, Parameters]:
    check_internal(request, context)
    context.lifecycle.check_serving()
    return request.path_params["queue"], Parameters(query_parameters(request))
