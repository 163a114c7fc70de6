"""The life of a server: recover, listen, tick, and stop in named stages.

`ServerLife` is the part without a listener, which an application that embeds the server uses on its own.
"""

import asyncio
import contextlib
import dataclasses
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import uvloop
from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from tidewire.app.build import App, Turns, build, open_bus
from tidewire.app.telemetry import Telemetry
from tidewire.auth import UsersFileAuthenticator
from tidewire.auth.application import BackendClient
from tidewire.auth.users_file import UsersFileError
from tidewire.config import Settings
from tidewire.core.errors import StartCancelled, StateError
from tidewire.engine.timing import TICK
from tidewire.http.app import NO_MORE, Methods
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.server.listener import Listener, bind, most_connections, taken_over
from tidewire.initial_state import StateProvider
from tidewire.observability.log import ForwardingHandler, LogReporter
from tidewire.observability.log_level import LogControl
from tidewire.observability.process import give_large_back
from tidewire.observability.request_entries import Lines
from tidewire.observability.request_lines import RequestLines
from tidewire.ports.bus import Bus, Embedded
from tidewire.server.background import Threads
from tidewire.storage.directory import open_directory
from tidewire.storage.permissions import readable_by_others

RELEASE_STEPS = 50


RELEASE_SPREAD = 1.0
"""Seconds over which parked polls are ended at a stop, so that their clients don't come back as one (D5)."""


class ServerLife:
    """One server from taking its state to keeping it."""

    def __init__(
        self,
        settings: Settings,
        log: FilteringBoundLogger,
        *,
        on_failure: Callable[[], object],
        is_stopping: Callable[[], bool] = lambda: False,
        lines: Lines | None = None,
        log_control: LogControl | None = None,
        more_routes: Mapping[str, Methods] = NO_MORE,
        providers: Sequence[StateProvider] = (),
        inside: BackendClient | None = None,
        users: UsersFileAuthenticator | None = None,
    ) -> None:
        """Takes what `build` does, and whom to tell that the disk has failed, so that the server has to end."""
        self._settings = settings
        self._log = log
        self._on_failure = on_failure
        self._is_stopping = is_stopping
        self._lines = lines
        self._log_control = log_control
        self._more_routes = more_routes
        self._providers = providers
        self._inside = inside
        self._users = users
        self._failure: Exception | None = None
        self._has_let_go = False
        self.bus: Bus = Embedded()
        """Where notices come from; the one of the settings once the server is open."""

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[App]:
        """The server, with its state; at the end of the block everything is kept.

        Raises:
            ConfigError, UsersFileError, StateError: the server can't start, or its journal failed.
        """
        loop = asyncio.get_running_loop()
        self._threads = threads = Threads(loop)
        storage = self._settings.storage
        self._store = store = open_directory(storage.directory, durability=storage.durability)
        if (problem := readable_by_others(storage.directory)) is not None:
            self._log.warning("state directory is open to others", problem=problem)
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(store.close)
            app = build(
                self._settings,
                store=store,
                reporter=LogReporter(self._log),
                log=self._log,
                turns=Turns(
                    call_soon=loop.call_soon,
                    from_thread=threads.call_back,
                    aside=threads,
                    give_up=self._give_up,
                    is_stopping=self._is_stopping,
                ),
                telemetry=Telemetry(
                    lines=self._lines,
                    log_control=self._log_control,
                    journal=store.statistics,
                    bus=lambda: self.bus.state(),  # noqa: PLW0108 - the bus comes later
                ),
                more_routes=self._more_routes,
                providers=self._providers,
                inside=self._inside,
                users=self._users,
            )
            cleanup.pop_all()
            try:
                self._begin(app)
                self.bus = open_bus(app, log=self._log)
                yield app
            finally:
                if app.site.peers is not None:
                    app.site.peers.close()
                await self.release_state(app)
            if self._failure is not None:
                raise StateError(f"The journal can't be made durable: {self._failure}") from self._failure
            self._log.info("stopped", queues=app.engine.shard.queues())

    async def release_state(self, app: App) -> None:
        """Keeps everything and gives the directory to whoever comes next (R9.15); the first time that it is called.

        Polls may wait on: nothing changes here any more, and all that they are told is to come again.
        """
        if self._has_let_go:
            return
        self._has_let_go = True
        try:
            await self.bus.close()
            app.end_traces()
            app.write_foreign()
        finally:
            await self._threads.finish()
            try:
                # However it ended; what can't be kept now is still in the journal, if there is one. After a
                # failure of the disk nobody knows what a snapshot would replace.
                if self._failure is None:
                    app.engine.final_snapshot()
                app.engine.close()
            finally:
                self._store.close()

    def _give_up(self, error: Exception) -> None:
        self._failure = error
        self._on_failure()

    def _begin(self, app: App) -> None:
        report = app.comeback
        for queue_id, error in report.skipped:
            self._log.error("queue not restored", queue_id=queue_id, error=error.message)
        for damage in report.damage:
            self._log.error("state damaged", **dataclasses.asdict(damage))
        if report.anything:
            self._log.info(
                "recovered",
                queues=report.queues,
                records=report.records,
                seconds=round(report.seconds, 3),
                crashed=report.resumed,
                upgraded=len(report.upgraded),
                gave_way=len(report.gave_way),
                failures=report.failures,
                damaged=len(report.damage),
                ended=len(report.damaged),
                lost_queues=report.lost_queues,
            )
        app.begin()
        if report.damage:
            # The next start is to find nothing of it any more.
            app.engine.begin_snapshot()
        if "users" in self._settings.auth.kind and not app.authenticator.users():
            self._log.warning("the users file has no users", file=str(self._settings.auth.users_file))

    async def tick(self, app: App, *, sweep: Callable[[float], object] = lambda _: None) -> None:
        """Ticks for ever, once a second; `sweep` gets the loop's time."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            # From the start, not from the end of the last tick, so that slow ticks don't add up.
            due = max(due + TICK, loop.time())
            await asyncio.sleep(due - loop.time())
            try:
                app.tick()
                sweep(loop.time())
                if app.authenticator.changed_on_disk():
                    self.reload_users(app)
            except Exception:  # noqa: BLE001 - whatever it is, the next second must come
                # Without it no poll would end and no queue expire.
                self._log.exception("tick failed")

    def reload(self, app: App) -> None:
        """Reads users and shard map again; what is wrong changes nothing."""
        self.reload_users(app)
        peers = app.site.peers
        if peers is None:
            return
        problem = app.reload_map()
        if problem is None:
            shard_map = peers.map
            self._log.info("shard map reloaded", version=shard_map.version, shards=len(shard_map.shards))
        else:
            self._log.error("shard map is wrong; the one read before stays in force", problem=problem)

    def reload_users(self, app: App) -> None:
        """Reads the users file again; a wrong one changes nothing."""
        try:
            reloaded = app.authenticator.reload()
        except UsersFileError as error:
            self._log.error("users file is wrong; the users read before stay in force", problem=str(error))
            return
        ended = app.engine.revoke(reloaded.revoked)
        self._log.info("users reloaded", users=len(app.authenticator.users()), queues_ended=ended)

    async def release_polls(self, app: App) -> None:
        """Ends what is parked with an empty answer, a share at a time (D5)."""
        if app.site.peers is not None:
            app.site.peers.release()
        waiting = app.engine.waiting()
        share = -(-waiting // RELEASE_STEPS)
        for _ in range(RELEASE_STEPS):
            if not app.engine.release(share):
                break
            await asyncio.sleep(RELEASE_SPREAD / RELEASE_STEPS)


GC_THRESHOLDS = (2_000, 10, 5_000)
"""How rarely the garbage collector runs. It goes through all queues and frees nothing, so the oldest generation is
hardly ever collected: at 5,000 waiting polls that took half of the time. The youngest is, often and so in a millisecond:
what lives long in it, the queued events, is out of the collector's sight from then on. With 50,000 allocations to look
through it held the loop for up to 75 ms."""


Around: TypeAlias = Callable[[ASGIApp], ASGIApp]


def as_it_is(application: ASGIApp) -> ASGIApp:
    """Returns the application unchanged."""
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
    inside: BackendClient | None = None,
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
        try:
            runner.run(life.serve(on_ready))
        except StartCancelled as error:
            log.info("stopped", reason=str(error))


class _Life:
    """One server from start to stop."""

    def __init__(
        self,
        settings: Settings,
        log: FilteringBoundLogger,
        more_routes: Mapping[str, Methods],
        *,
        providers: Sequence[StateProvider],
        inside: BackendClient | None,
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
        # The loop does not turn while the state is brought back, so it would not notice a signal. Recovery asks for
        # this event itself; once it has changed anything, it is not interrupted any more (R9.14).
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        signal.signal(signal.SIGHUP, lambda *_: None)  # the users are about to be read anyway
        life = ServerLife(
            self._settings,
            self._log,
            on_failure=self._stop.set,
            is_stopping=self._stop.is_set,
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
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(number, self._stop.set)
                loop.add_signal_handler(signal.SIGHUP, life.reload, app)
                with self._library_logs():
                    await self._listen(life, app, listener, on_ready)

    async def _listen(
        self, life: ServerLife, app: App, listener: socket.socket, on_ready: Callable[[App], None] | None
    ) -> None:
        host, port = listener.getsockname()[:2]
        accepting = asyncio.Event()

        def started() -> None:
            app.lifecycle.ready = True
            accepting.set()

        server = Listener(
            self._around(app.asgi),
            context=app.site,
            bounds=bounds(app.settings),
            accept_rate=app.settings.limits.accept_rate,
            on_started=started,
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await _first_of(serving, accepting.wait())
        self._log.info("listening", host=host, port=port, queues=app.engine.shard.queues())
        if on_ready is not None:
            on_ready(app)
        life.bus.start()
        ticking = asyncio.create_task(life.tick(app, sweep=server.lane.sweep))
        handing = [] if app.site.relocation is None else [asyncio.create_task(app.site.relocation.run())]
        await _first_of(serving, self._stop.wait())
        self._log.info("stopping")
        await life.bus.stop_consuming()
        app.lifecycle.stopping = True
        for task in handing:
            task.cancel()
        server.stop_accepting()
        ticking.cancel()
        await life.release_state(app)
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
    """The limits that apply to each client address."""
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
