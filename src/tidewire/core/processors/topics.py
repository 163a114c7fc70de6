"""The empty topic, for clients that don't know there is one: they see its display name instead (R4.5)."""

from tidewire.core.acceptance import Event

EMPTY_TOPIC = "general chat"
"""What the realm calls its empty topic; the same in every realm and language."""

EMPTY_TOPIC_NAME = "empty_topic_name"
"""The capability of clients that take the empty topic as it is."""


def with_display_name(event: Event, name: str) -> Event:
    """The event with a named topic in the member `name`; the event itself when its topic isn't empty."""
    return {**event, name: EMPTY_TOPIC} if event.get(name) == "" else event
