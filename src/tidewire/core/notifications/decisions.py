"""Outcomes: who of the candidates is notified, and what a queue keeps so that it can be done later.

`PendingNotification` is the internal data of R5.4, reduced to what the later decision needs. It stands beside an entry
and never in its bytes, so it can't reach a client. It is never changed: once its user was notified, another
takes its place in every queue that has it, so queues and snapshots may share it.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tidewire.core.ids import UserId
from tidewire.core.notifications.candidates import Candidates
from tidewire.core.notifications.triggers import UserRecord, email_trigger, push_trigger
from tidewire.core.notifications.worker_records import NotificationDecision


class PendingNotification(Struct, frozen=True, array_like=True, gc=False):
    """What a recipient of a message may have missed if they turn out to be gone (R5.31).

    Attributes:
        push: trigger of the push notification they would get; None: there would be none.
        email: the same for email.
        push_notified: it was sent, when the message came or since.
        email_notified: the same for email.
    """

    message_id: int
    sender_id: int
    push: str | None
    email: str | None
    mentioned_user_group_id: int | None = None
    push_notified: bool = False
    email_notified: bool = False

    def left(self, user_id: UserId) -> NotificationDecision | None:
        """What has not been sent yet, if anything (R5.17, D-24)."""
        push = None if self.push_notified else self.push
        email = None if self.email_notified else self.email
        if push is None and email is None:
            return None
        return NotificationDecision(user_id, self.message_id, push, email, self.mentioned_user_group_id)

    def marked(self, notified: NotificationDecision) -> "PendingNotification":
        """A copy in which what was sent is marked as notified (R5.36, D-7)."""
        return replace(
            self,
            push_notified=self.push_notified or notified.push is not None,
            email_notified=self.email_notified or notified.email is not None,
        )


def notified_at_once(found: Candidates, is_off: Callable[[UserId], bool]) -> tuple[NotificationDecision, ...]:
    """Who is notified when the notice comes (R5.7, R5.11); `is_off` is asked for candidates only (R5.16)."""
    outcome: list[NotificationDecision] = []
    for user_id, user in found.users.items():
        idle = user.presence_idle or is_off(user_id)
        push = user.push if idle or user.online_push else None
        email = user.email if idle else None
        if push is not None or email is not None:
            outcome.append(
                NotificationDecision(user_id, found.message_id, push, email, user.mentioned_user_group_id)
            )
    return tuple(outcome)


def missed_by(
    found: Candidates, notified: Iterable[NotificationDecision]
) -> dict[UserId, PendingNotification]:
    """What the queues of each candidate keep of a new message; equal ones are one object."""
    sent = {one.user_id: one for one in notified}
    sender_id = found.acting_user_id or 0
    shared: dict[tuple[Any, ...], PendingNotification] = {}
    kept: dict[UserId, PendingNotification] = {}
    for user_id, user in found.users.items():
        one = sent.get(user_id)
        pushed, emailed = (one.push is not None, one.email is not None) if one else (False, False)
        key = (user.push, user.email, user.mentioned_user_group_id, pushed, emailed)
        missed = shared.get(key)
        if missed is None:
            missed = shared[key] = PendingNotification(found.message_id, sender_id, *key)
        kept[user_id] = missed
    return kept


def notified_later(user_id: UserId, missed: Iterable[PendingNotification]) -> list[NotificationDecision]:
    """Who is gone is told of what their queues held, each message once (R5.31, R5.36, D-5)."""
    once: dict[int, PendingNotification] = {}
    for one in missed:
        once.setdefault(one.message_id, one)
    return [left for one in once.values() if (left := one.left(user_id)) is not None]


_OLD_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "dm_push_notify": "pm_push_notify",
        "dm_email_notify": "pm_email_notify",
        "stream_wildcard_mention_push_notify": "wildcard_mention_push_notify",
        "stream_wildcard_mention_email_notify": "wildcard_mention_email_notify",
    }
)
"""Names that older releases wrote; the new name wins when both are there (R5.33)."""


def missed_of_internal_data(
    internal: Mapping[str, Any], *, user_id: UserId, message_id: int, sender_id: int
) -> PendingNotification | None:
    """What to keep of the `internal_data` of a dumped event; missing fields are false (R2.32, R5.31).

    None when nobody would be notified.
    """
    fields = {
        name: bool(internal.get(name, internal.get(_OLD_FIELDS.get(name, name), False)))
        for name in UserRecord._fields
    }
    record = UserRecord(**fields)
    push, email = push_trigger(record), email_trigger(record)
    if sender_id == user_id or (push is None and email is None):
        return None
    return PendingNotification(
        message_id,
        sender_id,
        push,
        email,
        internal.get("mentioned_user_group_id"),
        bool(internal.get("push_notified")),
        bool(internal.get("email_notified")),
    )
