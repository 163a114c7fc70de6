"""`revoke_user` and `restore_user`: internal notices that take all queues from a user, and allow them again.

Never delivered. The user is the one that the event names; the notice's `users` play no part.
"""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.errors import InvalidNotice
from tidewire.core.events.acceptance import Event
from tidewire.core.ids import UserId
from tidewire.core.notices.notice import MAX_ID, Notice


def check(event: Event) -> None:
    """Refuses a notice that names nobody.

    Raises:
        InvalidNotice: `user_id` is missing or no id.
    """
    if user_of(event.get("user_id")) is None:
        raise InvalidNotice(
            f"Invalid notice: `user_id` of a {event['type']} event must be an integer from 0 to {MAX_ID}"
        )


def revoke(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Ends the user's queues with all that they hold; until restored, the user gets none."""
    user_id = user_of(notice.event["user_id"])
    if user_id is not None:
        dispatch.revoke_user(user_id)


def restore(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Lets the user register again."""
    user_id = user_of(notice.event["user_id"])
    if user_id is not None:
        dispatch.restore_user(user_id)


def user_of(value: object) -> UserId | None:
    """The user that a value names, if it is an id."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_ID:
        return None
    return UserId(value)
