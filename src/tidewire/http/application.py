"""The ASGI application: routes, and what becomes of errors (R6.5, R6.6)."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tidewire.core.errors import (
    BadEventQueueId,
    BadRequest,
    InternalError,
    MethodNotAllowed,
    NotFound,
    WireError,
)
from tidewire.http import answers
from tidewire.http.client_name import client_name
from tidewire.http.routes import Methods, View, all_routes
from tidewire.http.site import Site

LEGACY_CLIENTS = ("ZulipTerminal", "zulip-term")
"""Clients that only recover when they read the older sentence (R6.95)."""


def build_application(site: Site) -> ASGIApp:
    """The server's ordinary routes as an ASGI application without a lifespan of its own."""
    application = Starlette(
        routes=[Route(path, Endpoint(methods, site)) for path, methods in all_routes().items()],
        exception_handlers={HTTPException: _http_error},
    )
    # A path with a slash too many is no route; a redirect would turn a POST into a GET.
    application.router.redirect_slashes = False
    return application


class Endpoint:
    """One path: finds the view for the method, and answers whatever it raises."""

    def __init__(self, methods: Methods, site: Site) -> None:
        self._site = site
        self._methods = {**methods, "OPTIONS": self._options}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        request = Request(scope, receive)
        response = await self._respond(request)
        if self._site.lifecycle.stopping:
            response.headers["Connection"] = "close"
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            return await self._view(request.method)(request, self._site)
        except BadEventQueueId as error:
            return answers.failure(worded(error, request.headers.get("user-agent"), self._site))
        except WireError as error:
            return answers.failure(error)
        except ClientDisconnect:
            # Went away in the middle of its body: nobody reads the answer.
            return answers.failure(BadRequest("The request broke off"))
        except Exception:
            # The path as it is in the scope: a whole URL can't be made of every request that can fail.
            self._site.log.exception("request failed", method=request.method, path=request.scope["path"])
            return answers.failure(InternalError())

    def _view(self, method: str) -> View:
        view = self._methods.get(method)
        if view is None:
            raise MethodNotAllowed(sorted(self._methods))
        return view

    async def _options(self, _request: Request, _site: Site) -> Response:
        return Response(status_code=204, headers={"Allow": ", ".join(sorted(self._methods))})


def worded(error: BadEventQueueId, user_agent: str | None, site: Site) -> BadEventQueueId:
    """The sentence that the asking client understands; the code says the same to all (R6.95)."""
    queue_id = error.data["queue_id"]
    if error.owner_id is not None:
        site.log.warning("queue of another user asked for", queue_id=queue_id, owner=error.owner_id)
    wanted = site.compat.bad_queue_text
    name = client_name(None, user_agent)
    if wanted == "always" or (wanted == "zulip-term" and name.startswith(LEGACY_CLIENTS)):
        error.message = f"Bad event queue id: {queue_id}"
    return error


async def _http_error(_request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: a path that is no route, or a request that it can't read."""
    if isinstance(error, HTTPException) and error.status_code != 404:  # noqa: PLR2004 - HTTP's own number
        return answers.failure(BadRequest(str(error.detail)))
    return answers.failure(NotFound("Not Found"))
