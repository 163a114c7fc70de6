"""From what is true of a user to the trigger of a notification: three tables (R5.1, R5.6, R5.8).

A *fact* is the name of a list that the user is in, of a flag that they have on the message, or one of a
few words about the message as a whole. What follows from a set of facts doesn't depend on the user.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

Facts: TypeAlias = frozenset[str]

DIRECT = "direct"
"""The message is a direct one."""

HAS_DEVICE = "push_device_registered_user_ids"
PUSH_DISABLED = "dm_mention_push_disabled_user_ids"
EMAIL_DISABLED = "dm_mention_email_disabled_user_ids"
MUTED_SENDER = "muted_sender_user_ids"
ONLINE_PUSH = "online_push_user_ids"

FLAGS: frozenset[str] = frozenset({"mentioned", "topic_wildcard_mentioned", "stream_wildcard_mentioned"})
"""Flags that matter here."""

_PERSONAL: Mapping[str, Facts] = MappingProxyType(
    {
        "dm": frozenset({DIRECT}),
        "mention": frozenset({"mentioned"}),
        "topic_wildcard_mention": frozenset({"topic_wildcard_mentioned", "topic_wildcard_mention_user_ids"}),
        "stream_wildcard_mention": frozenset(
            {"stream_wildcard_mentioned", "stream_wildcard_mention_user_ids"}
        ),
        "topic_wildcard_mention_in_followed_topic": frozenset(
            {"topic_wildcard_mentioned", "topic_wildcard_mention_in_followed_topic_user_ids"}
        ),
        "stream_wildcard_mention_in_followed_topic": frozenset(
            {"stream_wildcard_mentioned", "stream_wildcard_mention_in_followed_topic_user_ids"}
        ),
    }
)
"""What is for the user in person, and the facts it needs; the user may have switched push or email off for it."""

_ASKED_FOR: tuple[str, ...] = ("stream_push", "stream_email", "followed_topic_push", "followed_topic_email")
"""What the user asked for: a list each for push and for email."""


class UserRecord(NamedTuple):
    """What R5.1 computes for one message and one user, under its names there."""

    dm_push_notify: bool = False
    mention_push_notify: bool = False
    topic_wildcard_mention_push_notify: bool = False
    stream_wildcard_mention_push_notify: bool = False
    topic_wildcard_mention_in_followed_topic_push_notify: bool = False
    stream_wildcard_mention_in_followed_topic_push_notify: bool = False
    followed_topic_push_notify: bool = False
    stream_push_notify: bool = False
    dm_email_notify: bool = False
    mention_email_notify: bool = False
    topic_wildcard_mention_email_notify: bool = False
    stream_wildcard_mention_email_notify: bool = False
    topic_wildcard_mention_in_followed_topic_email_notify: bool = False
    stream_wildcard_mention_in_followed_topic_email_notify: bool = False
    followed_topic_email_notify: bool = False
    stream_email_notify: bool = False
    online_push_enabled: bool = False
    sender_is_muted: bool = False
    disable_external_notifications: bool = False

    @property
    def vetoed(self) -> bool:
        """Whether nothing may be sent, whatever else is true (R5.6)."""
        return self.sender_is_muted or self.disable_external_notifications

    @property
    def asked_for(self) -> bool:
        """Whether the user is notified of every message here, so of the first version too (R5.24)."""
        return (
            self.stream_push_notify
            or self.stream_email_notify
            or self.followed_topic_push_notify
            or self.followed_topic_email_notify
        )


def user_record(facts: Facts) -> UserRecord:
    """The record of a user of whom these facts are true; a bot's is empty (R5.1-R5.3)."""
    if "all_bot_user_ids" in facts:
        return UserRecord()
    device = HAS_DEVICE in facts
    push = device and PUSH_DISABLED not in facts
    email = EMAIL_DISABLED not in facts
    fields: dict[str, bool] = {}
    for name, needed in _PERSONAL.items():
        holds = needed <= facts
        fields[f"{name}_push_notify"] = holds and push
        fields[f"{name}_email_notify"] = holds and email
    for name in _ASKED_FOR:
        fields[f"{name}_notify"] = f"{name}_user_ids" in facts and (device or name.endswith("_email"))
    return UserRecord(
        **fields,
        online_push_enabled=device and ONLINE_PUSH in facts,
        sender_is_muted=MUTED_SENDER in facts,
        disable_external_notifications="disable_external_notifications" in facts,
    )


_TRIGGERS: tuple[tuple[str, str], ...] = (
    ("dm", "direct_message"),
    ("mention", "mentioned"),
    ("topic_wildcard_mention_in_followed_topic", "topic_wildcard_mentioned_in_followed_topic"),
    ("stream_wildcard_mention_in_followed_topic", "stream_wildcard_mentioned_in_followed_topic"),
    ("topic_wildcard_mention", "topic_wildcard_mentioned"),
    ("stream_wildcard_mention", "stream_wildcard_mentioned"),
)

PUSH_TRIGGERS: tuple[tuple[str, str], ...] = (
    *((f"{name}_push_notify", trigger) for name, trigger in _TRIGGERS),
    ("followed_topic_push_notify", "followed_topic_push_notify"),
    ("stream_push_notify", "stream_push_notify"),
)
"""Fields of the record that cause a push notification, the first that holds, with its trigger (R5.8)."""

EMAIL_TRIGGERS: tuple[tuple[str, str], ...] = (
    *((f"{name}_email_notify", trigger) for name, trigger in _TRIGGERS),
    ("followed_topic_email_notify", "followed_topic_email_notify"),
    ("stream_email_notify", "stream_email_notify"),
)
"""The inputs that cause an email, with the trigger that each gives, the first true one winning."""


def push_trigger(record: UserRecord) -> str | None:
    """Why the user would get a push notification if they were gone; None if they wouldn't."""
    return None if record.vetoed else _first(record, PUSH_TRIGGERS)


def email_trigger(record: UserRecord) -> str | None:
    """Why the user would get an email if they were gone; None if they wouldn't."""
    return None if record.vetoed else _first(record, EMAIL_TRIGGERS)


def _first(record: UserRecord, triggers: tuple[tuple[str, str], ...]) -> str | None:
    return next((trigger for name, trigger in triggers if getattr(record, name)), None)
