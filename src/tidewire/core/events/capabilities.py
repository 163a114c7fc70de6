"""What a client says it can handle: one declared table, read by registration, shaping and the documentation.

A row is a field of `Capabilities`: its name on the wire, its default, what it means, and the event types that
it decides about. Adding a capability means adding a row here and reading it where it has its effect.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, get_args

from msgspec import Meta, Struct
from msgspec.structs import FieldInfo, fields


def _row(description: str, *changes: str) -> Meta:
    """What a capability means, and the types of the events that it changes or decides about."""
    return Meta(description=description, extra={"changes": changes})


class Capabilities(Struct, frozen=True, kw_only=True):
    """The booleans of R2.1 that decide what a client's events look like and which it gets (R3.13)."""

    apply_markdown: Annotated[bool, _row("Messages carry rendered HTML instead of Markdown.", "message")] = (
        False
    )
    client_gravatar: Annotated[
        bool, _row("The client computes gravatar addresses itself, so `avatar_url` may be null.", "message")
    ] = False
    slim_presence: Annotated[
        bool, _row("The older form of `presence` without the user's email address.", "presence")
    ] = False
    bulk_message_deletion: Annotated[
        bool, _row("One `delete_message` event for many messages instead of one for each.", "delete_message")
    ] = False
    stream_typing_notifications: Annotated[
        bool, _row("Receives `typing` events of channels; without it only those of direct ones.", "typing")
    ] = False
    user_settings_object: Annotated[
        bool,
        _row(
            "Does not receive the older settings events that `user_settings` replaced.",
            "update_display_settings",
            "update_global_notifications",
        ),
    ] = False
    pronouns_field_type_supported: Annotated[
        bool,
        _row(
            "Knows profile fields of the pronouns kind; others see short text.",
            "custom_profile_fields",
        ),
    ] = True
    linkifier_url_template: Annotated[
        bool, _row("Understands URL templates of linkifiers; matters to the initial state only.")
    ] = False
    user_list_incomplete: Annotated[
        bool, _row("Copes with users it can't see, so no placeholder users are sent.", "realm_user")
    ] = False
    include_deactivated_groups: Annotated[
        bool, _row("Sees a deactivated group as an update instead of a removal.", "user_group")
    ] = False
    archived_channels: Annotated[
        bool, _row("Sees an archived channel as an update instead of a deletion.", "stream")
    ] = False
    empty_topic_name: Annotated[
        bool,
        _row(
            "Accepts the empty topic; others see its display name instead.",
            "delete_message",
            "message",
            "typing",
            "update_message",
            "update_message_flags",
            "user_topic",
        ),
    ] = False
    simplified_presence_events: Annotated[
        bool, _row("`presence` events in the newest form, keyed by user id.", "presence")
    ] = False
    individual_emoji_changes: Annotated[
        bool, _row("`realm_emoji` events for one emoji instead of the whole table.", "realm_emoji")
    ] = False


TOP_LEVEL: frozenset[str] = frozenset({"apply_markdown", "client_gravatar", "slim_presence"})
"""Capabilities that `register` takes as parameters of their own, not inside `client_capabilities` (R6.50)."""

NOT_DECLARED: frozenset[str] = frozenset({"pronouns_field_type_supported"})
"""Capabilities that are worked out from the User-Agent instead of being declared (R6.23)."""


def _meta(field: FieldInfo) -> Any:
    return get_args(field.type)[1]


_ROWS: tuple[FieldInfo, ...] = fields(Capabilities)

CAPABILITY_NAMES: tuple[str, ...] = tuple(field.name for field in _ROWS)

DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {field.name: str(_meta(field).description) for field in _ROWS}
)
"""What each capability means, in a sentence for a person."""

CHANGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {field.name: _meta(field).extra["changes"] for field in _ROWS}
)
"""The event types that each capability changes or decides about; none: it matters to the initial state only."""
