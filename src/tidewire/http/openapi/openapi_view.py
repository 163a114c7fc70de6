"""The view that serves the OpenAPI document."""

from functools import cache

import msgspec
from starlette.requests import Request

from tidewire.http.authentication import admit_anybody
from tidewire.http.context import ServerContext
from tidewire.http.openapi import document
from tidewire.http.request_info import note_of
from tidewire.http.responses import Response


async def description(request: Request, context: ServerContext) -> Response:
    """`GET /api/v1/openapi.json`: what the routes take and give, as OpenAPI."""
    admit_anybody(note_of(request), context)
    return Response(200, _encoded())


@cache
def _encoded() -> bytes:
    """Made once, when somebody asks for it: most servers are never asked."""
    return msgspec.json.encode(document()) + b"\n"
