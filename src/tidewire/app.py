"""The composition root: the only module that sees the settings and the concrete adapters together."""

import random
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from tidewire.auth import UsersFileAuthenticator
from tidewire.auth.caching import CachingAuthenticator
from tidewire.clock import ShardClock
from tidewire.config import Settings, shared_secret
from tidewire.core.idle_timeout import IdleTimeouts
from tidewire.core.shard import Shard
from tidewire.core.snapshot import Skipped
from tidewire.core.state import Limits
from tidewire.engine import Engine, Pace, PollSlot
from tidewire.http.access import Access
from tidewire.http.application import build_application
from tidewire.http.site import Compat, Lifecycle, Site
from tidewire.ports import Reporter, SnapshotStore
from tidewire.storage.null_journal import NullJournal
from tidewire.storage.state_directory import StateDirectory


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """One shard with everything around it, ready to be served.

    Attributes:
        recovered: how many queues an earlier process left.
        skipped: those that could not be brought back.
    """

    settings: Settings
    engine: Engine
    asgi: ASGIApp
    site: Site
    authenticator: UsersFileAuthenticator
    store: SnapshotStore
    lifecycle: Lifecycle
    recovered: int
    skipped: Sequence[Skipped]

    def announce_restart(self) -> None:
        """Tells the queues of an earlier process that the server is a new one (R1.23)."""
        compat = self.settings.compat
        event = {
            "type": "restart",
            "zulip_version": compat.version,
            "zulip_merge_base": compat.version,
            "zulip_feature_level": compat.feature_level,
            "server_generation": int(time.time()),
        }
        self.engine.announce_restart(event)


def build(
    settings: Settings,
    *,
    store: StateDirectory,
    reporter: Reporter,
    log: FilteringBoundLogger,
    call_soon: Callable[[Callable[[], None]], object],
) -> App:
    """Puts a server together and brings its state back.

    Raises:
        ConfigError: the shared secret can't be had.
        UsersFileError: the users file can't be read.
        StateError: the state can't be read.
    """
    authenticator = UsersFileAuthenticator(path=settings.auth.users_file)
    secret = shared_secret(
        secret=settings.server.secret,
        secret_file=settings.server.secret_file,
        directory=settings.storage.directory,
    )
    shard, clock, skipped = _recover(settings, store)
    engine = Engine(
        shard=shard,
        journal=NullJournal(),
        clock=clock,
        reporter=reporter,
        new_queue_id=lambda: str(uuid.uuid4()),
        chance=random.Random().random,  # noqa: S311 - it only spreads heartbeats; real chance costs a system call a poll
        call_soon=call_soon,
        pace=pace(settings),
    )
    lifecycle = Lifecycle()
    site = Site(
        engine=engine,
        authenticator=CachingAuthenticator(authenticator),
        access=_access(settings, secret),
        idle_timeouts=idle_timeouts(settings),
        compat=_compat(settings),
        lifecycle=lifecycle,
        log=log,
    )
    return App(
        settings=settings,
        engine=engine,
        asgi=build_application(site),
        site=site,
        authenticator=authenticator,
        store=store,
        lifecycle=lifecycle,
        recovered=shard.queues(),
        skipped=skipped,
    )


def _recover(
    settings: Settings, store: SnapshotStore
) -> tuple[Shard[PollSlot], ShardClock, Sequence[Skipped]]:
    """The shard as an earlier process left it, or an empty one, and a clock that goes on from there."""
    shard: Shard[PollSlot] = Shard(limits=limits(settings))
    snapshot = store.load()
    skipped = () if snapshot is None else shard.restore(snapshot)
    clock = ShardClock(wall=time.time, monotonic=time.monotonic, floor=shard.recorded_at)
    if snapshot is not None:
        shard.begin(now=clock.now(), resumed=False)
    return shard, clock, skipped


def _access(settings: Settings, secret: str) -> Access:
    return Access(
        secret=secret,
        internal_from=settings.server.internal_from,
        trusted_proxies=settings.server.trusted_proxies,
    )


def _compat(settings: Settings) -> Compat:
    return Compat(
        version=settings.compat.version,
        feature_level=settings.compat.feature_level,
        bad_queue_text=settings.compat.legacy_bad_queue_text,
    )


def idle_timeouts(settings: Settings) -> IdleTimeouts:
    """The idle times that registrations get."""
    queues = settings.queues
    return IdleTimeouts(
        default=queues.idle_timeout, maximum=queues.max_idle_timeout, minimum=queues.min_idle_timeout
    )


def limits(settings: Settings) -> Limits:
    """What the core works by."""
    return Limits(
        offline_after=settings.queues.offline_after,
        remember_ids_for=settings.storage.remember_ids_for,
        remember_ids_max=settings.storage.remember_ids_max,
        answer_max_bytes=settings.queues.answer_max_bytes,
    )


def pace(settings: Settings) -> Pace:
    """What the engine keeps time by."""
    return Pace(
        heartbeat_min=settings.queues.heartbeat_min,
        heartbeat_max=settings.queues.heartbeat_max,
        collect_every=settings.queues.collect_every,
    )
