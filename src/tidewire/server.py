"""A server's life: recover, listen, tick, and stop in named stages.

- start: take the state directory, restore, listen, say that it is ready;
- run: a tick a second; SIGHUP reloads users and shard map, a changed users file the users;
- stop: consume no more, refuse new work, stop accepting, write the state and let go of it, end the parked polls over a
  second, close connections (R9.15). Whoever is next may take the state while polls still end here.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import uvloop
from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from tidewire.app import App
from tidewire.auth import UsersFileAuthenticator
from tidewire.auth.application import Judge
from tidewire.config import Settings
from tidewire.http.application import NO_MORE
from tidewire.http.lane.bounds import Bounds
from tidewire.http.routes import Methods
from tidewire.initial_state import StateProvider
from tidewire.listening import Listener, bind, most_connections, taken_over
from tidewire.living import Life
from tidewire.log_control import LogControl
from tidewire.logs import ForwardingHandler
from tidewire.machine import give_large_back
from tidewire.request_lines import RequestLines

GC_THRESHOLDS = (2_000, 10, 5_000)
"""How rarely the garbage collector runs. It goes through all queues and frees nothing, so the oldest generation is
hardly ever collected: at 5,000 waiting polls that took half of the time. The youngest is, often and so in a millisecond:
what lives long in it, the queued events, is out of the collector's sight from then on. With 50,000 allocations to look
through it held the loop for up to 75 ms."""


Around: TypeAlias = Callable[[ASGIApp], ASGIApp]


def as_it_is(application: ASGIApp) -> ASGIApp:
    """Puts nothing around it."""
    return application


def run(
    settings: Settings,
    *,
    log: FilteringBoundLogger,
    on_ready: Callable[[App], None] | None = None,
    on_let_go: Callable[[], None] | None = None,
    users: UsersFileAuthenticator | None = None,
    more_routes: Mapping[str, Methods] = NO_MORE,
    providers: Sequence[StateProvider] = (),
    inside: Judge | None = None,
    around: Around = as_it_is,
    log_control: LogControl | None = None,
    socket: int | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        settings: what to serve.
        log: where to write.
        on_ready: called on the loop when clients can be served.
        on_let_go: called on the loop when another process can take the state, while polls still end here.
        users: read already; they are used if their file is the one of the settings, and is still the same.
        more_routes: served beside the server's own.
        providers: of the initial state, beside those that the settings name.
        inside: the application in whose process this is, when `auth.kind` names it.
        around: puts something around the application that answers what the fast lane does not.
        log_control: by which the log is changed while the server runs.
        socket: a bound one to listen on, by its descriptor, which is then this server's; else it binds one.

    Raises:
        ConfigError, UsersFileError, StateError, ListenError: the server can't start.
    """
    gc.set_threshold(*GC_THRESHOLDS)
    give_large_back()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        life = _Life(
            settings,
            log,
            more_routes,
            providers=providers,
            inside=inside,
            around=around,
            log_control=log_control,
            given=socket,
            on_let_go=on_let_go,
            users=users,
        )
        runner.run(life.serve(on_ready))


class _Life:
    """One server from start to stop."""

    def __init__(
        self,
        settings: Settings,
        log: FilteringBoundLogger,
        more_routes: Mapping[str, Methods],
        *,
        providers: Sequence[StateProvider],
        inside: Judge | None,
        around: Around,
        log_control: LogControl | None,
        given: int | None,
        on_let_go: Callable[[], None] | None,
        users: UsersFileAuthenticator | None,
    ) -> None:
        self._settings = settings
        self._given = given
        self._on_let_go = on_let_go
        self._users = users
        self._log = log
        self._more_routes = more_routes
        self._providers = providers
        self._inside = inside
        self._around = around
        self._log_control = log_control
        self._stop = asyncio.Event()

    async def serve(self, on_ready: Callable[[App], None] | None) -> None:
        """The whole life, as it reads."""
        loop = asyncio.get_running_loop()
        # From here on a signal waits until the loop runs. Without that one that comes while the state is brought
        # back would end the process after the snapshot was set aside, and so all queues (R9.14).
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)  # the users are about to be read anyway
        life = Life(
            self._settings,
            self._log,
            on_failure=self._stop.set,
            lines=RequestLines(form=self._settings.log.format, stream=sys.stderr, call_soon=loop.call_soon),
            log_control=self._log_control,
            more_routes=self._more_routes,
            providers=self._providers,
            inside=self._inside,
            users=self._users,
        )
        server = self._settings.server
        given = self._given
        listener = bind(server.host, server.port) if given is None else taken_over(given, server.port)
        with contextlib.closing(listener):
            async with life.opened() as app:
                loop.add_signal_handler(signal.SIGHUP, life.reload, app)
                with self._library_logs():
                    await self._listen(life, app, listener, on_ready)

    async def _listen(
        self, life: Life, app: App, listener: socket.socket, on_ready: Callable[[App], None] | None
    ) -> None:
        host, port = listener.getsockname()[:2]
        accepting = asyncio.Event()

        def started() -> None:
            app.lifecycle.ready = True
            accepting.set()

        server = Listener(
            self._around(app.asgi),
            site=app.site,
            bounds=bounds(app.settings),
            new_connections_per_second=app.settings.limits.new_connections_per_second,
            on_started=started,
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await _first_of(serving, accepting.wait())
        self._log.info("listening", host=host, port=port, queues=app.engine.shard.queues())
        if on_ready is not None:
            on_ready(app)
        life.bus.start()
        ticking = asyncio.create_task(life.tick(app, sweep=server.lane.sweep))
        handing = [] if app.site.hand_over is None else [asyncio.create_task(app.site.hand_over.run())]
        await _first_of(serving, self._stop.wait())
        self._log.info("stopping")
        await life.bus.stop_consuming()
        app.lifecycle.stopping = True
        for task in handing:
            task.cancel()
        server.stop_accepting()
        ticking.cancel()
        await life.let_go(app)
        if self._on_let_go is not None:
            self._on_let_go()
        await life.release_polls(app)
        server.should_exit = True
        await serving

    @contextlib.contextmanager
    def _library_logs(self) -> Iterator[None]:
        """Has the warnings of libraries in this server's log while it runs."""
        handler = ForwardingHandler(self._log)
        loggers = [logging.getLogger(name) for name in ("uvicorn", "asyncio", "opentelemetry")]
        for logger in loggers:
            logger.addHandler(handler)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeHandler(handler)


async def _first_of(serving: asyncio.Task[None], event: Coroutine[Any, Any, object]) -> None:
    """Waits for an event; should the server end before it, its failure is raised."""
    waiting = asyncio.create_task(event)
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        waiting.cancel()
        await serving


def bounds(settings: Settings) -> Bounds:
    """What peers may cost."""
    limits = settings.limits
    return Bounds(
        header_deadline=limits.header_deadline,
        request_deadline=limits.request_deadline,
        write_deadline=limits.write_deadline,
        head_bytes=limits.header_bytes,
        headers=limits.headers,
        target_bytes=limits.url_bytes,
        connections=limits.connections or most_connections(),
        connections_per_address=limits.connections_per_address,
    )
