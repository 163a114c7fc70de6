"""`update_message_flags`: of these changes, marking as unread brings the messages' topics along (R4.46)."""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors import generic
from tidewire.core.delivery.processors.topics import EMPTY_TOPIC_NAME, with_display_name
from tidewire.core.delivery.processors.variants import deliver_either
from tidewire.core.errors import InvalidNotice
from tidewire.core.events.acceptance import Event
from tidewire.core.notices.notice import Notice


def check(event: Event) -> None:
    """Details are by message; without any the flags still change.

    Raises:
        InvalidNotice: messages are marked as unread with `message_details` that are no object.
    """
    if _marks_unread(event) and not isinstance(event.get("message_details", {}), dict):
        raise InvalidNotice("Invalid notice: `message_details` of update_message_flags must be an object")


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Names the empty topic in the details of channel messages."""
    event = notice.event
    if not _marks_unread(event) or "message_details" not in event:
        generic.process(notice, dispatch)
        return
    named = {message_id: _named(detail) for message_id, detail in event["message_details"].items()}
    others = {**event, "message_details": named}
    deliver_either(notice, dispatch, EMPTY_TOPIC_NAME, capable=event, others=others)


def _marks_unread(event: Event) -> bool:
    return event.get("op") == "remove" and event.get("flag") == "read"


def _named(detail: object) -> object:
    if isinstance(detail, dict) and detail.get("type") == "stream":
        return with_display_name(detail, "topic")
    return detail
