"""`typing`: somebody types, in a channel or in a direct conversation (R4.45)."""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors import generic
from tidewire.core.delivery.processors.topics import EMPTY_TOPIC_NAME, with_display_name
from tidewire.core.delivery.processors.variants import deliver_either
from tidewire.core.notices.notice import Notice


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Names the empty topic of a channel; direct conversations have none to name."""
    event = notice.event
    if event.get("message_type") != "stream":
        generic.process(notice, dispatch)
        return
    others = with_display_name(event, "topic")
    deliver_either(notice, dispatch, EMPTY_TOPIC_NAME, capable=event, others=others)
