"""Listening: uvicorn as this server uses it, and the socket it listens on.

uvicorn serves; when to begin and when to stop is said by `server.py`. Its classes are adjusted here where
they would write tracebacks of what any client can cause, and nowhere else.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tidewire import TidewireError
from tidewire.core.errors import HeadersTooLarge
from tidewire.http.lane.bounds import Bounds
from tidewire.http.lane.connection import LaneConnection
from tidewire.http.lane.lane import Lane
from tidewire.http.site import Site

BACKLOG = 4096
"""Connections that may wait to be accepted: a restart brings all clients back at once."""

KEEP_ALIVE = 75
"""Seconds that an idle connection is kept: longer than a client's pause between two polls."""

STOP_GRACE = 3
"""Seconds that busy connections have at a stop; then they are cut off."""

CANCEL_GRACE = STOP_GRACE + 1
"""Seconds after which what even that did not end is cancelled."""


class ListenError(TidewireError):
    """The server can't listen where it was told to."""

    code = "CANNOT_LISTEN"


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address, not yet listening: nobody gets in before the state is back (R9.14).

    Raises:
        ListenError: the address can't be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(f"{host} is no address to listen on: {error.strerror}") from None
    except UnicodeError:
        raise ListenError(f"{host} is no address to listen on: no name is written like this") from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ListenError(
            f"can't listen on {host}:{port}: {error.strerror}; choose another with --port"
        ) from None
    return listener


class Connection(HttpToolsProtocol):
    """uvicorn's connection, lent by the fast lane for one request and whatever came with it.

    uvicorn tells the loss of a connection only to the newest of pipelined requests. The one under way would
    write to a connection that is gone, and fail with a traceback in the log.
    """

    _running: RequestResponseCycle | None = None
    _between_requests = True

    def __init__(self, lane: Lane, lane_connection: LaneConnection, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._lane = lane
        self._lane_connection = lane_connection
        self._head_size = 0

    def on_message_begin(self) -> None:
        """The first byte of a request has come; the rest has a deadline."""
        self._between_requests = False
        self._head_size = 0
        self._lane.sending.add(self, self._lane.now)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Bounds what the lane has not seen: requests that come behind a chunked one."""
        super().on_url(url)
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bounds it, header by header."""
        self._grow(len(name) + len(value))
        super().on_header(name, value)

    def _grow(self, size: int) -> None:
        self._head_size += size
        bounds = self._lane.bounds
        if self._head_size > bounds.head_bytes or len(self.headers) >= bounds.headers:
            # Whatever is raised here is to the parser a request that it can't read.
            raise HeadersTooLarge(bounds.head_bytes, bounds.headers)

    def on_message_complete(self) -> None:
        """The last byte of a request has come."""
        self._between_requests = True
        self._lane.sending.discard(self)
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The peer does not read."""
        self._lane.blocked.add(self, self._lane.now)
        super().pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        self._lane.blocked.discard(self)
        super().resume_writing()

    def too_slow(self) -> None:
        """The body did not come in time: as if the client had gone."""
        self.transport.abort()

    def end(self) -> None:
        """Never asked for: idle connections are the lane's."""
        self.transport.close()

    def abort(self) -> None:
        """The peer does not read what it asked for."""
        self.transport.abort()

    def on_response_complete(self) -> None:
        """Gives the connection back, unless more than the one request has come."""
        last = not self.pipeline and self._between_requests
        super().on_response_complete()
        if last and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._lane.forget(self)
            self.connections.discard(self)
            self.transport.set_protocol(self._lane_connection)
            self._lane_connection.given_back(blocked=self.flow.write_paused)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the request under way, too."""
        self.pipeline.clear()
        super().connection_lost(exc)
        self._lane.forget(self)
        self._unset_keepalive_if_required()  # uvicorn leaves the timer when the peer reset the connection
        self._lane_connection.connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def _unsupported_upgrade_warning(self) -> None:
        # To ignore an upgrade is all that HTTP asks for; anybody could fill the log with such requests, and the
        # advice that uvicorn would give with it is wrong here.
        pass

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)


class Listener(uvicorn.Server):
    """uvicorn without its signal handling (when to stop is said here), with the lane, and with word of its start."""

    def __init__(
        self, application: ASGIApp, *, site: Site, bounds: Bounds, on_started: Callable[[], None]
    ) -> None:
        """Takes the application, what the lane shares with it, and whom to call when connections are accepted."""
        super().__init__(_config(application, self._connect))
        loop = asyncio.get_running_loop()
        self._on_started = on_started
        self.lane = Lane(
            site,
            bounds=bounds,
            ordinary=self._lend,
            default_headers=lambda: self.server_state.default_headers,
            connections=self.server_state.connections,
            call_soon=loop.call_soon,
            now=loop.time(),
        )

    def _connect(self, **_arguments: Any) -> LaneConnection:
        """Called by uvicorn for each connection."""
        return LaneConnection(self.lane)

    def _lend(self, connection: LaneConnection, transport: asyncio.Transport) -> asyncio.Protocol:
        protocol = Connection(
            self.lane,
            connection,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return protocol

    def stop_accepting(self) -> None:
        """Lets nobody in any more; who is in stays."""
        for accepting in self.servers:
            accepting.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections, and says so."""
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends connections as uvicorn does, but cuts off those that stay busy."""
        cutting = asyncio.get_running_loop().call_later(STOP_GRACE, self._cut_off)
        await super().shutdown(sockets)
        cutting.cancel()

    def _cut_off(self) -> None:
        # As if the client had gone: a request that never came whole ends quietly, where uvicorn's own
        # cancelling makes it a failure, with a traceback.
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone: they are handled in `server.py`."""
        yield


def _config(application: ASGIApp, connect: Callable[..., asyncio.Protocol]) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=connect,  # type: ignore[arg-type]  # uvicorn calls it; that it be a class is only its annotation
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who the peer is is said by one rule of ours (D5)
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=CANCEL_GRACE,
    )
