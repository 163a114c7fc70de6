"""Where a server's clients come in: a socket of its own, or the server that it is mounted in."""

import socket
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias

from starlette.types import ASGIApp

from tidewire.app.build import App
from tidewire.config import Settings
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.server.listener import Listener, bind, most_connections, taken_over

Around: TypeAlias = Callable[[ASGIApp], ASGIApp]


def as_it_is(application: ASGIApp) -> ASGIApp:
    """Returns the application unchanged."""
    return application


class Endpoint(Protocol):
    """Lets clients in, and ends their connections; `Listener` is one."""

    async def open(self) -> None:
        """Begins to let clients in; returns once it does."""

    async def until(self, event: Coroutine[Any, Any, object]) -> None:
        """Waits for an event; should the endpoint fail before it comes, that failure is raised."""

    def sweep(self, now: float) -> None:
        """Once a second, with the loop's time: ends connections that have taken too long."""

    def stop_accepting(self) -> None:
        """Lets nobody in any more; who is in stays."""

    async def close(self) -> None:
        """Ends all connections; returns when they are closed."""


class Mounted(Endpoint):
    """The endpoint of a mounted server: connections, and the bounds on them, are the outer server's."""

    async def open(self) -> None:
        """Nothing to open."""

    async def until(self, event: Coroutine[Any, Any, object]) -> None:
        """Waits for the event."""
        await event

    def sweep(self, now: float) -> None:
        """Nothing to end."""

    def stop_accepting(self) -> None:
        """The outer server has stopped, or goes on with what else it serves."""

    async def close(self) -> None:
        """Nothing to close."""


def bound_socket(settings: Settings, descriptor: int | None) -> socket.socket:
    """The socket to listen on: the one that was handed over, by its descriptor, or one that is bound here.

    Raises:
        ListenError: the address can't be had, or the socket handed over is another port's.
    """
    server = settings.server
    return bind(server.host, server.port) if descriptor is None else taken_over(descriptor, server.port)


def listener_for(app: App, bound: socket.socket, *, around: Around = as_it_is) -> Listener:
    """A listener with the bounds of the settings; `around` wraps the application behind the fast lane."""
    limits = app.settings.limits
    bounds = Bounds(
        header_deadline=limits.header_deadline,
        request_deadline=limits.request_deadline,
        write_deadline=limits.write_deadline,
        head_bytes=limits.header_bytes,
        headers=limits.headers,
        target_bytes=limits.url_bytes,
        connections=limits.connections or most_connections(),
        connections_per_address=limits.connections_per_address,
    )
    return Listener(around(app.asgi), bound, context=app.site, bounds=bounds, accept_rate=limits.accept_rate)
