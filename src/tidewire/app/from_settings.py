"""What core, engine and HTTP work by, made from the settings."""

import time
from collections.abc import Mapping
from typing import Any, Literal

from tidewire.config import Settings
from tidewire.core.events.coalescing import MERGE_RULES, MergeRule, describe_rules
from tidewire.core.events.presentation import Presentation
from tidewire.core.persistence.fingerprint import fingerprint
from tidewire.core.state.limits import IdleTimeouts, Limits
from tidewire.core.state.state_settings import encode_shaping, shaping_of
from tidewire.engine.timing import EngineTiming
from tidewire.http.context import Compat
from tidewire.http.rate_limits import RateLimits
from tidewire.http.security import Access
from tidewire.observability.process import memory_of_machine
from tidewire.ports.engine import Origin


def restart_event(settings: Settings) -> dict[str, Any]:
    """What queues that another process made are told (R1.23)."""
    return {
        "type": "restart",
        **compat(settings).versions,
        "server_generation": int(time.time()),
    }


def origin_of(settings: Settings, rules: Mapping[str, MergeRule]) -> Origin:
    """Under what this process decides its records (D4); `rules` are the application's own."""
    return Origin(
        fingerprint({**dict.fromkeys(MERGE_RULES, ""), **describe_rules(rules)}),
        encode_shaping(shaping_of(limits(settings), presentation(settings))),
    )


def access(settings: Settings, secret: str) -> Access:
    """Who may use the internal routes."""
    return Access(
        secret=secret,
        internal_from=settings.server.internal_from,
        trusted_proxies=settings.server.trusted_proxies,
    )


def rate_limits(settings: Settings) -> RateLimits:
    """How often users and addresses may ask."""
    return RateLimits(
        user_per_minute=settings.limits.user_requests_per_minute,
        address_per_minute=settings.limits.address_requests_per_minute,
    )


def compat(settings: Settings) -> Compat:
    """What existing clients are told about the server."""
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
        max_events=settings.queues.max_events,
        max_bytes=settings.queues.max_bytes,
        max_per_user=settings.queues.max_per_user,
        memory_budget=memory_budget(settings.queues.memory_budget),
        registration_bytes=settings.limits.registration_bytes,
        explain_bytes=settings.explain.queue_bytes,
        explain_ended=settings.explain.ended_queues,
    )


def memory_budget(wanted: int | Literal["auto"]) -> int:
    """How many bytes the queues may take."""
    return memory_of_machine() // 2 if wanted == "auto" else wanted


def presentation(settings: Settings) -> Presentation:
    """How the core shows people, and who hears public channels."""
    return Presentation(
        realm_host=settings.compat.realm_host,
        avatar_salt=settings.compat.avatar_salt,
        narrow_hears_public_channels=settings.compat.narrow_hears_public_channels,
    )


def pace(settings: Settings) -> EngineTiming:
    """What the engine keeps time by."""
    return EngineTiming(
        heartbeat_min=settings.queues.heartbeat_min,
        heartbeat_max=settings.queues.heartbeat_max,
        collect_every=settings.queues.collect_every,
    )
