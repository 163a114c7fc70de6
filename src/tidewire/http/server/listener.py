"""Listening: uvicorn as this server uses it, and the socket it listens on.

`server/server.py` starts and stops it, and `http/server/acceptor.py` decides which connections are accepted. Connections are the fast lane's from
their first byte to their last: of uvicorn there is what starts, ticks and stops, and none of its protocols.
"""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable, Coroutine, Iterator
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
    """uvicorn without its signal handling (when to stop is said here), with the lane, and with word of its start."""

    def __init__(
        self,
        application: ASGIApp,
        *,
        context: ServerContext,
        bounds: Bounds,
        accept_rate: int = 0,
        on_started: Callable[[], None],
    ) -> None:
        """Takes the application, what the lane shares with it, and whom to call when connections are accepted."""
        super().__init__(_config(application))
        loop = asyncio.get_running_loop()
        self._context = context
        self._per_second = accept_rate
        self._acceptors: list[Acceptor] = []
        self._on_started = on_started
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

    def stop_accepting(self) -> None:
        """Lets nobody in any more; who is in stays."""
        for acceptor in self._acceptors:
            acceptor.close()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections, and says so."""
        await super().startup([])  # accepting is our own
        for listener in sockets or ():
            acceptor = Acceptor(
                listener, self._connect, per_second=self._per_second, on_no_room=self._no_room
            )
            acceptor.start(BACKLOG)
            self._acceptors.append(acceptor)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends connections as uvicorn does, but cuts off those that stay busy."""
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
