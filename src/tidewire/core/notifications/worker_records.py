"""Notifications as values, and the records that workers get, with the queues they stand in (R5.18-R5.20)."""

from typing import Any, Literal, TypeAlias

from msgspec import Struct

from tidewire.core.ids import UserId

Kind: TypeAlias = Literal["push", "email"]

EMAIL_QUEUE = "missedmessage_emails"
MOBILE_QUEUE = "missedmessage_mobile_notifications"


class NotificationDecision(Struct, frozen=True, array_like=True, gc=False):
    """The decision to notify one user of one message.

    Attributes:
        push: trigger of the push notification; None when there is none.
        email: trigger of the email.
        mentioned_user_group_id: the group through which the user is mentioned (R5.9).
    """

    user_id: UserId
    message_id: int
    push: str | None
    email: str | None
    mentioned_user_group_id: int | None = None


class Notification(Struct, frozen=True, array_like=True, gc=False):
    """One notification that waits in the outbox.

    Attributes:
        number: which one it is among all of the shard.
        at: the shard's time of the record that decided it.
    """

    number: int
    at: float
    kind: Kind
    user_id: UserId
    message_id: int
    trigger: str
    mentioned_user_group_id: int | None


def mobile_queue(user_id: UserId, shards: int) -> str:
    """The queue of the worker that sends this user's push notifications; `shards` of them share the work."""
    return MOBILE_QUEUE if shards == 1 else f"{MOBILE_QUEUE}_shard{user_id % shards + 1}"


def queue_of(kind: Kind, user_id: UserId, mobile_shards: int) -> str:
    """The queue that a notification goes to."""
    return EMAIL_QUEUE if kind == "email" else mobile_queue(user_id, mobile_shards)


def queue_names(mobile_shards: int) -> tuple[str, ...]:
    """Every queue that there can be."""
    mobile = dict.fromkeys(mobile_queue(UserId(user), mobile_shards) for user in range(mobile_shards))
    return (*mobile, EMAIL_QUEUE)


def wire_record(notification: Notification) -> dict[str, Any]:
    """The record as workers know it."""
    record: dict[str, Any] = {
        "user_profile_id": notification.user_id,
        "message_id": notification.message_id,
        "trigger": notification.trigger,
    }
    if notification.kind == "push":
        record["type"] = "add"
    record["mentioned_user_group_id"] = notification.mentioned_user_group_id
    return record


def stable_id(notification: Notification) -> str:
    """A name for the notification that is the same at every reading, and after recovery.

    It is made of kind, user, message, number and the microsecond of the decision. Number and time both: a
    user may be notified of one message twice for good reason, and numbers begin anew when state is lost.
    """
    microsecond = round(notification.at * 1_000_000)
    return "-".join(
        [
            notification.kind,
            str(notification.user_id),
            str(notification.message_id),
            str(notification.number),
            str(microsecond),
        ]
    )
