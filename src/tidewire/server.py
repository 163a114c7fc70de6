"""A server's life: recover, listen, tick, and stop in named stages.

start   take the state directory, restore, listen, say that it is ready
run     a tick a second; SIGHUP and a changed users file reload the users
stop    refuse new work, stop accepting, end the parked polls over a second, close connections,
write the state (R9.15)
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
import uvloop
from structlog.typing import FilteringBoundLogger
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tidewire import TidewireError
from tidewire.app import App, build
from tidewire.auth.users_file import UsersFileError
from tidewire.config import Settings
from tidewire.engine import TICK
from tidewire.logs import ForwardingHandler, LogReporter
from tidewire.storage.state_directory import StateDirectory

BACKLOG = 4096
"""Connections that may wait to be accepted: a restart brings all clients back at once."""

KEEP_ALIVE = 75
"""Seconds that an idle connection is kept: longer than a client's pause between two polls."""

RELEASE_STEPS = 50
RELEASE_SPREAD = 1.0
"""Seconds over which parked polls are ended at a stop, so that their clients don't come back as one (D5)."""

STOP_GRACE = 3
"""Seconds for the connections that are still busy after that; then they are cut off."""

CANCEL_GRACE = STOP_GRACE + 1
"""Seconds after which what even that did not end is cancelled."""


GC_THRESHOLDS = (50_000, 20, 100)
"""How rarely the garbage collector runs. A queued event is a tuple that lives long, so the default of a
collection every 700 allocations goes through all queues again and again, and frees nothing: at 5,000 waiting
polls it took half of the time."""


class ListenError(TidewireError):
    """The server can't listen where it was told to."""

    code = "CANNOT_LISTEN"


class _Connection(HttpToolsProtocol):
    """uvicorn's connection, which tells its loss only to the newest of pipelined requests.

    The one under way would write to a connection that is gone, and fail with a traceback in the log.
    """

    _running: RequestResponseCycle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.pipeline.clear()
        super().connection_lost(exc)
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


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handling (when to stop is said here), and with word of its start."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
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
        yield


def run(
    settings: Settings, *, log: FilteringBoundLogger, on_ready: Callable[[App], None] | None = None
) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        settings: what to serve.
        log: where to write.
        on_ready: called on the loop when clients can be served.

    Raises:
        ConfigError, UsersFileError, StateError, ListenError: the server can't start.
    """
    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Life(settings, log).serve(on_ready))


class _Life:
    """One server from start to stop."""

    def __init__(self, settings: Settings, log: FilteringBoundLogger) -> None:
        self._settings = settings
        self._log = log
        self._stop = asyncio.Event()

    async def serve(self, on_ready: Callable[[App], None] | None) -> None:
        """The whole life, as it reads."""
        loop = asyncio.get_running_loop()
        # From here on a signal waits until the loop runs. Without that one that comes while the state is brought
        # back would end the process after the snapshot was set aside, and so all queues (R9.14).
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)  # the users are about to be read anyway
        listener = bind(self._settings.server.host, self._settings.server.port)
        with contextlib.closing(listener), contextlib.closing(self._state_directory()) as store:
            app = build(
                self._settings,
                store=store,
                reporter=LogReporter(self._log),
                log=self._log,
                call_soon=loop.call_soon,
            )
            loop.add_signal_handler(signal.SIGHUP, self._reload_users, app)
            self._begin(app, store)
            with self._library_logs():
                await self._listen(app, listener, on_ready)
            store.save(app.engine.snapshot())
            self._log.info("stopped", queues=app.engine.shard.queues())

    def _state_directory(self) -> StateDirectory:
        return StateDirectory(self._settings.storage.directory)

    def _begin(self, app: App, store: StateDirectory) -> None:
        # Until the next clean stop there is nothing that a crash could wrongly bring back (R10.7).
        store.retire()
        if app.recovered:
            self._log.info("queues restored", queues=app.recovered)
            app.announce_restart()
        for name in self._settings.not_effective():
            self._log.warning("this setting has no effect in this version", setting=name)
        if not app.authenticator.users():
            self._log.warning("the users file has no users", file=str(self._settings.auth.users_file))

    async def _listen(
        self, app: App, listener: socket.socket, on_ready: Callable[[App], None] | None
    ) -> None:
        host, port = listener.getsockname()[:2]

        def started() -> None:
            app.lifecycle.ready = True
            self._log.info("listening", host=host, port=port, queues=app.recovered)
            if on_ready is not None:
                on_ready(app)

        server = _Uvicorn(_uvicorn_config(app), started)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        ticking = asyncio.create_task(self._tick(app))
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait([serving, ticking, stopping], return_when=asyncio.FIRST_COMPLETED)
        app.lifecycle.stopping = True
        self._log.info("stopping")
        for accepting in server.servers:
            accepting.close()
        await self._release_polls(app)
        server.should_exit = True
        stopping.cancel()
        ticking.cancel()
        await serving
        with contextlib.suppress(asyncio.CancelledError):
            await ticking

    async def _release_polls(self, app: App) -> None:
        """Ends what is parked with an empty answer, a share at a time (D5)."""
        waiting = app.engine.waiting()
        share = -(-waiting // RELEASE_STEPS)
        for _ in range(RELEASE_STEPS):
            if not app.engine.release(share):
                break
            await asyncio.sleep(RELEASE_SPREAD / RELEASE_STEPS)

    async def _tick(self, app: App) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            # From the start, not from the end of the last tick, so that slow ticks don't add up.
            due = max(due + TICK, loop.time())
            await asyncio.sleep(due - loop.time())
            try:
                app.engine.tick()
                if app.authenticator.changed_on_disk():
                    self._reload_users(app)
            except Exception:  # noqa: BLE001 - whatever it is, the next second must come
                # Without it no poll would end and no queue expire.
                self._log.exception("tick failed")

    def _reload_users(self, app: App) -> None:
        try:
            reloaded = app.authenticator.reload()
        except UsersFileError as error:
            self._log.error("users file is wrong; the users read before stay in force", problem=str(error))
            return
        ended = app.engine.revoke(reloaded.revoked)
        self._log.info("users reloaded", users=len(app.authenticator.users()), queues_ended=ended)

    @contextlib.contextmanager
    def _library_logs(self) -> Iterator[None]:
        """Has uvicorn's and asyncio's warnings in this server's log while it runs."""
        handler = ForwardingHandler(self._log)
        loggers = [logging.getLogger(name) for name in ("uvicorn", "asyncio")]
        for logger in loggers:
            logger.addHandler(handler)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeHandler(handler)


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


def _uvicorn_config(app: App) -> uvicorn.Config:
    return uvicorn.Config(
        app.asgi,
        http=_Connection,
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
