"""The routes, as a table: path and method to view."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from starlette.requests import Request

from tidewire.admitting import no_session
from tidewire.http import (
    dump,
    health,
    internal,
    loglevel,
    metrics,
    openapi,
    operators,
    outbox,
    public,
    registering,
    shards,
)
from tidewire.http.admission import admit_anybody
from tidewire.http.answers import Answer
from tidewire.http.login import check_own_page
from tidewire.http.noting import note_of
from tidewire.http.site import Site

View: TypeAlias = Callable[[Request, Site], Awaitable[Answer]]
Methods: TypeAlias = Mapping[str, View]

PUBLIC: Mapping[str, Methods] = MappingProxyType(
    {
        "v1/register": MappingProxyType({"POST": registering.register}),
        "v1/events": MappingProxyType({"GET": public.get_events, "DELETE": public.delete_events}),
        "v1/server_settings": MappingProxyType({"GET": public.server_settings}),
        "v1/users/me": MappingProxyType({"GET": public.users_me}),
    }
)
"""Under `/api`, with `Authorization`; under `/json`, with browser sessions, by their name without `v1` too."""

INTERNAL: Mapping[str, Methods] = MappingProxyType(
    {
        "/api/v1/events/internal": MappingProxyType({"POST": internal.events_internal}),
        "/api/internal/dump": MappingProxyType({"GET": dump.write, "POST": dump.take}),
        "/api/internal/loglevel": MappingProxyType({"POST": loglevel.loglevel}),
        "/api/internal/notify_tornado": MappingProxyType({"POST": internal.notify_tornado}),
        "/api/internal/notices": MappingProxyType({"POST": internal.notices}),
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
        "/api/internal/revoke_session": MappingProxyType({"POST": internal.revoke_session}),
        "/api/internal/web_reload_clients": MappingProxyType({"POST": internal.web_reload_clients}),
    }
)

DESCRIPTION: Mapping[str, Methods] = MappingProxyType(
    {"/api/v1/openapi.json": MappingProxyType({"GET": openapi.description})}
)

HEALTH: Mapping[str, Methods] = MappingProxyType(
    {
        "/health/live": MappingProxyType({"GET": health.live}),
        "/health/ready": MappingProxyType({"GET": health.ready}),
        "/metrics": MappingProxyType({"GET": metrics.metrics}),
    }
)


def of_sessions(view: View) -> View:
    """The view for browser sessions; it is closed as long as there is no kind of them.

    No realm lets anybody in without an account either (R6.59).
    """

    async def guarded(request: Request, site: Site) -> Answer:
        if site.door is None or not site.door.has_sessions:
            admit_anybody(note_of(request), site)
            raise no_session(is_session=True)
        check_own_page(request, site)
        return await view(request, site)

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
