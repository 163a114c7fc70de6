"""The composition root: the only module that sees the settings and the concrete adapters together."""

import importlib
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from tidewire._bus_names import inbound_queue
from tidewire.auth import UsersFileAuthenticator
from tidewire.auth.caching import CachingAuthenticator
from tidewire.bus import Bus, Embedded
from tidewire.clock import ShardClock
from tidewire.config import ConfigError, Problem, Settings, shared_secret
from tidewire.config.rules import load_rules
from tidewire.config.shard_map import read_shard_map
from tidewire.core.errors import StateError, Unavailable
from tidewire.core.shard import Shard
from tidewire.engine import Engine, PollSlot
from tidewire.http.access import Access
from tidewire.http.application import NO_MORE, build_application
from tidewire.http.cors import Cors
from tidewire.http.from_bus import SharedNotices
from tidewire.http.hand_over import HandOver
from tidewire.http.limits import RateLimits
from tidewire.http.neighbours import Neighbours
from tidewire.http.request_log import Lines
from tidewire.http.routes import Methods
from tidewire.http.site import Compat, Lifecycle, Site
from tidewire.machine import resident_memory
from tidewire.ports import Aside, Clock, Reporter, StateStore
from tidewire.recovering import Comeback, recover
from tidewire.settled import fingerprint_of, idle_timeouts, limits, pace, presentation, restart_event

EMBEDDED = "memory:"
"""The `bus.url` of a server that needs no broker."""


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """One shard with everything around it, ready to be served once `begin` was called."""

    settings: Settings
    engine: Engine
    asgi: ASGIApp
    site: Site
    authenticator: UsersFileAuthenticator
    lifecycle: Lifecycle
    comeback: Comeback

    def begin(self) -> None:
        """Takes over what an earlier process left, whether it stopped or crashed.

        Raises:
            StateError: the journal can't be written.
        """
        comeback = self.comeback
        try:
            if comeback.anything:
                self.engine.begin(
                    resumed=comeback.resumed, upgraded=comeback.upgraded, rights=self.authenticator.rights
                )
                if comeback.queues:
                    self.announce_restart()
            self._take_up_map()
        except Unavailable as error:
            raise StateError(f"The server can't begin: {error.message}") from error

    def _take_up_map(self) -> None:
        site = self.site
        if site.hand_over is None or site.neighbours is None:
            return
        problem = site.hand_over.take_up(site.neighbours.map)
        if problem is not None:
            site.log.warning(
                "the file's shard map is not used", version=site.neighbours.map.version, problem=problem
            )

    def announce_restart(self) -> None:
        """Tells the queues of an earlier process that the server is a new one (R1.23, R1.28)."""
        if self.site.restart is not None:
            self.engine.announce_restart(self.site.restart)
        if self.settings.compat.reload_web_clients:
            self.engine.reload_clients(immediate=False, count=None)

    def reload_map(self) -> str | None:
        """Reads the shard map again; what is wrong with it, if anything is, and then the old one stays in force."""
        hand_over, file = self.site.hand_over, self.settings.shards.map_file
        if hand_over is None or file is None:
            return None
        try:
            return hand_over.take_map(read_shard_map(file))
        except ConfigError as error:
            return str(error)
        except Unavailable as error:
            return error.message


@dataclass(frozen=True, kw_only=True, slots=True)
class Turns:
    """What a server needs of its loop.

    Attributes:
        call_soon: calls a function after other work had a turn.
        from_thread: the same, for a caller on another thread.
        aside: does what would hold the loop.
        give_up: ends the process: what the disk holds is unknown.
    """

    call_soon: Callable[[Callable[[], None]], object]
    from_thread: Callable[[Callable[[], None]], None]
    aside: Aside
    give_up: Callable[[Exception], None]


def wall_clock(floor: float) -> Clock:
    """The clock of a server that serves people, given the newest time that was journalled (D12)."""
    return ShardClock(wall=time.time, monotonic=time.monotonic, floor=floor)


def build(
    settings: Settings,
    *,
    store: StateStore,
    reporter: Reporter,
    log: FilteringBoundLogger,
    turns: Turns,
    lines: Lines | None = None,
    more_routes: Mapping[str, Methods] = NO_MORE,
    time_of: Callable[[float], Clock] = wall_clock,
) -> App:
    """Puts a server together and brings its state back.

    Raises:
        ConfigError: the shared secret or the merge rules can't be had.
        UsersFileError: the users file can't be read.
        StateError: the state can't be read, or the journal not be written.
    """
    authenticator = UsersFileAuthenticator(path=settings.auth.users_file)
    lifecycle = Lifecycle()
    shard, comeback, written_under = _recovered(settings, store)
    clock = time_of(shard.recorded_at)
    engine = Engine(
        shard=shard,
        journal=store.journal(
            fingerprint=written_under,
            # The engine is there before anything is written.
            on_durable=lambda: turns.from_thread(lambda: engine.durable_moved()),  # noqa: PLW0108 - not yet
            on_failed=lambda error: turns.from_thread(lambda: turns.give_up(error)),
        ),
        clock=clock,
        reporter=reporter,
        new_queue_id=lambda: str(uuid.uuid4()),
        chance=_chance(),
        call_soon=turns.call_soon,
        pace=pace(settings),
        aside=turns.aside,
        on_failing=lifecycle.journal_fails,
        snapshot_size=comeback.snapshot_size,
        snapshot_after=settings.storage.snapshot_after_bytes,
        resident=resident_memory,
    )
    site = _site(
        settings,
        engine=engine,
        authenticator=authenticator,
        lifecycle=lifecycle,
        log=log,
        lines=lines,
        now=clock.now,
    )
    return App(
        settings=settings,
        engine=engine,
        asgi=build_application(site, more_routes),
        site=site,
        authenticator=authenticator,
        lifecycle=lifecycle,
        comeback=comeback,
    )


def open_bus(app: App, *, log: FilteringBoundLogger) -> Bus:
    """The bus that the settings name; called on the loop, which the bus connects on once it is started.

    Raises:
        ConfigError: what it needs is not installed.
    """
    bus = app.settings.bus
    if bus.url == EMBEDDED:
        return Embedded()
    try:
        # Its client is an extra: who doesn't use it needn't have it.
        rabbitmq = importlib.import_module("tidewire.bus.rabbitmq")
    except ModuleNotFoundError as error:
        problem = Problem(
            "this installation", "bus.url", 'pip install "tidewire[rabbitmq]"', f"no {error.name}"
        )
        raise ConfigError([problem]) from error
    neighbours = app.site.neighbours
    own = None if neighbours is None else neighbours.own.port
    made = rabbitmq.RabbitBus(
        url=bus.url,
        queue=bus.queue or inbound_queue(own),
        prefetch=bus.prefetch,
        engine=app.engine,
        crashed=app.comeback.resumed,
        on_away=app.lifecycle.bus_is_away,
        log=log,
        sharing=None if neighbours is None else SharedNotices(app.site, neighbours),
    )
    if neighbours is not None:

        async def by_bus(shard: int, body: bytes) -> None:
            await made.tell(inbound_queue(neighbours.address(shard).port), body)

        neighbours.by_bus = by_bus
    opened: Bus = made
    return opened


def _recovered(settings: Settings, store: StateStore) -> tuple[Shard[PollSlot], Comeback, str]:
    """The shard as an earlier process left it, what that was, and the fingerprint of our rules."""
    rules = load_rules(settings.queues.rules)
    shard: Shard[PollSlot] = Shard(limits=limits(settings), rules=rules, presentation=presentation(settings))
    written_under = fingerprint_of(settings, rules)
    return shard, recover(store, shard, fingerprint=written_under), written_under


def _chance() -> Callable[[], float]:
    """To spread heartbeats; real chance would cost a system call for each poll."""
    return random.Random().random  # noqa: S311 - no secret comes of it


def _site(
    settings: Settings,
    *,
    engine: Engine,
    authenticator: UsersFileAuthenticator,
    lifecycle: Lifecycle,
    log: FilteringBoundLogger,
    lines: Lines | None,
    now: Callable[[], float],
) -> Site:
    secret = shared_secret(
        secret=settings.server.secret,
        secret_file=settings.server.secret_file,
        directory=settings.storage.directory,
    )
    neighbours = _neighbours(settings, engine=engine, authenticator=authenticator, secret=secret, log=log)
    hand_over = None
    if neighbours is not None:
        hand_over = HandOver(engine.handing, neighbours, log=log, timer=time.perf_counter)
    return Site(
        neighbours=neighbours,
        hand_over=hand_over,
        engine=engine,
        authenticator=CachingAuthenticator(authenticator),
        access=_access(settings, secret),
        idle_timeouts=idle_timeouts(settings),
        compat=_compat(settings),
        lifecycle=lifecycle,
        log=log,
        limits=_rate_limits(settings),
        cors=Cors(settings.server.cors_origins),
        dump_max_bytes=settings.limits.dump_max_bytes,
        restart=restart_event(settings),
        now=now,
        lines=lines,
    )


def _neighbours(
    settings: Settings,
    *,
    engine: Engine,
    authenticator: UsersFileAuthenticator,
    secret: str,
    log: FilteringBoundLogger,
) -> Neighbours | None:
    if settings.shards.map_file is None:
        return None
    return Neighbours(
        read_shard_map(settings.shards.map_file),
        index=settings.shards.index,
        mode=settings.shards.wrong_shard,
        directory=authenticator,
        secret=secret,
        log=log,
        moves=engine.handing.moves,
    )


def _access(settings: Settings, secret: str) -> Access:
    return Access(
        secret=secret,
        internal_from=settings.server.internal_from,
        trusted_proxies=settings.server.trusted_proxies,
    )


def _rate_limits(settings: Settings) -> RateLimits:
    return RateLimits(
        user_per_minute=settings.limits.user_requests_per_minute,
        address_per_minute=settings.limits.address_requests_per_minute,
    )


def _compat(settings: Settings) -> Compat:
    return Compat(
        version=settings.compat.version,
        feature_level=settings.compat.feature_level,
        bad_queue_text=settings.compat.legacy_bad_queue_text,
    )
