"""Acceptance: the part of a registration that decides whether an event is delivered (D1).

`Acceptance.refusal` answers None (accepted) or the name of the rule that refused, so that metrics and
`explain` get the reason for nothing. Rules beyond the list of event types concern single event types and
stand in the table `RULES`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from tidewire.core.events.capabilities import Capabilities
from tidewire.core.events.narrow import Flags, Term, compile_narrow, essential

Event: TypeAlias = Mapping[str, Any]


class AcceptanceKey(NamedTuple):
    """What an acceptance is made of; registrations with equal keys share one acceptance."""

    event_types: tuple[str, ...] | None
    narrow: tuple[Term, ...]
    stream_typing_notifications: bool
    user_settings_object: bool
    include_deactivated_groups: bool
    archived_channels: bool


def acceptance_key(
    event_types: tuple[str, ...] | None, narrow: tuple[Term, ...], capabilities: Capabilities
) -> AcceptanceKey:
    """The key for a registration; the order of its event types and of its terms does not matter.

    Raises:
        BadRequest: the narrow has a term that is not supported (R12.4).
    """
    return AcceptanceKey(
        None if event_types is None else tuple(sorted(set(event_types))),
        essential(narrow),
        capabilities.stream_typing_notifications,
        capabilities.user_settings_object,
        capabilities.include_deactivated_groups,
        capabilities.archived_channels,
    )


class Acceptance:
    """A compiled filter: interned, so that equal filters are the same object and their answers are shared."""

    __slots__ = ("accepts_messages", "event_types", "key", "predicate")

    def __init__(self, key: AcceptanceKey) -> None:
        """Compiles the filter.

        Raises:
            BadRequest: the narrow has a term that is not supported (R12.4).
        """
        self.key = key
        self.event_types = None if key.event_types is None else frozenset(key.event_types)
        self.predicate = compile_narrow(key.narrow)
        self.accepts_messages = self.event_types is None or "message" in self.event_types
        """The weaker question of R3.10, which the narrow plays no part in."""

    def refusal(self, event: Event, flags: Flags = ()) -> str | None:
        """Name of the first rule that refuses the event, or None when it is accepted.

        Args:
            event: the event as this client would get it, with its `type`.
            flags: the recipient's flags on a message; empty for all other events.
        """
        kind = event["type"]
        if self.event_types is not None and kind not in self.event_types:
            return "event_types"
        rule = RULES.get(kind)
        return None if rule is None else rule(self, event, flags)


def _muted_topics(acceptance: Acceptance, _event: Event, _flags: Flags) -> str | None:
    """R3.2: who asks for both forms by name gets only the modern one."""
    both = acceptance.event_types is not None and "user_topic" in acceptance.event_types
    return "superseded_by_user_topic" if both else None


def _message(acceptance: Acceptance, event: Event, flags: Flags) -> str | None:
    """A message is accepted if it matches the narrow (R3.3)."""
    predicate = acceptance.predicate
    if predicate is None:
        return None
    message = event.get("message")
    return None if isinstance(message, dict) and predicate(message, flags) else "narrow"


def _typing(acceptance: Acceptance, event: Event, _flags: Flags) -> str | None:
    """Typing in a channel needs a capability (R3.4)."""
    refused = "stream_id" in event and not acceptance.key.stream_typing_notifications
    return "stream_typing_notifications" if refused else None


def _older_settings(acceptance: Acceptance, _event: Event, _flags: Flags) -> str | None:
    """Settings events of the older form are for older clients (R3.5)."""
    return "user_settings_object" if acceptance.key.user_settings_object else None


def _user_group(acceptance: Acceptance, event: Event, _flags: Flags) -> str | None:
    """R3.6 and R3.7: a deactivation is a removal for some clients and an update for others."""
    sees_deactivated = acceptance.key.include_deactivated_groups
    op = event.get("op")
    data = event.get("data")
    if op == "remove" and sees_deactivated:
        return "include_deactivated_groups"
    if op == "update" and isinstance(data, dict) and "deactivated" in data and not sees_deactivated:
        return "include_deactivated_groups"
    return None


def _stream(acceptance: Acceptance, event: Event, _flags: Flags) -> str | None:
    """A channel's archiving, as an update, needs a capability (R3.8)."""
    archiving = event.get("op") == "update" and event.get("property") == "is_archived"
    return "archived_channels" if archiving and not acceptance.key.archived_channels else None


Rule: TypeAlias = Callable[[Acceptance, Event, Flags], str | None]

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "message": _message,
        "muted_topics": _muted_topics,
        "stream": _stream,
        "typing": _typing,
        "update_display_settings": _older_settings,
        "update_global_notifications": _older_settings,
        "user_group": _user_group,
    }
)

REFUSALS: tuple[str, ...] = (
    "event_types",
    "superseded_by_user_topic",
    "narrow",
    "stream_typing_notifications",
    "user_settings_object",
    "include_deactivated_groups",
    "archived_channels",
)
"""Every name that `refusal` can answer."""
