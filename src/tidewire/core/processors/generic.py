"""The path of every event that needs no shaping: to each queue of each user, unchanged (R4.50)."""

from typing import Any

from tidewire.core.dispatch import Dispatch
from tidewire.core.notice import Notice


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Delivers one set of bytes to all; the filter is asked once per distinct acceptance."""
    shaped = dispatch.represent(notice.event)
    missed = dispatch.missed
    for user_id in notice.users:
        for descriptor in dispatch.queues_of(user_id):
            dispatch.deliver(descriptor, shaped, missed=missed.get(user_id) if missed else None)
