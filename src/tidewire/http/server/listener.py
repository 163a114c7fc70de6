"""Listening: uvicorn as this server uses it, and the socket it listens on.

`server/server.py` starts and stops it, and `http/server/acceptor.py` decides which connections are accepted. Connections are the fast lane's from
their first byte to their last: of uvicorn there is what starts, ticks and stops, and none of its protocols.
"""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from tidewire import TidewireError
from tidewire.http.context import ServerContext
from tidewire.http.lane.connection import LaneConnection
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.lane.shared import Lane
from tidewire.http.server.acceptor import Acceptor

BACKLOG = 4096
"""Connections that may wait to be accepted: a restart brings all clients back at once."""

UNSENT_BYTES = 131_072
"""Bytes that the system takes of what can't be sent yet. What is on its way comes on top, so this slows nobody down."""

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
    # Connections have it from here. What a peer does not read is to be memory of ours, which has a bound, and not of the
    # system's, which takes up to 4 MB of it for each connection.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ListenError(
            f"can't listen on {host}:{port}: {error.strerror}; choose another with --port"
        ) from None
    return listener


def taken_over(descriptor: int, port: int) -> socket.socket:
    """The socket that the supervisor has bound, or that another process of this shard has listened on before.

    Raises:
        ListenError: it is another port's.
    """
    listener = socket.socket(fileno=descriptor)
    bound = listener.getsockname()[1]
    if bound != port:
        listener.close()
        raise ListenError(
            f"the supervisor has port {bound}, and the shard map says {port}: restart the supervisor"
        )
    return listener


class Listener(uvicorn.Server):
    """uvicorn with the fast lane and without its signal handling; it runs from `open` to `close`."""

    def __init__(
        self,
        application: ASGIApp,
        bound: socket.socket,
        *,
        context: ServerContext,
        bounds: Bounds,
        accept_rate: int = 0,
    ) -> None:
        """Prepares to listen.

        Args:
            application: answers what the fast lane does not.
            bound: the socket to listen on; it is closed with the listener.
            context: what the lane shares with the application.
            bounds: what peers may cost.
            accept_rate: connections to accept a second at most; 0 for no limit.
        """
        super().__init__(_config(application))
        loop = asyncio.get_running_loop()
        self._context = context
        self._per_second = accept_rate
        self._bound = bound
        self._acceptors: list[Acceptor] = []
        self._accepting = asyncio.Event()
        self.lane = Lane(
            context,
            bounds=bounds,
            application=application,
            start=self._start,
            default_headers=lambda: self.server_state.default_headers,
            connections=self.server_state.connections,
            call_soon=loop.call_soon,
            now=loop.time(),
        )

    def _connect(self) -> LaneConnection:
        """For each connection."""
        return LaneConnection(self.lane)

    def _no_room(self, error: OSError) -> None:
        self._context.log.error("no room for another connection", reason=error.strerror)

    def _start(self, serving: Coroutine[Any, Any, None]) -> None:
        tasks = self.server_state.tasks
        task = asyncio.get_running_loop().create_task(serving)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def open(self) -> None:
        """Begins to listen; returns once connections are accepted."""
        self._serving = asyncio.create_task(self.serve(sockets=[self._bound]))
        await self.until(self._accepting.wait())

    async def until(self, event: Coroutine[Any, Any, object]) -> None:
        """Waits for an event; should listening fail before it comes, that failure is raised."""
        waiting = asyncio.create_task(event)
        try:
            await asyncio.wait([self._serving, waiting], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._serving.done():
            await self._serving

    def sweep(self, now: float) -> None:
        """Closes connections that have been idle or slow for too long; `now` is the loop's time."""
        self.lane.sweep(now)

    async def close(self) -> None:
        """Ends all connections; those that stay busy are cut off."""
        self.should_exit = True
        await self._serving

    def stop_accepting(self) -> None:
        """Lets nobody in any more; who is in stays."""
        for acceptor in self._acceptors:
            acceptor.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's first step: begins to accept connections."""
        await super().startup([])  # accepting is our own
        for listener in sockets or ():
            acceptor = Acceptor(
                listener, self._connect, per_second=self._per_second, on_no_room=self._no_room
            )
            acceptor.start(BACKLOG)
            self._acceptors.append(acceptor)
        self._accepting.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's last step: ends connections, and cuts off those that stay busy."""
        self.stop_accepting()
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
        """Leaves signals alone: they are handled in `server/server.py`."""
        yield


def _config(application: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who the peer is is said by one rule of ours (D5)
        server_header=False,
        timeout_graceful_shutdown=CANCEL_GRACE,
    )


SPARE_FILES = 64
"""Open files that are no connections: the journal, snapshots, the log, the users file, and some for the moment."""


def most_connections() -> int:
    """How many connections the process may have, going by its limit of open files; 0 when it has none."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 0 if most == resource.RLIM_INFINITY else max(1, most - SPARE_FILES)
