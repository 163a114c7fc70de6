"""The project asked in this process: a request through its own middleware, on a thread, without HTTP.

It is for a server that runs inside Django (`manage.py runtidewire`). Only a request whose credentials nobody here knows
comes this way; what it says is remembered by the server, so no event and no further poll of the same session does.
"""

import asyncio
import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest
from django.core.signals import request_started
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import ResolverMatch

from tidewire._http.bounded import CallFailed, Lines, Reply
from tidewire.contrib.django.identity import identified

PATH = "/tidewire/whoami/"
"""What middleware sees; no project has to have such an address."""

NOBODY = 401
BAD_REQUEST = 400
REDIRECTS = range(300, 400)


class Inside:
    """The project, as the server's `BackendClient`."""

    def __init__(self, *, timeout: float, threads: int) -> None:
        """Takes the seconds of one answer, and how many requests are looked at side by side."""
        self._handler = _Handler()
        self._handler.load_middleware()
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="tidewire-django")

    async def post(self, body: bytes, headers: Lines = ()) -> Reply:
        """Has the project say who a request comes from.

        Raises:
            CallFailed: it could not, or not in time.
        """
        environ = _environ(json.loads(body), dict(headers))
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                return await loop.run_in_executor(self._pool, self._answer, environ)
        except TimeoutError:
            raise CallFailed(f"The project did not answer within {self._timeout:g} seconds") from None

    def close(self) -> None:
        """Waits for what is under way."""
        self._pool.shutdown(cancel_futures=True)

    def _answer(self, environ: Mapping[str, Any]) -> Reply:
        request_started.send(sender=Inside, environ=environ)  # whereupon Django drops stale connections
        try:
            response = self._handler.get_response(WSGIRequest(environ))
        except Exception as error:  # with DEBUG_PROPAGATE_EXCEPTIONS, whatever middleware raises
            raise CallFailed(f"The project failed: {error!r}") from error
        try:
            # A host that it does not serve, or the way to a page for logging in: nobody who may ask.
            is_nobody = response.status_code == BAD_REQUEST or response.status_code in REDIRECTS
            return Reply(NOBODY if is_nobody else response.status_code, getattr(response, "content", b""))
        finally:
            response.close()


class _Handler(BaseHandler):
    """Django's middleware around one view, whatever addresses the project has."""

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """The view; URLs that middleware makes are the project's own."""
        is_session = "HTTP_COOKIE" in request.META
        request.resolver_match = ResolverMatch(_view, (), {"is_session": is_session}, route=PATH)
        return request.resolver_match


@login_not_required
def _view(request: HttpRequest, *, is_session: bool) -> HttpResponse:
    found = identified(request, is_session=is_session)
    return JsonResponse({}, status=NOBODY) if found is None else JsonResponse(found)


def _environ(asked: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """A request as WSGI has it. It came over this process's own memory, so it counts as secure."""
    shown = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    if asked["host"] is not None:
        shown["HTTP_HOST"] = asked["host"]
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": PATH,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        **shown,
    }
