"""Health: whether the process lives, and whether it can serve."""

from starlette.requests import Request

from tidewire.http import answers
from tidewire.http.answers import Answer
from tidewire.http.site import Site


async def live(_request: Request, _site: Site) -> Answer:
    """`GET /health/live`: 200 as long as the process answers at all."""
    return answers.success({})


async def ready(_request: Request, site: Site) -> Answer:
    """`GET /health/ready`: 200 while clients can be served; 503 before and after (`Lifecycle`)."""
    site.lifecycle.check_serving()
    degraded = site.lifecycle.degraded
    return answers.success({"degraded": degraded} if degraded else {})
