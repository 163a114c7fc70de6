"""The ASGI application: the table of routes, and the answers that errors become."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidewire.core.bytes_in_transit import no_room
from tidewire.core.errors import (
    BadEventQueueId,
    BadRequest,
    InternalError,
    MethodNotAllowed,
    NotFound,
    WireError,
)
from tidewire.http import responses
from tidewire.http.authentication import admit_anybody, check_host, check_own_page
from tidewire.http.context import ServerContext
from tidewire.http.openapi import openapi_view
from tidewire.http.parameters import client_of
from tidewire.http.request_info import RequestInfo, note_of, noted
from tidewire.http.request_log import RequestLog
from tidewire.http.responses import Response, head_lines
from tidewire.http.views import dump, events, operators, outbox, publish, shards, system
from tidewire.ports.auth import no_session

View: TypeAlias = Callable[[Request, ServerContext], Awaitable[Response]]


Methods: TypeAlias = Mapping[str, View]


PUBLIC: Mapping[str, Methods] = MappingProxyType(
    {
        "v1/register": MappingProxyType({"POST": events.register}),
        "v1/events": MappingProxyType({"GET": events.get_events, "DELETE": events.delete_events}),
        "v1/server_settings": MappingProxyType({"GET": events.server_settings}),
        "v1/users/me": MappingProxyType({"GET": events.users_me}),
    }
)
"""Under `/api`, with `Authorization`; under `/json`, with browser sessions, by their name without `v1` too."""


INTERNAL: Mapping[str, Methods] = MappingProxyType(
    {
        "/api/v1/events/internal": MappingProxyType({"POST": publish.events_internal}),
        "/api/internal/dump": MappingProxyType({"GET": dump.write, "POST": dump.take}),
        "/api/internal/loglevel": MappingProxyType({"POST": system.loglevel}),
        "/api/internal/notify_tornado": MappingProxyType({"POST": publish.notify_tornado}),
        "/api/internal/notices": MappingProxyType({"POST": publish.notices}),
        "/api/internal/outbox/{queue}": MappingProxyType({"GET": outbox.read, "DELETE": outbox.acknowledge}),
        "/api/internal/queues": MappingProxyType({"GET": operators.queues}),
        "/api/internal/queues/{queue_id}": MappingProxyType({"GET": operators.queue}),
        "/api/internal/explain": MappingProxyType({"GET": operators.explain}),
        "/api/internal/explain/dry-run": MappingProxyType({"POST": operators.dry_run}),
        "/api/internal/shards": MappingProxyType({"GET": shards.status}),
        "/api/internal/shards/map": MappingProxyType({"POST": shards.take_map}),
        "/api/internal/shards/plan": MappingProxyType({"POST": shards.plan}),
        "/api/internal/shards/users": MappingProxyType({"POST": shards.take_users}),
        "/api/internal/stats": MappingProxyType({"GET": operators.stats}),
        "/api/internal/revoke_session": MappingProxyType({"POST": publish.revoke_session}),
        "/api/internal/web_reload_clients": MappingProxyType({"POST": publish.web_reload_clients}),
    }
)


DESCRIPTION: Mapping[str, Methods] = MappingProxyType(
    {"/api/v1/openapi.json": MappingProxyType({"GET": openapi_view.description})}
)


HEALTH: Mapping[str, Methods] = MappingProxyType(
    {
        "/health/live": MappingProxyType({"GET": system.live}),
        "/health/ready": MappingProxyType({"GET": system.ready}),
        "/metrics": MappingProxyType({"GET": system.metrics}),
    }
)


def of_sessions(view: View) -> View:
    """The view for browser sessions; it is closed as long as there is no kind of them.

    No realm lets anybody in without an account either (R6.59).
    """

    async def guarded(request: Request, context: ServerContext) -> Response:
        if context.door is None or not context.door.has_sessions:
            admit_anybody(note_of(request), context)
            raise no_session(is_session=True)
        check_own_page(request, context)
        return await view(request, context)

    return guarded


def all_routes() -> dict[str, Methods]:
    """Every path with its methods."""
    routes: dict[str, Methods] = {f"/api/{path}": methods for path, methods in PUBLIC.items()}
    for path, methods in PUBLIC.items():
        closed = {method: of_sessions(view) for method, view in methods.items()}
        routes[f"/json/{path}"] = closed
        routes[f"/json/{path.removeprefix('v1/')}"] = closed
    return {**routes, **INTERNAL, **DESCRIPTION, **HEALTH}


def is_cross_origin(path: str) -> bool:
    """Whether pages of other origins may be let read what the path answers (`server.cors_origins`)."""
    return path.removeprefix("/api/") in PUBLIC


LEGACY_CLIENTS = ("ZulipTerminal", "zulip-term")
"""Clients that only recover when they read the older sentence (R6.95)."""


DRAINED_SILENTLY = 16_384
"""Bytes of an unread body that the connection swallows and is kept for: less work than a new connection."""


LINGER = 2.0
"""Seconds that a client has to stop sending what nobody reads. A connection that is closed at once resets what is
still under way, and with it the answer."""


UNMATCHED = "unmatched"
"""What is counted in place of a path that is no route, and of a method that it doesn't have."""


_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
"""No path of a route has one. Unlike here, a pattern that ends in `$` fits a path with a line break behind it."""


NO_MORE: Mapping[str, Methods] = MappingProxyType({})


def build_application(context: ServerContext, more_routes: Mapping[str, Methods] = NO_MORE) -> ASGIApp:
    """The server's ordinary routes, and further ones, as an ASGI application without a lifespan of its own."""
    log = request_log(context)
    routes = [
        Route(path, Endpoint(methods, context, log, path))
        for path, methods in {**all_routes(), **more_routes}.items()
    ]
    nowhere = Endpoint(None, context, log)
    # A path with a slash too many is no route; a redirect would turn a POST into a GET.
    router = Router(routes, redirect_slashes=False, default=nowhere)

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        await (router if _is_plain(scope) else nowhere)(scope, receive, send)

    return Sheltered(routed, context)


def _is_plain(scope: Scope) -> bool:
    """Whether a path means the same to whoever decodes it and whoever does not, as a proxy that keeps routes from its clients."""
    return not (_CONTROL.search(scope["path"]) or b"%2f" in scope.get("raw_path", b"").lower())


def request_log(context: ServerContext) -> RequestLog:
    """The log of the site's requests, by whatever way they are served."""
    return RequestLog(
        context.log,
        access=context.access,
        realm=context.authenticator.realm,
        lines=context.lines,
        ids=context.request_ids,
        control=context.log_control,
    )


class Sheltered:
    """The application as whoever serves it sees it: it never raises before its answer has begun.

    `Endpoint` answers what views raise. What fails around them, on the way to a view or from its answer to the wire, is
    answered here, in the same envelope.
    """

    def __init__(self, application: ASGIApp, context: ServerContext) -> None:
        self._application = application
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request.

        Raises:
            Exception: the answer had begun and can't be finished: whoever serves must close the connection.
        """
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._application(scope, receive, watched)
        except Exception as error:
            if begun:
                raise
            info = RequestInfo(
                method=scope.get("method", ""),
                path=scope.get("path", ""),
                peer=None,
                headers=Headers(),
                began=0.0,
                number=self._context.request_ids.take(),
            )
            response = failure_of(error, info, self._context)
            self._context.statistics.answers[UNMATCHED, UNMATCHED, response.status] += 1
            lines = list(head_lines(response, close=True))
            await send({"type": "http.response.start", "status": response.status, "headers": lines})
            await send({"type": "http.response.body", "body": response.body})


class Endpoint:
    """One path: finds the view for the method, and answers whatever it raises."""

    def __init__(
        self, methods: Methods | None, context: ServerContext, log: RequestLog, path: str = ""
    ) -> None:
        """Takes the views by method; None for everything that is no path."""
        self._context = context
        self._log = log
        self._route = path or UNMATCHED
        self._is_cross_origin = is_cross_origin(path)
        self._methods = None if methods is None else {**methods, "OPTIONS": self._options}
        self._allow = ", ".join(sorted(self._methods or ()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        incoming = _Incoming(receive, self._context)
        try:
            await self._serve(scope, incoming, send)
        finally:
            incoming.give_back()

    async def _serve(self, scope: Scope, incoming: "_Incoming", send: Send) -> None:
        request = noted(
            Request(scope, incoming), began=self._context.timer(), number=self._context.request_ids.take()
        )
        response = await self._respond(request)
        info = note_of(request)
        # Before the answer goes out: how fast its client reads is no work of the server's.
        ended = self._context.timer()
        if not info.gone:
            self._count(info, response)
        rest = _unread(request, incoming)
        cross_origin = () if not self._is_cross_origin else self._cross_origin(request)
        lines = head_lines(
            response,
            cross_origin=cross_origin,
            allowance=info.allowance,
            close=self._context.lifecycle.stopping or rest,
        )
        await send({"type": "http.response.start", "status": response.status, "headers": lines})
        if response.pieces is not None:
            async for piece in response.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": response.body, "more_body": rest})
        self._log.finished(info, response, ended=ended)
        if rest:
            if "expect" not in info.headers:  # who asks first has not sent anything
                await _drain(incoming)
            await send({"type": "http.response.body", "body": b""})

    async def _respond(self, request: Request) -> Response:
        try:
            check_host(note_of(request), request.scope["http_version"])
            return await self._view(request)(request, self._context)
        except ClientDisconnect:
            # Went away in the middle of its body: nobody reads the answer.
            note_of(request).gone = True
            return responses.failure(BadRequest("The request broke off"))
        except Exception as error:  # noqa: BLE001 - whatever it is, the request gets an answer
            return failure_of(error, note_of(request), self._context)

    def _count(self, info: RequestInfo, response: Response) -> None:
        # A client may make up paths and methods, and each would be a figure of its own.
        method = info.method if info.method in (self._methods or ()) else UNMATCHED
        self._context.statistics.answers[self._route, method, response.status] += 1

    def _view(self, request: Request) -> View:
        if self._methods is None:
            admit_anybody(note_of(request), self._context)
            raise NotFound("Not Found")
        view = self._methods.get(request.method)
        if view is None:
            raise MethodNotAllowed(sorted(self._methods))
        return view

    def _cross_origin(self, request: Request) -> tuple[tuple[bytes, bytes], ...]:
        origin = request.headers.get("origin")
        if request.method == "OPTIONS":
            return self._context.cors.preflight_lines(origin, self._allow.encode())
        return self._context.cors.lines(origin)

    async def _options(self, _request: Request, _context: ServerContext) -> Response:
        return Response(204, headers=((b"allow", self._allow.encode()),))


class _Incoming:
    """A request's body on its way in, and whether it came to its end; it counts from there until it is given back."""

    __slots__ = ("_receive", "_shard", "_taken", "ended")

    def __init__(self, receive: Receive, context: ServerContext) -> None:
        self._receive = receive
        self._shard = context.engine.shard
        self._taken = 0
        self.ended = False

    async def __call__(self) -> Message:
        """The next part of it.

        Raises:
            Unavailable: there is no room for it.
        """
        message = await self.pass_over()
        size = len(message.get("body", b""))
        if size:
            if not self._shard.transit.take(size, self._taken):
                self._shard.statistics.turned_away["body"] += 1
                raise no_room()
            self._taken += size
        return message

    async def pass_over(self) -> Message:
        """Reads a request's body and discards it."""
        message = await self._receive()
        if not message.get("more_body"):
            self.ended = True
        return message

    def give_back(self) -> None:
        """The request is done with it."""
        self._shard.transit.give_back(self._taken)
        self._taken = 0


def _unread(request: Request, incoming: _Incoming) -> bool:
    """Whether more of the body is still to come than can be passed over."""
    if incoming.ended:
        return False
    length = request.headers.get("content-length")
    return "transfer-encoding" in request.headers or int(length or 0) > DRAINED_SILENTLY


async def _drain(incoming: _Incoming) -> None:
    """Takes what the client goes on sending, until it has read that nobody wants it."""
    try:
        async with asyncio.timeout(LINGER):
            while not incoming.ended:
                await incoming.pass_over()
    except TimeoutError:
        return


def failure_of(error: Exception, info: RequestInfo, context: ServerContext) -> Response:
    """The answer to a request that raised something; what nobody foresaw is logged."""
    known = error if isinstance(error, WireError) else InternalError()
    fault = (error.__cause__ or error) if isinstance(known, InternalError) else None
    if isinstance(known, BadEventQueueId):
        known = _worded(known, info, context)
    try:
        response = responses.failure(known)
    except Exception as unwritten:  # noqa: BLE001 - an error quotes requests, which may hold what can't be written
        fault, known = unwritten, InternalError()
        response = responses.failure(known)
    context.statistics.errors[known.code] += 1
    if fault is not None:
        request_id = context.request_ids.shown(info.number)
        context.log.error(
            "request failed", method=info.method, path=info.path, request_id=request_id, exc_info=fault
        )
    return response


def _worded(error: BadEventQueueId, info: RequestInfo, context: ServerContext) -> BadEventQueueId:
    """The sentence that the asking client understands; the code says the same to all (R6.95)."""
    queue_id = error.data["queue_id"]
    context.foreign.note(queue_id, error.owner_id, info.user, info.number)
    wanted = context.compat.bad_queue_text
    name = client_of(None, info.headers.get("user-agent")).name
    if wanted == "always" or (wanted == "zulip-term" and name.startswith(LEGACY_CLIENTS)):
        error.message = f"Bad event queue id: {queue_id}"
    return error
