"""`delete_message`: messages are gone, or gone for these users (R4.27, R4.28)."""

from functools import cache
from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.processors.topics import with_display_name
from tidewire.core.delivery.processors.variants import Variant, deliver_variants, without
from tidewire.core.errors import InvalidNotice
from tidewire.core.events.acceptance import Event
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.notices.notice import Notice


def check(event: Event) -> None:
    """Without a list there is nothing to tell those who take one message at a time.

    Raises:
        InvalidNotice: `message_ids` is not a list.
    """
    if not isinstance(event.get("message_ids"), list):
        raise InvalidNotice("Invalid notice: `message_ids` of delete_message must be a list")


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """One event for all messages, or one for each; two of either kind when the topic is empty."""
    event = notice.event
    named = with_display_name(event, "topic")

    @cache
    def variant(*, bulk: bool, as_published: bool) -> Variant:
        shown = event if as_published else named
        return [dispatch.represent(shown)] if bulk else [dispatch.represent(one) for one in _singly(shown)]

    def variant_for(capabilities: Capabilities) -> Variant:
        as_published = capabilities.empty_topic_name or named is event
        return variant(bulk=capabilities.bulk_message_deletion, as_published=as_published)

    deliver_variants(notice, dispatch, variant_for)


def _singly(event: Event) -> list[Event]:
    rest = without(event, "message_ids")
    return [{**rest, "message_id": message_id} for message_id in event["message_ids"]]
