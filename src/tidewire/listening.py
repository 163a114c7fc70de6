"""Listening: uvicorn as this server uses it, and the socket it listens on.

uvicorn serves; when to begin and when to stop is said by `server.py`. Its classes are adjusted here where
they would write tracebacks of what any client can cause, and nowhere else.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tidewire import TidewireError
from tidewire.core.errors import BadRequest
from tidewire.http import answers
from tidewire.http.head import head_lines, written

BACKLOG = 4096
"""Connections that may wait to be accepted: a restart brings all clients back at once."""

KEEP_ALIVE = 75
"""Seconds that an idle connection is kept: longer than a client's pause between two polls."""

STOP_GRACE = 3
"""Seconds that busy connections have at a stop; then they are cut off."""

CANCEL_GRACE = STOP_GRACE + 1
"""Seconds after which what even that did not end is cancelled."""


_BROKEN = answers.failure(BadRequest("The request is not HTTP that can be read"))

BROKEN = b"HTTP/1.1 400 Bad Request\r\n%b\r\n%b" % (written(head_lines(_BROKEN, close=True)), _BROKEN.body)
"""The answer to what can't be parsed. It is not logged: there is no method and no path to name, and anybody could fill
the log with it."""


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
    """uvicorn's connection, which tells its loss only to the newest of pipelined requests.

    The one under way would write to a connection that is gone, and fail with a traceback in the log.
    """

    _running: RequestResponseCycle | None = None
    _is_broken = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the request under way, too."""
        self.pipeline.clear()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; what is no HTTP is refused in its turn, and nothing behind it is read."""
        self._unset_keepalive_if_required()
        if self._is_broken:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # To ignore an upgrade is all that HTTP asks for.
            return
        except httptools.HttpParserError:
            self._is_broken = True
            self._give_up_unfinished()
            if self._running is None or self._running.response_complete or self._running.disconnected:
                self._refuse_broken()

    def on_response_complete(self) -> None:
        """Goes on with the next request; behind the last good one, refuses what was broken."""
        super().on_response_complete()
        if self._is_broken and self._running is not None and self._running.response_complete:
            self._refuse_broken()

    def _give_up_unfinished(self) -> None:
        """The request whose body broke off is not answered as if it were whole."""
        unfinished = self.cycle
        if unfinished is None or unfinished.response_complete or not unfinished.more_body:
            return
        if self.pipeline and self.pipeline[0][0] is unfinished:
            self.pipeline.popleft()
        unfinished.disconnected = True
        unfinished.message_event.set()
        if unfinished.response_started:
            self.transport.close()  # it was refused already, and only its body was still on the way

    def _refuse_broken(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(BROKEN)
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)


class Listener(uvicorn.Server):
    """uvicorn without its signal handling (when to stop is said here), and with word of its start."""

    def __init__(self, application: ASGIApp, *, on_started: Callable[[], None]) -> None:
        """Takes the application, and whom to call when connections are accepted."""
        super().__init__(_config(application))
        self._on_started = on_started

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


def _config(application: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=Connection,
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
