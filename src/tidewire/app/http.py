"""What requests are served with, put together from the settings."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from structlog.typing import FilteringBoundLogger

from tidewire import __version__
from tidewire.app.auth import door
from tidewire.app.from_settings import (
    access,
    compat,
    idle_timeouts,
    memory_budget,
    rate_limits,
    restart_event,
)
from tidewire.app.state import state_source
from tidewire.app.telemetry import Telemetry
from tidewire.auth import UsersFileAuthenticator
from tidewire.auth.application import BackendClient
from tidewire.auth.cache import CachingAuthenticator
from tidewire.cluster.peers import Peers
from tidewire.cluster.relocation import RelocationCoordinator
from tidewire.config import Settings, shared_secret
from tidewire.config.shards import read_shard_map
from tidewire.engine.engine import Engine
from tidewire.engine.recovery import RecoveryReport
from tidewire.http.context import ServerContext, ServerStatus
from tidewire.http.security import Cors
from tidewire.initial_state import StateProvider
from tidewire.observability.counters import HttpStatistics
from tidewire.observability.metrics.event_times import EventTimes
from tidewire.observability.metrics.exposition import Exposition
from tidewire.observability.metrics.metric import Sources
from tidewire.observability.metrics.reporter import CountingReporter
from tidewire.observability.process import Process, resident_memory
from tidewire.ports.storage import Journal


class Seen(NamedTuple):
    """What metrics are made of beside the engine."""

    times: EventTimes
    reported: CountingReporter
    comeback: RecoveryReport
    journal: Journal


def build_site(
    settings: Settings,
    *,
    engine: Engine,
    authenticator: UsersFileAuthenticator,
    status: ServerStatus,
    log: FilteringBoundLogger,
    now: Callable[[], float],
    telemetry: Telemetry,
    seen: Seen,
    providers: Sequence[StateProvider],
    inside: BackendClient | None,
) -> ServerContext:
    """The site of one server.

    Raises:
        ConfigError: the shared secret, the shard map, or what asks the application can't be had.
    """
    secret = shared_secret(
        secret=settings.server.secret,
        secret_file=settings.server.secret_file,
        directory=settings.storage.directory,
    )
    statistics = HttpStatistics()
    peers = _neighbours(settings, engine=engine, authenticator=authenticator, secret=secret, log=log)
    relocation = None
    if peers is not None:
        relocation = RelocationCoordinator(engine.relocation_steps, peers, log=log, timer=time.perf_counter)
    return ServerContext(
        peers=peers,
        relocation=relocation,
        engine=engine,
        authenticator=CachingAuthenticator(authenticator),
        access=access(settings, secret),
        idle_timeouts=idle_timeouts(settings),
        compat=compat(settings),
        lifecycle=status,
        log=log,
        limits=rate_limits(settings),
        cors=Cors(settings.server.cors_origins),
        dump_max_bytes=settings.limits.dump_max_bytes,
        restart=restart_event(settings),
        now=now,
        lines=telemetry.lines,
        log_control=telemetry.log_control,
        statistics=statistics,
        exposition=_exposition(
            settings, engine=engine, status=status, telemetry=telemetry, http=statistics, seen=seen
        ),
        door=door(
            settings,
            authenticator=authenticator,
            secret=secret,
            log=log,
            revoke=engine.revoke,
            inside=inside,
        ),
        session_origins=frozenset(origin.lower() for origin in settings.auth.session_origins),
        state=state_source(settings, users=authenticator, secret=secret, providers=providers, log=log),
    )


def _neighbours(
    settings: Settings,
    *,
    engine: Engine,
    authenticator: UsersFileAuthenticator,
    secret: str,
    log: FilteringBoundLogger,
) -> Peers | None:
    if settings.shards.map_file is None:
        return None
    return Peers(
        read_shard_map(settings.shards.map_file),
        index=settings.shards.index,
        mode=settings.shards.wrong_shard,
        directory=authenticator,
        secret=secret,
        log=log,
        relocations=engine.relocation_steps.relocations,
    )


def _exposition(
    settings: Settings,
    *,
    engine: Engine,
    status: ServerStatus,
    telemetry: Telemetry,
    http: HttpStatistics,
    seen: Seen,
) -> Exposition:
    control = telemetry.log_control
    sources = Sources(
        version=__version__,
        statistics=engine.shard.statistics,
        event_times=seen.times,
        journal=telemetry.journal,
        tail_bytes=lambda: seen.journal.tail_bytes,
        journal_fails=lambda: "journal" in status.degraded,
        reported=seen.reported,
        comeback=seen.comeback,
        http=http,
        suppressed={} if control is None else control.suppressed,
        bus=telemetry.bus,
        process=Process(resident=resident_memory),
        memory_budget=memory_budget(settings.queues.memory_budget),
    )
    return Exposition(engine.shard, sources)
