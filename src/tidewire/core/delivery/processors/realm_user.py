"""`realm_user`: somebody joined, or can be seen now; other changes of users are delivered as published (R4.36-R4.39).

An account that is deactivated loses its queues by it, and one that is activated may have some again.
"""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors import generic, revocation
from tidewire.core.delivery.processors.variants import Marker, deliver_marked
from tidewire.core.notices.notice import Notice

INACCESSIBLE = Marker("inaccessible_user", "user_list_incomplete", skips=True)
"""The new user can't be seen by the recipient, and `person` is a placeholder."""


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Keeps placeholders from clients that cope without."""
    if notice.event.get("op") == "add":
        deliver_marked(notice, dispatch, INACCESSIBLE)
    else:
        generic.process(notice, dispatch)
        _take_or_give_rights(notice, dispatch)


def _take_or_give_rights(notice: Notice, dispatch: Dispatch[Any]) -> None:
    person = notice.event.get("person")
    if notice.event.get("op") != "update" or not isinstance(person, dict):
        return
    user_id = revocation.user_of(person.get("user_id"))
    if user_id is None:
        return
    if person.get("is_active") is False:
        dispatch.revoke_user(user_id)
    elif person.get("is_active") is True:
        dispatch.restore_user(user_id)
