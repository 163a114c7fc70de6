"""`user_group`: changes of groups that one kind of client does not know to be there (R4.40-R4.43).

Who sees deactivated groups gets a deactivation as an update, the others as a removal: two notices, told
apart by the filter (R3.6, R3.7). Their further lives are told apart here.
"""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors import generic
from tidewire.core.delivery.processors.variants import Marker, deliver_marked
from tidewire.core.notices.notice import Notice

DEACTIVATED = Marker("deactivated", "include_deactivated_groups", skips=False)
"""The group that was renamed is gone for clients that don't see deactivated groups."""

FOR_REACTIVATION = Marker("for_reactivation", "include_deactivated_groups", skips=True)
"""The group comes back for clients that saw it removed; the others get an update instead."""


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Removes the private markers and heeds them."""
    match notice.event.get("op"):
        case "add":
            deliver_marked(notice, dispatch, FOR_REACTIVATION)
        case "update":
            deliver_marked(notice, dispatch, DEACTIVATED)
        case _:
            generic.process(notice, dispatch)
