"""The composition root: builds a server's parts from its settings, and connects them."""

import importlib
import random
import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from tidewire._amqp.names import inbound_queue
from tidewire.app.from_settings import limits, origin_of, pace, presentation
from tidewire.app.http import Seen, build_site
from tidewire.app.telemetry import Telemetry, open_traces, shard_for
from tidewire.auth import UsersFileAuthenticator
from tidewire.auth.application import BackendClient
from tidewire.config import ConfigError, Problem, Settings
from tidewire.config.plugins import load_rules
from tidewire.console.live import Times
from tidewire.console.routes import console_routes
from tidewire.core.shard import Shard
from tidewire.core.state.statistics import Stopwatch
from tidewire.engine.clock import ShardClock
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.engine.recovery import RecoveryReport, recover
from tidewire.http.app import NO_MORE, Methods, build_application
from tidewire.http.bus_notices import SharedNotices
from tidewire.http.context import ServerContext, ServerStatus
from tidewire.initial_state import StateProvider
from tidewire.observability.counters import JournalStatistics
from tidewire.observability.metrics.event_times import EventTimes
from tidewire.observability.metrics.reporter import CountingReporter
from tidewire.observability.process import resident_memory
from tidewire.ports.bus import Bus, Embedded
from tidewire.ports.engine import BackgroundRunner, Clock, Origin, Reporter
from tidewire.ports.storage import Journal, StateStore
from tidewire.tracing.traced_engine import kind_for

EMBEDDED = "memory:"
"""The `bus.url` of a server that needs no broker."""


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """One shard with everything around it; `server/takeover.py` makes it ready to be served."""

    settings: Settings
    engine: Engine
    asgi: ASGIApp
    site: ServerContext
    authenticator: UsersFileAuthenticator
    lifecycle: ServerStatus
    comeback: RecoveryReport


@dataclass(frozen=True, kw_only=True, slots=True)
class Turns:
    """What a server needs of its loop.

    Attributes:
        call_soon: calls a function after other work had a turn.
        from_thread: the same, for a caller on another thread.
        aside: does what would hold the loop.
        give_up: ends the process: what the disk holds is unknown.
        is_stopping: whether somebody wants the process to end; asked while the loop does not turn.
    """

    call_soon: Callable[[Callable[[], None]], object]
    from_thread: Callable[[Callable[[], None]], None]
    aside: BackgroundRunner
    give_up: Callable[[Exception], None]
    is_stopping: Callable[[], bool] = lambda: False


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
    telemetry: Telemetry | None = None,
    more_routes: Mapping[str, Methods] = NO_MORE,
    providers: Sequence[StateProvider] = (),
    inside: BackendClient | None = None,
    time_of: Callable[[float], Clock] = wall_clock,
    users: UsersFileAuthenticator | None = None,
) -> App:
    """Puts a server together and brings its state back.

    `users` that were read before are used if their file is the one of the settings, and is still the same.

    Raises:
        ConfigError: the shared secret, the merge rules, the state providers or what traces can't be had.
        UsersFileError: the users file can't be read.
        StateError: the state can't be read, or the journal not be written.
    """
    authenticator = read_users_of(settings, users)
    status, telemetry = ServerStatus(), telemetry or Telemetry()
    engine, seen, clock = _engine(
        settings, store, reporter=reporter, turns=turns, status=status, time_of=time_of, log=log
    )
    context = build_site(
        settings,
        engine=engine,
        authenticator=authenticator,
        status=status,
        log=log,
        now=clock.now,
        telemetry=telemetry,
        seen=seen,
        providers=providers,
        inside=inside,
    )
    times = _times(seen.times, telemetry.journal)
    return App(
        settings=settings,
        engine=engine,
        asgi=build_application(context, {**_console(settings, authenticator, times), **more_routes}),
        site=context,
        authenticator=authenticator,
        lifecycle=status,
        comeback=seen.comeback,
    )


def read_users_of(settings: Settings, before: UsersFileAuthenticator | None = None) -> UsersFileAuthenticator:
    """The users of these settings; what was read of the same file before is not read again.

    Raises:
        UsersFileError: the users file can't be read.
    """
    path, required = settings.auth.users_file, "users" in settings.auth.kind
    if before is not None and before.is_of(path, required=required) and not before.changed_on_disk():
        return before
    return UsersFileAuthenticator(path=path, required=required)


def load_bus(settings: Settings) -> Any:
    """The module of the bus that the settings name; None for the embedded one.

    Raises:
        ConfigError: what it needs is not installed.
    """
    if settings.bus.url == EMBEDDED:
        return None
    try:
        # Its client is an extra: who doesn't use it needn't have it.
        return importlib.import_module("tidewire.bus.rabbitmq")
    except ModuleNotFoundError as error:
        problem = Problem(
            "this installation", "bus.url", 'pip install "tidewire[rabbitmq]"', f"no {error.name}"
        )
        raise ConfigError([problem]) from error


def _engine(
    settings: Settings,
    store: StateStore,
    *,
    reporter: Reporter,
    turns: Turns,
    status: ServerStatus,
    time_of: Callable[[float], Clock],
    log: FilteringBoundLogger,
) -> tuple[Engine, Seen, Clock]:
    """The engine on the state that an earlier process left, what is seen of it, and its clock."""
    times = EventTimes()
    shard, report, origin = _recovered(settings, store, times, log, turns.is_stopping)
    counting = CountingReporter(reporter, snapshot_bytes=report.snapshot_size)
    clock = time_of(shard.recorded_at)
    # The engine is there before anything is written.
    journal = _journal(store, origin, turns, lambda: engine.durable_moved())  # noqa: PLW0108 - not yet
    engine = kind_for(shard)(
        shard=shard,
        journal=journal,
        clock=clock,
        reporter=counting,
        new_queue_id=lambda: str(uuid.uuid4()),
        chance=_chance(),
        call_soon=turns.call_soon,
        timing=pace(settings),
        background=turns.aside,
        on_failing=status.journal_fails,
        snapshot_size=report.snapshot_size,
        snapshot_after=settings.storage.snapshot_after_bytes,
        resident=resident_memory,
    )
    return engine, Seen(times, counting, report, journal), clock


def _times(notices: EventTimes, journal: JournalStatistics) -> Times:
    """What the console shows of how long things take."""
    return lambda: {
        "notices": notices.by_kind.values(),
        "writes": (journal.appends,),
        "flushes": (journal.flushes,),
    }


def _console(
    settings: Settings, authenticator: UsersFileAuthenticator, times: Times
) -> Mapping[str, Methods]:
    """The routes of the operators' page, if there is to be one."""
    return console_routes(
        settings,
        new_secret=lambda: secrets.token_urlsafe(32),
        is_realm_host=authenticator.is_realm_host,
        times=times,
    )


def open_bus(app: App, *, log: FilteringBoundLogger) -> Bus:
    """The bus that the settings name; called on the loop, which the bus connects on once it is started.

    Raises:
        ConfigError: what it needs is not installed.
    """
    bus, rabbitmq = app.settings.bus, load_bus(app.settings)
    if rabbitmq is None:
        return Embedded()
    peers = app.site.peers
    own = None if peers is None else peers.own.port
    made = rabbitmq.RabbitBus(
        url=bus.url,
        queue=bus.queue or inbound_queue(own),
        prefetch=bus.prefetch,
        engine=app.engine,
        crashed=app.comeback.resumed,
        on_away=app.lifecycle.bus_is_away,
        log=log,
        multi_shard=None if peers is None else SharedNotices(app.site, peers),
    )
    if peers is not None:
        peers.by_bus = lambda shard, body: made.send(inbound_queue(peers.address(shard).port), body)
    opened: Bus = made
    return opened


def _recovered(
    settings: Settings,
    store: StateStore,
    stopwatch: Stopwatch,
    log: FilteringBoundLogger,
    is_stopping: Callable[[], bool],
) -> tuple[Shard[PollWaiter], RecoveryReport, Origin]:
    """The shard as an earlier process left it, what that was, and under what this one goes on."""
    rules = load_rules(settings.queues.rules)
    shard = shard_for(
        open_traces(settings.tracing, log=log),
        limits=limits(settings),
        rules=rules,
        presentation=presentation(settings),
        stopwatch=stopwatch,
    )
    own = origin_of(settings, rules)
    # Before anything is there: what the process grows by from here on is compared with what is counted.
    shard.account(resident=resident_memory())
    return shard, recover(store, shard, fingerprint=own.fingerprint, is_stopping=is_stopping), own


def _journal(store: StateStore, origin: Origin, turns: Turns, durable_moved: Callable[[], None]) -> Journal:
    return store.journal(
        origin=origin,
        on_durable=lambda: turns.from_thread(durable_moved),
        on_failed=lambda error: turns.from_thread(lambda: turns.give_up(error)),
    )


def _chance() -> Callable[[], float]:
    """To spread heartbeats; real chance would cost a system call for each poll."""
    return random.Random().random  # noqa: S311 - no secret comes of it
