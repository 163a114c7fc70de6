"""The composition root: the only module that sees the settings and the concrete adapters together."""

import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from tidewire.auth import UsersFileAuthenticator
from tidewire.clock import ShardClock
from tidewire.config import Settings, shared_secret
from tidewire.config.rules import load_rules
from tidewire.core.idle_timeout import IdleTimeouts
from tidewire.core.presentation import Presentation
from tidewire.core.shard import Shard
from tidewire.core.snapshot import Skipped
from tidewire.core.state import Limits
from tidewire.engine import Engine, Pace, PollSlot
from tidewire.http.access import Access
from tidewire.http.application import NO_MORE, build_application
from tidewire.http.cors import Cors
from tidewire.http.limits import RateLimits
from tidewire.http.routes import Methods
from tidewire.http.site import Compat, Lifecycle, Site
from tidewire.ports import Reporter, SnapshotStore
from tidewire.storage.null_journal import NullJournal
from tidewire.storage.state_directory import StateDirectory

CHANCE_BITS = 32
"""Of randomness in each number that `chance` gives; heartbeats are spread over ten seconds with it."""


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
    authenticator: UsersFileAuthenticator
    store: SnapshotStore
    lifecycle: Lifecycle
    recovered: int
    skipped: Sequence[Skipped]

    def announce_restart(self) -> None:
        """Tells the queues of an earlier process that the server is a new one (R1.23, R1.28)."""
        compat = self.settings.compat
        event = {
            "type": "restart",
            "zulip_version": compat.version,
            "zulip_merge_base": compat.version,
            "zulip_feature_level": compat.feature_level,
            "server_generation": int(time.time()),
        }
        self.engine.announce_restart(event)
        if compat.reload_web_clients:
            self.engine.reload_clients(immediate=False, count=None)


def build(
    settings: Settings,
    *,
    store: StateDirectory,
    reporter: Reporter,
    log: FilteringBoundLogger,
    call_soon: Callable[[Callable[[], None]], object],
    more_routes: Mapping[str, Methods] = NO_MORE,
) -> App:
    """Puts a server together and brings its state back.

    Raises:
        ConfigError: the shared secret or the merge rules can't be had.
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
        chance=lambda: secrets.randbits(CHANCE_BITS) / 2**CHANCE_BITS,
        call_soon=call_soon,
        pace=pace(settings),
    )
    lifecycle = Lifecycle()
    site = Site(
        engine=engine,
        authenticator=authenticator,
        access=_access(settings, secret),
        idle_timeouts=idle_timeouts(settings),
        compat=_compat(settings),
        lifecycle=lifecycle,
        log=log,
        limits=_rate_limits(settings),
        cors=Cors(settings.server.cors_origins),
        now=clock.now,
    )
    return App(
        settings=settings,
        engine=engine,
        asgi=build_application(site, more_routes),
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
    shard: Shard[PollSlot] = Shard(
        limits=limits(settings),
        rules=load_rules(settings.queues.rules),
        presentation=presentation(settings),
    )
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
        outbox_max=settings.notifications.outbox_max,
    )


def presentation(settings: Settings) -> Presentation:
    """How the core shows people, and who hears public channels."""
    return Presentation(
        realm_host=settings.compat.realm_host,
        avatar_salt=settings.compat.avatar_salt,
        narrow_hears_public_channels=settings.compat.narrow_hears_public_channels,
    )


def pace(settings: Settings) -> Pace:
    """What the engine keeps time by."""
    return Pace(
        heartbeat_min=settings.queues.heartbeat_min,
        heartbeat_max=settings.queues.heartbeat_max,
        collect_every=settings.queues.collect_every,
    )
