"""`update_message`: an edit, a move, or a new rendering of messages (R4.20-R4.25).

Only the users that the notice names get it; neither narrows nor the firehose play a part (R4.24).
"""

from collections.abc import Mapping
from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.events.encoding import encode_suffix
from tidewire.core.events.presentation import EMPTY_TOPIC
from tidewire.core.events.shaped_event import Representation
from tidewire.core.notices.notice import Notice
from tidewire.core.notifications.candidates import NOTIFICATION_INPUTS

PRIVATE: frozenset[str] = NOTIFICATION_INPUTS | {"internal_data", "user_ids_without_access_to_sender"}
"""Members of the template or of a user that no client gets (R4.19, R4.20)."""

TOPICS = ("orig_subject", "subject")


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Delivers the template to each queue of each user, with what the notice says of that user."""
    edit = _Edit(notice, dispatch)
    for user_id in dispatch.recipients(notice):
        said = notice.users[user_id]
        queues = dispatch.queues_of(user_id)
        if queues:
            own = {name: value for name, value in said.items() if name not in PRIVATE and name != "type"}
            for descriptor in queues:
                shaped, suffix = edit.shaped(own, descriptor.shape.capabilities.empty_topic_name)
                dispatch.deliver(descriptor, shaped, suffix=suffix)


class _Edit:
    """The two bodies of the event, each made when it is needed, and the suffixes so far."""

    def __init__(self, notice: Notice, dispatch: Dispatch[Any]) -> None:
        self._template = {name: value for name, value in notice.event.items() if name not in PRIVATE}
        self._dispatch = dispatch
        self._bodies: dict[bool, Representation] = {}
        self._suffixes: dict[bytes, bytes] = {}

    def shaped(self, own: Mapping[str, Any], empty_topic_name: bool) -> tuple[Representation, bytes]:
        """Body and suffix for a user of whom the notice says `own` (R4.21)."""
        if own.keys() & self._template.keys():
            # What is said of the user counts. No producer is known that says a thing twice.
            merged = _with_topics({**self._template, **own}, empty_topic_name)
            return self._dispatch.represent(merged), b""
        body = self._bodies.get(empty_topic_name)
        if body is None:
            body = self._dispatch.represent(_with_topics(self._template, empty_topic_name))
            self._bodies[empty_topic_name] = body
        suffix = encode_suffix(own)
        return body, self._suffixes.setdefault(suffix, suffix)


def _with_topics(event: Mapping[str, Any], empty_topic_name: bool) -> Mapping[str, Any]:
    """R4.23: empty topics by their display name, for clients that don't know empty ones."""
    empty = [] if empty_topic_name else [name for name in TOPICS if event.get(name) == ""]
    return {**event, **dict.fromkeys(empty, EMPTY_TOPIC)} if empty else event
