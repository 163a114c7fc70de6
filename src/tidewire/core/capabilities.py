"""What a client says it can handle: one declared table, read by registration, shaping and the documentation.

A row is a field of `Capabilities`: its name on the wire, its default, and in its description what it
changes. Adding a capability means adding a row here and reading it where it has its effect.
"""

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import fields


class Capabilities(Struct, frozen=True, kw_only=True):
    """The booleans of R2.1 that decide what a client's events look like and which it gets."""

    apply_markdown: Annotated[bool, Meta(description="Messages carry rendered HTML instead of Markdown.")] = (
        False
    )
    client_gravatar: Annotated[
        bool, Meta(description="The client computes gravatar addresses itself, so `avatar_url` may be null.")
    ] = False
    slim_presence: Annotated[
        bool, Meta(description="`presence` events leave out the user's email address.")
    ] = False
    bulk_message_deletion: Annotated[
        bool, Meta(description="One `delete_message` event for many messages instead of one for each.")
    ] = False
    stream_typing_notifications: Annotated[
        bool, Meta(description="Receives `typing` events of channels; without it only those of direct ones.")
    ] = False
    user_settings_object: Annotated[
        bool, Meta(description="Does not receive the older settings events that `user_settings` replaced.")
    ] = False
    pronouns_field_type_supported: Annotated[
        bool, Meta(description="Knows profile fields of the pronouns kind; others see short text (R6.23).")
    ] = True
    linkifier_url_template: Annotated[
        bool, Meta(description="Understands URL templates of linkifiers; matters to the initial state only.")
    ] = False
    user_list_incomplete: Annotated[
        bool, Meta(description="Copes with users it can't see, so no placeholder users are sent.")
    ] = False
    include_deactivated_groups: Annotated[
        bool, Meta(description="Sees a deactivated group as an update instead of a removal.")
    ] = False
    archived_channels: Annotated[
        bool, Meta(description="Sees an archived channel as an update instead of a deletion.")
    ] = False
    empty_topic_name: Annotated[
        bool, Meta(description="Accepts the empty topic; others see its display name instead.")
    ] = False
    simplified_presence_events: Annotated[
        bool, Meta(description="`presence` events in the newest form, keyed by user id.")
    ] = False
    individual_emoji_changes: Annotated[
        bool, Meta(description="`realm_emoji` events for one emoji instead of the whole table.")
    ] = False


TOP_LEVEL: frozenset[str] = frozenset({"apply_markdown", "client_gravatar", "slim_presence"})
"""Capabilities that `register` takes as parameters of their own, not inside `client_capabilities` (R6.50)."""

NOT_DECLARED: frozenset[str] = frozenset({"pronouns_field_type_supported"})
"""Capabilities that are worked out from the User-Agent instead of being declared (R6.23)."""

CAPABILITY_NAMES: tuple[str, ...] = tuple(field.name for field in fields(Capabilities))
