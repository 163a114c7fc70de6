"""The settings as typed, frozen records, one a section.

What each value means stands in `config/settings_core.py` and `config/settings_network.py`; so do the defaults, which is why there are none here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from tidewire.config.types import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Section `server`: addresses, who is trusted, the shared secret."""

    host: str
    port: int
    secret: str = field(repr=False)
    secret_file: Path | None
    trusted_proxies: tuple[Network, ...]
    internal_from: tuple[Network, ...]
    cors_origins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Section `auth`: where users come from, and who judges what they show; times in seconds."""

    kind: tuple[Literal["users", "http", "jwt"], ...]
    users_file: Path
    session_origins: tuple[str, ...]
    http_url: str
    http_timeout: int
    http_cache_ttl: int
    http_cookies: tuple[str, ...]
    jwt_audience: str
    jwt_keys: tuple[str, ...]
    jwt_issuer: str
    jwt_key: str = field(repr=False)
    jwt_key_file: Path | None
    jwt_algorithms: tuple[str, ...]
    jwt_user_claim: str
    jwt_realm_claim: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Section `state`: where the initial state comes from; times in seconds, sizes in bytes."""

    modules: tuple[str, ...]
    callback_url: str
    callback_timeout: int
    callback_attempts: int
    callback_max_bytes: int
    timeout: int
    defaults: bool
    max_users: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Section `storage`: the state directory and what is remembered; times in seconds, sizes in bytes."""

    directory: Path
    durability: Literal["none", "process", "power"]
    remember_ids_for: int
    remember_ids_max: int
    snapshot_after_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """Section `queues`: times in seconds, sizes in bytes; 0 is off where the table says so."""

    idle_timeout: int
    max_idle_timeout: int
    min_idle_timeout: int
    offline_after: int
    collect_every: int
    heartbeat_min: int
    heartbeat_max: int
    max_events: int
    max_bytes: int
    max_per_user: int
    memory_budget: int | Literal["auto"]
    answer_max_bytes: int
    rules: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bus:
    """Section `bus`: where notices come from."""

    url: str = field(repr=False)
    queue: str
    prefetch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """Section `shards`: which users are served here."""

    map_file: Path | None
    index: int
    wrong_shard: Literal["proxy", "redirect"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """Section `notifications`: the outbox."""

    outbox_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compat:
    """Section `compat`: what existing clients are told."""

    feature_level: int
    version: str
    legacy_bad_queue_text: Literal["always", "never", "zulip-term"]
    narrow_hears_public_channels: bool
    reload_web_clients: bool
    realm_host: str
    avatar_salt: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Section `limits`: requests a minute, seconds, bytes and numbers; 0 is no limit."""

    user_requests_per_minute: int
    address_requests_per_minute: int
    dump_max_bytes: int
    registration_bytes: int
    header_deadline: int
    request_deadline: int
    write_deadline: int
    header_bytes: int
    headers: int
    url_bytes: int
    connections: int
    connections_per_address: int
    accept_rate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explain:
    """Section `explain`: what is recorded to be explained; 0 is nothing."""

    queue_bytes: int
    ended_queues: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Section `console`: the operators' page; times in seconds."""

    enabled: bool
    session_lifetime: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """Section `tracing`: where spans go, and how many there may be."""

    endpoint: str
    service_name: str
    deliveries_per_notice: int
    max_open_deliveries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Section `log`: how the log is written."""

    format: Literal["console", "json"]
    level: Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked; nothing is read later than this.

    Paths are absolute. Shards in one process each have a `Settings` of their own.
    """

    server: Server
    auth: Auth
    state: State
    storage: Storage
    queues: Queues
    bus: Bus
    shards: Shards
    notifications: Notifications
    compat: Compat
    limits: Limits
    explain: Explain
    console: Console
    tracing: Tracing
    log: Log

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Makes the records of fitted values by name (`section.key`); each setting must be there."""

        def section(name: str) -> dict[str, Any]:
            prefix = f"{name}."
            return {key.removeprefix(prefix): v for key, v in values.items() if key.startswith(prefix)}

        return cls(
            server=Server(**section("server")),
            auth=Auth(**section("auth")),
            state=State(**section("state")),
            storage=Storage(**section("storage")),
            queues=Queues(**section("queues")),
            bus=Bus(**section("bus")),
            shards=Shards(**section("shards")),
            notifications=Notifications(**section("notifications")),
            compat=Compat(**section("compat")),
            limits=Limits(**section("limits")),
            explain=Explain(**section("explain")),
            console=Console(**section("console")),
            tracing=Tracing(**section("tracing")),
            log=Log(**section("log")),
        )
