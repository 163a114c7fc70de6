"""The path of every event that needs no shaping: to each queue of each user, unchanged (R4.50)."""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.events.acceptance import Event
from tidewire.core.notices.notice import Notice


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Delivers the event as published."""
    deliver(notice, dispatch, notice.event)


def deliver(notice: Notice, dispatch: Dispatch[Any], event: Event, *, withheld: str | None = None) -> None:
    """Delivers one set of bytes to all; the filter is asked once per distinct acceptance."""
    shaped = dispatch.represent(event, withheld=withheld)
    for user_id in dispatch.recipients(notice):
        for descriptor in dispatch.queues_of(user_id):
            dispatch.deliver(descriptor, shaped)
