"""A server's life: recover, listen, tick, and stop in named stages.

- start: take the state directory, restore, listen, say that it is ready;
- run: a tick a second; SIGHUP reloads users and shard map, a changed users file the users;
- stop: consume no more, refuse new work, stop accepting, end the parked polls over a second, close connections, write the
  state (R9.15).
"""

import asyncio
import contextlib
import dataclasses
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

import uvloop
from structlog.typing import FilteringBoundLogger

from tidewire.app import App, Turns, build, open_bus
from tidewire.auth.users_file import UsersFileError
from tidewire.bus import Bus
from tidewire.config import Settings
from tidewire.core.errors import StateError
from tidewire.http.application import NO_MORE
from tidewire.http.lane.bounds import Bounds
from tidewire.http.routes import Methods
from tidewire.listening import Listener, bind, most_connections
from tidewire.logs import ForwardingHandler, LogReporter
from tidewire.pace import TICK
from tidewire.request_lines import RequestLines
from tidewire.storage.directory import open_directory
from tidewire.threads import Threads

RELEASE_STEPS = 50
RELEASE_SPREAD = 1.0
"""Seconds over which parked polls are ended at a stop, so that their clients don't come back as one (D5)."""

GC_THRESHOLDS = (50_000, 20, 100)
"""How rarely the garbage collector runs. A queued event is a tuple that lives long, so the default of a
collection every 700 allocations goes through all queues again and again, and frees nothing: at 5,000 waiting
polls it took half of the time."""


def run(
    settings: Settings,
    *,
    log: FilteringBoundLogger,
    on_ready: Callable[[App], None] | None = None,
    more_routes: Mapping[str, Methods] = NO_MORE,
) -> None:
    """Serves until SIGTERM or SIGINT.

    Args:
        settings: what to serve.
        log: where to write.
        on_ready: called on the loop when clients can be served.
        more_routes: served beside the server's own.

    Raises:
        ConfigError, UsersFileError, StateError, ListenError: the server can't start.
    """
    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Life(settings, log, more_routes).serve(on_ready))


class _Life:
    """One server from start to stop."""

    def __init__(
        self, settings: Settings, log: FilteringBoundLogger, more_routes: Mapping[str, Methods]
    ) -> None:
        self._settings = settings
        self._log = log
        self._more_routes = more_routes
        self._stop = asyncio.Event()
        self._failure: Exception | None = None

    async def serve(self, on_ready: Callable[[App], None] | None) -> None:
        """The whole life, as it reads."""
        loop = asyncio.get_running_loop()
        # From here on a signal waits until the loop runs. Without that one that comes while the state is brought
        # back would end the process after the snapshot was set aside, and so all queues (R9.14).
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)  # the users are about to be read anyway
        listener = bind(self._settings.server.host, self._settings.server.port)
        threads = Threads(loop)
        storage = self._settings.storage
        with (
            contextlib.closing(listener),
            contextlib.closing(open_directory(storage.directory, durability=storage.durability)) as store,
        ):
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
                ),
                lines=RequestLines(
                    form=self._settings.log.format, stream=sys.stderr, call_soon=loop.call_soon
                ),
                more_routes=self._more_routes,
            )
            loop.add_signal_handler(signal.SIGHUP, self._reload, app)
            try:
                self._begin(app)
                bus = open_bus(app, log=self._log)
                with self._library_logs():
                    try:
                        await self._listen(app, listener, bus, on_ready)
                    finally:
                        await bus.close()
            finally:
                if app.site.neighbours is not None:
                    app.site.neighbours.close()
                await threads.finish()
                # However it ended; what can't be kept now is still in the journal, if there is one. After a
                # failure of the disk nobody knows what a snapshot would replace.
                if self._failure is None:
                    app.engine.keep()
            if self._failure is not None:
                raise StateError(f"The journal can't be made durable: {self._failure}") from self._failure
            self._log.info("stopped", queues=app.engine.shard.queues())

    def _give_up(self, error: Exception) -> None:
        self._failure = error
        self._stop.set()

    def _begin(self, app: App) -> None:
        comeback = app.comeback
        for queue_id, error in comeback.skipped:
            self._log.error("queue not restored", queue_id=queue_id, error=error.message)
        for damage in comeback.damage:
            self._log.error("state damaged", **dataclasses.asdict(damage))
        if comeback.anything:
            self._log.info(
                "recovered",
                queues=comeback.queues,
                records=comeback.records,
                seconds=round(comeback.seconds, 3),
                crashed=comeback.resumed,
                upgraded=len(comeback.upgraded),
                failures=comeback.failures,
                damaged=len(comeback.damage),
            )
        app.begin()
        for name in self._settings.not_effective():
            self._log.warning("this setting has no effect in this version", setting=name)
        if not app.authenticator.users():
            self._log.warning("the users file has no users", file=str(self._settings.auth.users_file))

    async def _listen(
        self, app: App, listener: socket.socket, bus: Bus, on_ready: Callable[[App], None] | None
    ) -> None:
        host, port = listener.getsockname()[:2]
        accepting = asyncio.Event()

        def started() -> None:
            app.lifecycle.ready = True
            accepting.set()

        server = Listener(app.asgi, site=app.site, bounds=bounds(app.settings), on_started=started)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await _first_of(serving, accepting.wait())
        self._log.info("listening", host=host, port=port, queues=app.engine.shard.queues())
        if on_ready is not None:
            on_ready(app)
        bus.start()
        ticking = asyncio.create_task(self._tick(app, server))
        handing = [] if app.site.hand_over is None else [asyncio.create_task(app.site.hand_over.run())]
        await _first_of(serving, self._stop.wait())
        self._log.info("stopping")
        await bus.stop_consuming()
        app.lifecycle.stopping = True
        for task in handing:
            task.cancel()
        server.stop_accepting()
        await self._release_polls(app)
        ticking.cancel()
        server.should_exit = True
        await serving

    async def _release_polls(self, app: App) -> None:
        """Ends what is parked with an empty answer, a share at a time (D5)."""
        if app.site.neighbours is not None:
            app.site.neighbours.release()
        waiting = app.engine.waiting()
        share = -(-waiting // RELEASE_STEPS)
        for _ in range(RELEASE_STEPS):
            if not app.engine.release(share):
                break
            await asyncio.sleep(RELEASE_SPREAD / RELEASE_STEPS)

    async def _tick(self, app: App, listener: Listener) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            # From the start, not from the end of the last tick, so that slow ticks don't add up.
            due = max(due + TICK, loop.time())
            await asyncio.sleep(due - loop.time())
            try:
                app.engine.tick()
                listener.lane.sweep(loop.time())
                if app.authenticator.changed_on_disk():
                    self._reload_users(app)
            except Exception:  # noqa: BLE001 - whatever it is, the next second must come
                # Without it no poll would end and no queue expire.
                self._log.exception("tick failed")

    def _reload(self, app: App) -> None:
        self._reload_users(app)
        neighbours = app.site.neighbours
        if neighbours is None:
            return
        problem = app.reload_map()
        if problem is None:
            shard_map = neighbours.map
            self._log.info("shard map reloaded", version=shard_map.version, shards=len(shard_map.shards))
        else:
            self._log.error("shard map is wrong; the one read before stays in force", problem=problem)

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
