"""The empty topic, for clients that don't know there is one: they see its display name instead (R4.5)."""

from tidewire.core.events.acceptance import Event
from tidewire.core.events.presentation import EMPTY_TOPIC

EMPTY_TOPIC_NAME = "empty_topic_name"
"""The capability of clients that take the empty topic as it is."""


def with_display_name(event: Event, name: str) -> Event:
    """The event with a named topic in the member `name`; the event itself when its topic isn't empty."""
    return {**event, name: EMPTY_TOPIC} if event.get(name) == "" else event
