"""The inside of a server while it lives, whoever listens: its state taken, ticking, and everything kept at the end."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from structlog.typing import FilteringBoundLogger

from tidewire.app import App, Turns, build, open_bus
from tidewire.auth import UsersFileAuthenticator
from tidewire.auth.application import Judge
from tidewire.auth.users_file import UsersFileError
from tidewire.bus import Bus, Embedded
from tidewire.config import Settings
from tidewire.core.errors import StateError
from tidewire.http.application import NO_MORE
from tidewire.http.request_log import Lines
from tidewire.http.routes import Methods
from tidewire.initial_state import StateProvider
from tidewire.log_control import LogControl
from tidewire.logs import LogReporter
from tidewire.observed import Observed
from tidewire.pace import TICK
from tidewire.storage.directory import open_directory
from tidewire.storage.permissions import readable_by_others
from tidewire.threads import Threads

RELEASE_STEPS = 50
RELEASE_SPREAD = 1.0
"""Seconds over which parked polls are ended at a stop, so that their clients don't come back as one (D5)."""


class Life:
    """One server from taking its state to keeping it."""

    def __init__(
        self,
        settings: Settings,
        log: FilteringBoundLogger,
        *,
        on_failure: Callable[[], object],
        lines: Lines | None = None,
        log_control: LogControl | None = None,
        more_routes: Mapping[str, Methods] = NO_MORE,
        providers: Sequence[StateProvider] = (),
        inside: Judge | None = None,
        users: UsersFileAuthenticator | None = None,
    ) -> None:
        """Takes what `build` does, and whom to tell that the disk has failed, so that the server has to end."""
        self._settings = settings
        self._log = log
        self._on_failure = on_failure
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
                ),
                observed=Observed(
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
                if app.site.neighbours is not None:
                    app.site.neighbours.close()
                await self.let_go(app)
            if self._failure is not None:
                raise StateError(f"The journal can't be made durable: {self._failure}") from self._failure
            self._log.info("stopped", queues=app.engine.shard.queues())

    async def let_go(self, app: App) -> None:
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
                    app.engine.keep()
                app.engine.close()
            finally:
                self._store.close()

    def _give_up(self, error: Exception) -> None:
        self._failure = error
        self._on_failure()

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
                gave_way=len(comeback.gave_way),
                failures=comeback.failures,
                damaged=len(comeback.damage),
            )
        app.begin()
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
        neighbours = app.site.neighbours
        if neighbours is None:
            return
        problem = app.reload_map()
        if problem is None:
            shard_map = neighbours.map
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
        if app.site.neighbours is not None:
            app.site.neighbours.release()
        waiting = app.engine.waiting()
        share = -(-waiting // RELEASE_STEPS)
        for _ in range(RELEASE_STEPS):
            if not app.engine.release(share):
                break
            await asyncio.sleep(RELEASE_SPREAD / RELEASE_STEPS)
