"""The members of a template that say whom to notify: for the decision alone, never for a client (R4.6, R4.20).

One declared list: what decides reads it by these names, and what shapes events for clients removes them.
"""

from collections.abc import Mapping
from types import MappingProxyType

USER_SETS: tuple[str, ...] = (
    "presence_idle_user_ids",
    "online_push_user_ids",
    "dm_mention_push_disabled_user_ids",
    "dm_mention_email_disabled_user_ids",
    "stream_push_user_ids",
    "stream_email_user_ids",
    "topic_wildcard_mention_user_ids",
    "stream_wildcard_mention_user_ids",
    "followed_topic_push_user_ids",
    "followed_topic_email_user_ids",
    "topic_wildcard_mention_in_followed_topic_user_ids",
    "stream_wildcard_mention_in_followed_topic_user_ids",
    "muted_sender_user_ids",
    "all_bot_user_ids",
    "push_device_registered_user_ids",
    "prior_mention_user_ids",
)
"""Lists of user ids. Each that is missing is empty, except the devices: without that list, everyone has one (R5.2)."""

OLD_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "dm_mention_push_disabled_user_ids": "pm_mention_push_disabled_user_ids",
        "dm_mention_email_disabled_user_ids": "pm_mention_email_disabled_user_ids",
        "stream_wildcard_mention_user_ids": "wildcard_mention_user_ids",
        "online_push_user_ids": "push_notify_user_ids",
    }
)
"""What some were called before; the new name wins when both are there (R4.7, R4.20)."""

NOTIFICATION_INPUTS: frozenset[str] = frozenset(
    {*USER_SETS, *OLD_NAMES.values(), "disable_external_notifications"}
)
"""Every such member."""
