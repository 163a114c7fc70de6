"""The views about the server itself: health, metrics and the log level."""

from starlette.requests import Request

from tidewire.core.errors import BadRequest, NotFound
from tidewire.http import responses
from tidewire.http.context import ServerContext
from tidewire.http.responses import Response
from tidewire.http.views.publish import internal_parameters
from tidewire.observability.log_level import LEVELS


async def live(_request: Request, _context: ServerContext) -> Response:
    """`GET /health/live`: 200 as long as the process answers at all."""
    return responses.success({})


async def ready(_request: Request, context: ServerContext) -> Response:
    """`GET /health/ready`: 200 while clients can be served; 503 before and after (`ServerStatus`)."""
    context.lifecycle.check_serving()
    degraded = context.lifecycle.degraded
    return responses.success({"degraded": degraded} if degraded else {})


async def metrics(request: Request, context: ServerContext) -> Response:
    """`GET /metrics`: open like the health routes; a proxy must not pass it on.

    Raises:
        NotFound: this server has none.
    """
    if context.exposition is None:
        raise NotFound("Not Found")
    body, media_type = await context.exposition.render(request.headers.get("accept") or "")
    return Response(200, body, media_type=media_type.encode())


async def loglevel(request: Request, context: ServerContext) -> Response:
    """`POST /api/internal/loglevel`: changes the level to `level`, if that is given, and says what it is.

    Raises:
        BadRequest: there is no such level.
        NotFound: the log of this server can't be changed.
    """
    parameters = await internal_parameters(request, context)
    level = parameters.text("level")
    control = context.log_control
    if control is None:
        raise NotFound("Not Found")
    before = control.level
    if level is not None:
        if level not in LEVELS:
            raise BadRequest(f"Invalid level: one of {', '.join(LEVELS)}")
        control.change(level)
    payload = {"level": control.level, "before": before}
    return responses.success(payload, ignored=parameters.ignored())
