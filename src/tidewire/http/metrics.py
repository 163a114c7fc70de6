"""Metrics: the route that Prometheus reads."""

from starlette.requests import Request

from tidewire.core.errors import NotFound
from tidewire.http.answers import Answer
from tidewire.http.site import Site


async def metrics(request: Request, site: Site) -> Answer:
    """`GET /metrics`: open like the health routes; a proxy must not pass it on.

    Raises:
        NotFound: this server has none.
    """
    if site.exposition is None:
        raise NotFound("Not Found")
    body, media_type = await site.exposition.render(request.headers.get("accept") or "")
    return Answer(200, body, media_type=media_type.encode())
