"""`user_topic`: how much the user wants to hear of a topic (R4.44)."""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors.topics import EMPTY_TOPIC_NAME, with_display_name
from tidewire.core.delivery.processors.variants import deliver_either
from tidewire.core.notices.notice import Notice


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Names the empty topic for clients that don't know it."""
    event = notice.event
    others = with_display_name(event, "topic_name")
    deliver_either(notice, dispatch, EMPTY_TOPIC_NAME, capable=event, others=others)
