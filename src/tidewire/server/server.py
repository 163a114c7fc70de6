"""The life cycle of a server: `startup`, `main_loop`, `shutdown`, the same for all that serve.

Who listens for clients is passed in (`server/endpoint.py`). `run` is a process of its own, which ends with a signal.
"""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import uvloop
from structlog.typing import FilteringBoundLogger

from tidewire.app.build import App, Turns, build, open_bus
from tidewire.app.telemetry import Telemetry
from tidewire.auth import UsersFileAuthenticator
from tidewire.auth.application import BackendClient
from tidewire.auth.users_file import UsersFileError
from tidewire.config import ConfigError, Settings
from tidewire.config.shards import read_shard_map
from tidewire.core.errors import StartCancelled, StateError, Unavailable
from tidewire.engine.timing import TICK
from tidewire.http.app import NO_MORE, Methods
from tidewire.initial_state import StateProvider
from tidewire.observability.log import ForwardingHandler, LogReporter
from tidewire.observability.log_level import LogControl
from tidewire.observability.process import give_large_back
from tidewire.observability.request_entries import Lines
from tidewire.observability.request_lines import RequestLines
from tidewire.ports.bus import Bus, Embedded
from tidewire.server.background import Threads
from tidewire.server.endpoint import Around, Endpoint, as_it_is, bound_socket, listener_for
from tidewire.server.takeover import take_over
from tidewire.storage.directory import open_directory
from tidewire.storage.permissions import readable_by_others
from tidewire.tracing.traced_shard import TracedShard

RELEASE_STEPS = 50
"""Shares in which parked polls are ended at a stop: one every 20 ms, each short for the loop."""

RELEASE_SPREAD = 1.0
"""Seconds over which parked polls are ended at a stop, so that their clients don't come back as one (D5)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedding:
    """What the program that runs a server gives it beside the settings.

    Attributes:
        more_routes: served beside the server's own.
        providers: of the initial state, beside those that the settings name.
        inside: the application in whose process this is, when `auth.kind` names it.
        users: read already; they are used if their file is the one of the settings, and is still the same.
        log_control: by which the log is changed while the server runs.
    """

    more_routes: Mapping[str, Methods] = field(default_factory=lambda: NO_MORE)
    providers: Sequence[StateProvider] = ()
    inside: BackendClient | None = None
    users: UsersFileAuthenticator | None = None
    log_control: LogControl | None = None


ON_ITS_OWN = Embedding()
"""Nothing beside the settings."""


class Server:
    """One server, from taking its state to giving it back; made on the loop that it runs on."""

    def __init__(
        self,
        settings: Settings,
        log: FilteringBoundLogger,
        *,
        listen: Callable[[App], Endpoint],
        embedding: Embedding = ON_ITS_OWN,
        stop: asyncio.Event | None = None,
        lines: Lines | None = None,
        on_let_go: Callable[[], None] | None = None,
    ) -> None:
        """Prepares; nothing is read or written before `startup`.

        Args:
            settings: what to serve.
            log: where to write.
            listen: makes the endpoint at which clients come in.
            embedding: what the program around gives it.
            stop: set when the server is to end; a start is given up then, while nothing is changed yet (R9.14).
            lines: where request entries go when they have a way of their own into the log.
            on_let_go: called when another process can take the state, while polls still end here.
        """
        self._settings = settings
        self._log = log
        self._listen = listen
        self._embedding = embedding
        self._stop = stop or asyncio.Event()
        self._lines = lines
        self._on_let_go = on_let_go
        self._bus: Bus = Embedded()
        self._failure: Exception | None = None
        self._is_kept = False
        self._ticking: asyncio.Task[None] | None = None
        self._relocating: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[App]:
        """From `startup` to `shutdown`; should the block fail, the state is kept all the same.

        Raises:
            ConfigError, UsersFileError, StateError: the server can't start, or its journal failed.
        """
        app = await self.startup()
        try:
            yield app
            await self.shutdown()
        finally:
            await self.abandon()

    async def startup(self) -> App:
        """Brings the state back and lets clients in.

        Raises:
            ConfigError, UsersFileError, StateError: the server can't start.
        """
        self._app = app = self._open_state()
        try:
            take_over(app, log=self._log)
            self._bus = open_bus(app, log=self._log)
            self._endpoint = self._listen(app)
            app.lifecycle.ready = True
            await self._endpoint.open()
        except BaseException:
            await self.abandon()
            raise
        return app

    async def main_loop(self) -> None:
        """Takes notices from the bus and ticks once a second; returns when the server is to end."""
        self._bus.start()
        self._ticking = asyncio.create_task(self._tick_for_ever())
        if self._app.site.relocation is not None:
            self._relocating = asyncio.create_task(self._app.site.relocation.run())
        await self._endpoint.until(self._stop.wait())

    async def shutdown(self) -> None:
        """Ends the server in the order in which nothing is lost (R9.15).

        Raises:
            StateError: the journal has failed.
        """
        await self.stop_consuming()
        self.refuse_new_work()
        self._endpoint.stop_accepting()
        await self.keep_state()
        self.let_go()
        await self.end_parked_polls()
        await self.close_connections()
        if self._failure is not None:
            raise StateError(f"The journal can't be made durable: {self._failure}") from self._failure
        self._log.info("stopped", queues=self._app.engine.shard.queues())

    async def drain(self) -> None:
        """The stages of `shutdown` that may come early: for a server that is mounted in one that waits for polls."""
        await self.stop_consuming()
        self.refuse_new_work()
        await self.end_parked_polls()

    async def abandon(self) -> None:
        """After a failure: keeps the state, without the stages before. After `shutdown` it does nothing."""
        self._close_peers()
        with contextlib.closing(self._store):
            if not self._is_kept:
                await self.keep_state()

    # The stages of the shutdown.

    async def stop_consuming(self) -> None:
        """Takes no more notices from the bus; returns once those it took are acknowledged."""
        if not self._app.lifecycle.stopping:
            await self._bus.stop_consuming()

    def refuse_new_work(self) -> None:
        """Has requests that would change something answered with 503, and moves no more users."""
        self._app.lifecycle.stopping = True
        if self._relocating is not None:
            self._relocating.cancel()

    async def keep_state(self) -> None:
        """Ends what changes the state by itself, and writes everything down.

        Polls may wait on: nothing changes here any more, and all that they are told is to come again.
        """
        self._is_kept = True
        if self._ticking is not None:
            self._ticking.cancel()
        engine, site = self._app.engine, self._app.site
        try:
            await self._bus.close()
            if isinstance(engine.shard, TracedShard):
                engine.shard.traces.close(site.now())
            self._write_foreign()
        finally:
            await self._threads.finish()
            # However it ended; what can't be kept now is still in the journal, if there is one. After a
            # failure of the disk nobody knows what a snapshot would replace.
            if self._failure is None:
                engine.final_snapshot()
            engine.close()

    def let_go(self) -> None:
        """Gives the directory to whoever comes next, and says so."""
        self._store.close()
        if self._on_let_go is not None:
            self._on_let_go()

    async def end_parked_polls(self) -> None:
        """Ends polls that wait, with an empty answer, a share at a time (D5)."""
        if self._app.site.peers is not None:
            self._app.site.peers.release()
        waiting = self._app.engine.waiting()
        share = -(-waiting // RELEASE_STEPS)
        for _ in range(RELEASE_STEPS):
            if not self._app.engine.release(share):
                break
            await asyncio.sleep(RELEASE_SPREAD / RELEASE_STEPS)

    async def close_connections(self) -> None:
        """Closes what clients and other shards have open; connections that stay busy are cut off."""
        await self._endpoint.close()
        self._close_peers()

    def _close_peers(self) -> None:
        if self._app.site.peers is not None:
            self._app.site.peers.close()

    # While it runs.

    def reload(self) -> None:
        """Reads users and shard map again; what is wrong changes nothing."""
        self._reload_users()
        self._reload_map()

    def _reload_users(self) -> None:
        app = self._app
        try:
            reloaded = app.authenticator.reload()
        except UsersFileError as error:
            self._log.error("users file is wrong; the users read before stay in force", problem=str(error))
            return
        ended = app.engine.revoke(reloaded.revoked)
        self._log.info("users reloaded", users=len(app.authenticator.users()), queues_ended=ended)

    def _reload_map(self) -> None:
        site, file = self._app.site, self._settings.shards.map_file
        if site.peers is None or site.relocation is None or file is None:
            return
        try:
            problem = site.relocation.take_map(read_shard_map(file))
        except (ConfigError, Unavailable) as error:
            problem = str(error)
        if problem is None:
            shard_map = site.peers.map
            self._log.info("shard map reloaded", version=shard_map.version, shards=len(shard_map.shards))
        else:
            self._log.error("shard map is wrong; the one read before stays in force", problem=problem)

    async def _tick_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            # From the start, not from the end of the last tick, so that slow ticks don't add up.
            due = max(due + TICK, loop.time())
            await asyncio.sleep(due - loop.time())
            try:
                self._tick(loop.time())
            except Exception:  # noqa: BLE001 - whatever it is, the next second must come
                # Without it no poll would end and no queue expire.
                self._log.exception("tick failed")

    def _tick(self, now: float) -> None:
        self._app.engine.tick()
        self._app.site.sessions.sweep()
        self._write_foreign()
        self._endpoint.sweep(now)
        if self._app.authenticator.changed_on_disk():
            self._reload_users()

    def _write_foreign(self) -> None:
        site = self._app.site
        site.foreign.write(site.log, self._app.engine, site.request_ids)

    def _open_state(self) -> App:
        loop, storage, embedding = asyncio.get_running_loop(), self._settings.storage, self._embedding
        self._threads = threads = Threads(loop)
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
                    is_stopping=self._stop.is_set,
                ),
                telemetry=Telemetry(
                    lines=self._lines,
                    log_control=embedding.log_control,
                    journal=store.statistics,
                    bus=lambda: self._bus.state(),  # noqa: PLW0108 - the bus comes later
                ),
                more_routes=embedding.more_routes,
                providers=embedding.providers,
                inside=embedding.inside,
                users=embedding.users,
            )
            cleanup.pop_all()
        return app

    def _give_up(self, error: Exception) -> None:
        self._failure = error
        self._stop.set()


GC_THRESHOLDS = (2_000, 10, 5_000)
"""How rarely the garbage collector runs. It goes through all queues and frees nothing, so the oldest generation is
hardly ever collected: at 5,000 waiting polls that took half of the time. The youngest is, often and so in a millisecond:
what lives long in it, the queued events, is out of the collector's sight from then on. With 50,000 allocations to look
through it held the loop for up to 75 ms."""


def run(
    settings: Settings,
    *,
    log: FilteringBoundLogger,
    embedding: Embedding = ON_ITS_OWN,
    around: Around = as_it_is,
    socket: int | None = None,
    on_ready: Callable[[App], None] | None = None,
    on_let_go: Callable[[], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        settings: what to serve.
        log: where to write.
        embedding: what the program around gives the server.
        around: puts something around the application that answers what the fast lane does not.
        socket: a bound one to listen on, by its descriptor, which is then this server's; else it binds one.
        on_ready: called on the loop when clients can be served.
        on_let_go: called on the loop when another process can take the state, while polls still end here.

    Raises:
        ConfigError, UsersFileError, StateError, ListenError: the server can't start.
    """

    async def serve() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        _note_signals(stop)
        with contextlib.closing(bound_socket(settings, socket)) as bound, _library_logs(log):
            host, port = bound.getsockname()[:2]
            server = Server(
                settings,
                log,
                listen=lambda app: listener_for(app, bound, around=around),
                embedding=embedding,
                stop=stop,
                lines=RequestLines(form=settings.log.format, stream=sys.stderr, call_soon=loop.call_soon),
                on_let_go=on_let_go,
            )
            async with server.running() as app:
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(number, stop.set)
                loop.add_signal_handler(signal.SIGHUP, server.reload)
                log.info("listening", host=host, port=port, queues=app.engine.shard.queues())
                if on_ready is not None:
                    on_ready(app)
                await server.main_loop()
                log.info("stopping")

    gc.set_threshold(*GC_THRESHOLDS)
    give_large_back()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(serve())
        except StartCancelled as error:
            log.info("stopped", reason=str(error))


def _note_signals(stop: asyncio.Event) -> None:
    """Notes signals while the state is brought back: the loop does not turn then, and would not notice them."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: None)  # the users are about to be read anyway


@contextlib.contextmanager
def _library_logs(log: FilteringBoundLogger) -> Iterator[None]:
    """Has the warnings of libraries in this server's log while it runs."""
    handler = ForwardingHandler(log)
    loggers = [logging.getLogger(name) for name in ("uvicorn", "asyncio", "opentelemetry")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
