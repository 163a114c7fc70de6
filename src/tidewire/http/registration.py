"""From the parameters of a registration to what a queue is made with (R6.30, R6.50)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidewire.core.capabilities import CAPABILITY_NAMES, NOT_DECLARED, TOP_LEVEL, Capabilities
from tidewire.core.descriptor import QueueSpec
from tidewire.core.errors import BadRequest
from tidewire.core.idle_timeout import IdleTimeouts
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import User
from tidewire.http.client_name import knows_pronouns
from tidewire.http.parameters import Parameters

IDLE_TIMEOUT_NAMES = ("idle_queue_timeout", "lifespan_secs", "queue_lifespan_secs")
"""The parameter's present name and its older ones (D11)."""

DECLARED = tuple(name for name in CAPABILITY_NAMES if name not in TOP_LEVEL | NOT_DECLARED)
"""Capabilities that a client declares inside `client_capabilities`, or by name on the events route."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Whose queue it will be."""

    user_id: UserId
    realm_id: RealmId
    may_access_public_channels: bool
    rights: bytes = b""

    @classmethod
    def of(cls, user: User, *, rights: bytes) -> "Owner":
        """The facts about a known user, as they are at this moment (D11)."""
        return cls(
            user_id=user.id,
            realm_id=user.realm_id,
            may_access_public_channels=user.may_access_public_channels,
            rights=rights,
        )


def capabilities_by_name(parameters: Parameters, user_agent: str | None) -> Capabilities:
    """The capabilities as the events route takes them: each a parameter of its own (R6.30)."""
    flags = {name: parameters.boolean(name, default=False) for name in (*TOP_LEVEL, *DECLARED)}
    return Capabilities(**flags, pronouns_field_type_supported=knows_pronouns(user_agent))


def capabilities_of_register(parameters: Parameters, user_agent: str | None) -> Capabilities:
    """The capabilities as `register` takes them: some by name, the rest in one object (R6.50)."""
    client_gravatar = parameters.optional_boolean("client_gravatar")
    declared = parameters.booleans("client_capabilities")
    if declared is not None and "notification_settings_null" not in declared:
        raise BadRequest('client_capabilities["notification_settings_null"] is required')
    flags: dict[str, Any] = {name: (declared or {}).get(name, False) for name in DECLARED}
    return Capabilities(
        apply_markdown=parameters.boolean("apply_markdown", default=False),
        # Whoever registers here is logged in, and for them this is on by default (R6.50).
        client_gravatar=client_gravatar is not False,
        slim_presence=parameters.boolean("slim_presence", default=False),
        pronouns_field_type_supported=knows_pronouns(user_agent),
        **flags,
    )


def queue_spec(
    parameters: Parameters,
    *,
    owner: Owner,
    capabilities: Capabilities,
    client_name: str,
    idle_timeouts: IdleTimeouts,
) -> QueueSpec:
    """What the queue is made with.

    Raises:
        BadRequest: a parameter is wrong, or the owner may not see public channels but asks for all (R6.32).
    """
    all_public_streams = bool(parameters.optional_boolean("all_public_streams"))
    if all_public_streams and not owner.may_access_public_channels:
        raise BadRequest("User not authorized for this query")
    return QueueSpec(
        user_id=owner.user_id,
        realm_id=owner.realm_id,
        event_types=parameters.strings("event_types"),
        narrow=parameters.narrow("narrow"),
        all_public_streams=all_public_streams,
        may_access_public_channels=owner.may_access_public_channels,
        client_type_name=client_name,
        capabilities=capabilities,
        idle_timeout=idle_timeouts.effective(parameters.idle_timeout(*IDLE_TIMEOUT_NAMES)),
        rights=owner.rights,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What `register` takes about the initial state (R6.50).

    Attributes:
        fetch_types: the parts that are wanted; None is all.
        options: what providers are told of the form.
    """

    fetch_types: frozenset[str] | None
    options: Mapping[str, Any]


def snapshot_parameters(parameters: Parameters, spec: QueueSpec) -> Snapshot:
    """What is wanted of the initial state.

    Raises:
        BadRequest: a parameter is wrong.
    """
    fetched = parameters.strings("fetch_event_types")
    wanted = spec.event_types if fetched is None else fetched
    capabilities = spec.capabilities
    options = {
        "apply_markdown": capabilities.apply_markdown,
        "client_gravatar": capabilities.client_gravatar,
        # R6.54.
        "slim_presence": capabilities.slim_presence or capabilities.simplified_presence_events,
        "include_subscribers": parameters.literal("include_subscribers", (True, False, "partial")) or False,
        "presence_history_limit_days": parameters.integer("presence_history_limit_days", minimum=0),
    }
    return Snapshot(fetch_types=None if wanted is None else frozenset(wanted), options=options)
