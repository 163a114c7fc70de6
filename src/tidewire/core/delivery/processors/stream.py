"""`stream`: channels created and deleted, or archived and brought back, which some clients see as the same (R4.47).

Who knows archived channels gets an update instead, which the filter keeps from the others (R3.8).
"""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors import generic
from tidewire.core.delivery.processors.variants import Marker, deliver_marked
from tidewire.core.notices.notice import Notice

FOR_UNARCHIVING = Marker("for_unarchiving", "archived_channels", skips=True)
"""The channel is brought back, which looks like a creation to clients that saw it deleted."""

FOR_ARCHIVING = Marker("for_archiving", "archived_channels", skips=True)
"""The channel is archived, which looks like a deletion to clients that don't know archived channels."""


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Removes the private markers and heeds them."""
    match notice.event.get("op"):
        case "create":
            deliver_marked(notice, dispatch, FOR_UNARCHIVING)
        case "delete":
            deliver_marked(notice, dispatch, FOR_ARCHIVING)
        case _:
            generic.process(notice, dispatch)
