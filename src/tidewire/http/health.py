"""Health: whether the process lives, and whether it can serve."""

from starlette.requests import Request
from starlette.responses import Response

from tidewire.http import answers
from tidewire.http.site import Site


async def live(_request: Request, _site: Site) -> Response:
    """`GET /health/live`: 200 as long as the process answers at all."""
    return answers.success({})


async def ready(_request: Request, site: Site) -> Response:
    """`GET /health/ready`: 200 while clients can be served; 503 before and after (`Lifecycle`)."""
    site.lifecycle.check_serving()
    degraded = site.lifecycle.degraded
    return answers.success({"degraded": degraded} if degraded else {})
