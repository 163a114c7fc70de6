"""Every event type of the protocol, with its operations and what it tells: a table for people.

The server doesn't read it: it delivers types that it doesn't know. `make reference` writes the page.
"""

from typing import NamedTuple

from tidewire.core.delivery.processors import PROCESSORS


class EventType(NamedTuple):
    """One row: a type with one or more of its operations.

    Attributes:
        kind: the event's `type`.
        ops: values of its `op`; none: it has no `op`.
        meaning: what it tells a client.
    """

    kind: str
    ops: tuple[str, ...]
    meaning: str


EVENT_TYPES: tuple[EventType, ...] = (
    EventType("alert_words", (), "The user's alert words, all of them."),
    EventType(
        "attachment",
        ("add", "update", "remove"),
        "A file the user uploaded is new, changed or gone; with the space that all of them take.",
    ),
    EventType("channel_folder", ("add",), "There is a new folder of channels."),
    EventType("channel_folder", ("update",), "A folder's name or description changed, or it was archived."),
    EventType("channel_folder", ("reorder",), "The folders stand in another order."),
    EventType("custom_profile_fields", (), "The realm's profile fields, all of them."),
    EventType("default_stream_groups", (), "The groups of channels offered to new users, all of them."),
    EventType("default_streams", (), "The channels that new users are subscribed to, all of them."),
    EventType("delete_message", (), "Messages were deleted, or the user may no longer see them."),
    EventType("device", ("add", "update", "remove"), "One of the user's registered devices changed."),
    EventType("drafts", ("add", "update", "remove"), "A saved draft is new, changed or gone."),
    EventType("has_webex_token", (), "Whether the user's account is linked with Webex."),
    EventType("has_zoom_token", (), "Whether the user's account is linked with Zoom."),
    EventType("heartbeat", (), "Nothing happened; ends a long wait."),
    EventType("invites_changed", (), "The list of invitations is out of date and should be fetched."),
    EventType("message", (), "A message was sent."),
    EventType("muted_topics", (), "The topics the user muted, all of them. Replaced by `user_topic`."),
    EventType("muted_users", (), "The users that the user muted, all of them."),
    EventType(
        "navigation_view", ("add", "update", "remove"), "One of the views in the user's sidebar changed."
    ),
    EventType("onboarding_steps", (), "The hints for new users that are still to be shown."),
    EventType("presence", (), "A user is back online."),
    EventType("push_device", (), "How registering a device for encrypted push notifications ended."),
    EventType("reaction", ("add", "remove"), "Somebody put an emoji under a message, or took it away."),
    EventType("realm", ("update",), "One setting of the realm changed."),
    EventType("realm", ("update_dict",), "Several settings of the realm changed together."),
    EventType("realm", ("deactivated",), "The realm was switched off."),
    EventType("realm_bot", ("add", "update", "delete"), "A bot that the user looks after changed."),
    EventType("realm_domains", ("add", "change", "remove"), "A domain that addresses may be of changed."),
    EventType("realm_emoji", ("add", "update_one"), "One of the realm's own emoji is new or changed."),
    EventType("realm_emoji", ("update",), "The realm's own emoji, all of them."),
    EventType("realm_export", (), "The exports of the realm's data, all of them."),
    EventType(
        "realm_export_consent", (), "A user allowed the export of their private data, or not any more."
    ),
    EventType("realm_filters", (), "The linkifiers in their oldest form. Replaced by `realm_linkifiers`."),
    EventType("realm_linkifiers", (), "The patterns that become links in messages, all of them."),
    EventType("realm_playgrounds", (), "The places where code blocks can be tried out, all of them."),
    EventType("realm_user", ("add",), "A user joined, or can be seen from now on."),
    EventType("realm_user", ("update",), "One thing about a user changed; `person` has it."),
    EventType("realm_user", ("remove",), "A user can't be seen any more."),
    EventType("realm_user_settings_defaults", ("update",), "What one setting is for new users changed."),
    EventType("reminders", ("add", "remove"), "The user's reminders of messages changed."),
    EventType("restart", (), "The server has started again; with its version."),
    EventType("saved_snippets", ("add", "update", "remove"), "One of the user's saved snippets changed."),
    EventType(
        "scheduled_messages", ("add", "update", "remove"), "The user's messages to be sent later changed."
    ),
    EventType("stream", ("create",), "There is a new channel, or one can be seen from now on."),
    EventType("stream", ("delete",), "A channel is gone, or can't be seen any more."),
    EventType("stream", ("update",), "One property of a channel changed."),
    EventType("submessage", (), "Somebody used a poll, to-do list or the like in a message."),
    EventType("subscription", ("add", "remove"), "The user was subscribed to channels, or unsubscribed."),
    EventType("subscription", ("update",), "One of the user's own settings for a channel changed."),
    EventType(
        "subscription", ("peer_add", "peer_remove"), "Others were subscribed to channels, or unsubscribed."
    ),
    EventType(
        "typing", ("start", "stop"), "Somebody types, in a channel or a direct conversation, or stopped."
    ),
    EventType("typing_edit_message", ("start", "stop"), "Somebody edits a message, or stopped."),
    EventType("update_display_settings", (), "A display setting changed. Replaced by `user_settings`."),
    EventType(
        "update_global_notifications", (), "A notification setting changed. Replaced by `user_settings`."
    ),
    EventType("update_message", (), "Messages were edited or moved, or a message was rendered again."),
    EventType(
        "update_message_flags", ("add", "remove"), "A flag such as `read` or `starred` was set or cleared."
    ),
    EventType("user_group", ("add",), "There is a new group, or one is back."),
    EventType("user_group", ("update",), "Properties of a group changed; `data` has them."),
    EventType(
        "user_group", ("remove",), "A group is gone, as clients see it that don't know deactivated groups."
    ),
    EventType("user_group", ("add_members", "remove_members"), "Users were put in a group or taken out."),
    EventType(
        "user_group", ("add_subgroups", "remove_subgroups"), "Groups were put in a group or taken out."
    ),
    EventType("user_settings", ("update",), "One of the user's settings changed."),
    EventType("user_status", (), "A user's status text or emoji changed."),
    EventType("user_topic", (), "How much the user wants to hear of a topic changed."),
    EventType("web_reload_client", (), "The web app should load itself anew."),
)
"""In the order of the page."""

SERVERS_OWN = frozenset({"heartbeat", "restart", "web_reload_client"})
"""Types that the server itself makes events of."""

INTRODUCTION = """\
# Event types

<!-- Made by `make reference`; change the table there instead. -->

The types of events that clients of the protocol know. The server needs to know none of them: a type that is not here is
delivered as published.

*Path* says what happens to a notice of the type. *As published*: every queue of its users that accepts it gets the same
event. *Shaped*: what a client gets depends on its [capabilities](capabilities.md), as
[What clients receive](what-clients-receive.md) shows. *The server's own*: made by the server, as
[Events](events.md#events-of-the-servers-own) says.

| Type | `op` | Meaning | Path |
| --- | --- | --- | --- |
"""


def render() -> str:
    """The page."""
    return INTRODUCTION + "".join(_row(row) for row in EVENT_TYPES)


def _row(row: EventType) -> str:
    ops = ", ".join(f"`{op}`" for op in row.ops) or "none"
    return f"| `{row.kind}` | {ops} | {row.meaning} | {_path(row.kind)} |\n"


def _path(kind: str) -> str:
    if kind in SERVERS_OWN:
        return "the server's own"
    return "shaped" if kind in PROCESSORS else "as published"
