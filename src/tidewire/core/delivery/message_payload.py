"""Messages: reading a notice's message template, and making from it what each kind of client receives."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from tidewire.core.events.presentation import EMPTY_TOPIC, HIDDEN_AVATAR, HIDDEN_NAME, Presentation, gravatar
from tidewire.core.events.shape import MIRROR, Shape
from tidewire.core.events.shaped_event import Representation

EVERYONE = 1
"""The value of `sender_email_address_visibility` by which everyone sees the sender's address."""


GRAVATAR = "G"
"""The value of `sender_avatar_source` for an avatar that belongs to an address; others are uploaded."""


CHANNEL = "stream"
"""The value of `type` of a message to a channel; the others are direct messages."""


class WideMessage(Struct, frozen=True):
    """What of a message decides how its payloads come out."""

    id: int
    type: str
    sender_id: int
    content: str
    rendered_content: str
    client: str = ""
    display_recipient: Any = None
    subject: str = ""
    sender_email: str = ""
    sender_delivery_email: str | None = None
    sender_email_address_visibility: int = EVERYONE
    sender_avatar_source: str = GRAVATAR
    sender_avatar_version: int = 1
    sender_realm_id: int | None = None
    edit_history: list[dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        if self.sender_realm_id is None and self.sender_avatar_source != GRAVATAR:
            raise ValueError("An uploaded avatar needs `sender_realm_id`")


class MessageTemplate(Struct, frozen=True):
    """A message with what decides who gets it."""

    message_dict: WideMessage
    realm_id: int | None = None
    stream_name: str | None = None
    invite_only: bool | None = None
    sender_queue_id: str | None = None
    local_id: Any = None
    realm_host: str | None = None
    user_ids_without_access_to_sender: frozenset[int] | None = None


def read_template(event: Mapping[str, Any]) -> MessageTemplate:
    """The template of a `message` event.

    Raises:
        msgspec.ValidationError: a member is missing or of the wrong type; says which.
    """
    return msgspec.convert(event, MessageTemplate)


PRIVATE: frozenset[str] = frozenset(
    {
        "rendered_content",
        "sender_realm_id",
        "sender_avatar_source",
        "sender_avatar_version",
        "sender_delivery_email",
        "sender_email_address_visibility",
        "sender_is_mirror_dummy",
        "recipient_type",
        "recipient_type_id",
        "can_access_sender",
        "sender_recipient_id",
        # No part of a wide message, and not to be let through if it stands in one (R4.19).
        "internal_data",
    }
)
"""Members of a wide message that no client gets (R4.11)."""


class Reader(NamedTuple):
    """What a payload depends on."""

    apply_markdown: bool
    client_gravatar: bool
    empty_topic_name: bool
    sees_sender: bool
    marked: bool
    """A bridge, reading a private channel: its payload says so (R4.10.3)."""


class ShapedMessage:
    """One message with the payloads made of it so far."""

    __slots__ = ("_made", "_presentation", "_public", "_represent", "_template")

    def __init__(
        self,
        event: Mapping[str, Any],
        template: MessageTemplate,
        *,
        presentation: Presentation,
        represent: Callable[[Mapping[str, Any]], Representation],
    ) -> None:
        wide = event["message_dict"]
        self._public = {name: value for name, value in wide.items() if name not in PRIVATE}
        self._template = template
        self._presentation = presentation
        self._represent = represent
        self._made: dict[Reader, Representation] = {}

    def for_reader(self, shape: Shape, *, sees_sender: bool) -> Representation:
        """The message as a client of this shape gets it."""
        can = shape.capabilities
        # The mark goes by the name as it is written, unlike the guard against loops (R4.10.7).
        marked = bool(self._template.invite_only) and MIRROR in shape.client_class
        reader = Reader(can.apply_markdown, can.client_gravatar, can.empty_topic_name, sees_sender, marked)
        made = self._made.get(reader)
        if made is None:
            made = self._represent({"type": "message", "message": self._payload(reader)})
            self._made[reader] = made
        return made

    def _payload(self, reader: Reader) -> dict[str, Any]:
        wide = self._template.message_dict
        payload = self._public | self._sender(reader)
        if wide.type == CHANNEL and "subject" in payload:
            payload["subject"] = _topic(wide.subject, reader)
        if wide.edit_history is not None:
            payload["edit_history"] = [_past(entry, reader) for entry in wide.edit_history]
        payload["content"] = wide.rendered_content if reader.apply_markdown else wide.content
        payload["content_type"] = "text/html" if reader.apply_markdown else "text/x-markdown"
        if reader.marked:
            payload["invite_only_stream"] = True
        return payload

    def _sender(self, reader: Reader) -> dict[str, Any]:
        """Who sent it, as far as the reader may know (R4.12.3 to R4.12.5)."""
        wide, presentation = self._template.message_dict, self._presentation
        if not reader.sees_sender:
            email = presentation.stand_in_email(wide.sender_id, self._template.realm_host)
            return {"sender_full_name": HIDDEN_NAME, "sender_email": email, "avatar_url": HIDDEN_AVATAR}
        version = wide.sender_avatar_version
        if wide.sender_avatar_source != GRAVATAR:
            # The template was refused if it has no realm here.
            return {
                "avatar_url": presentation.uploaded_avatar(wide.sender_realm_id or 0, wide.sender_id, version)
            }
        if reader.client_gravatar and wide.sender_email_address_visibility == EVERYONE:
            return {"avatar_url": None}
        return {"avatar_url": gravatar(wide.sender_delivery_email or wide.sender_email, version)}


def _topic(topic: str, reader: Reader) -> str:
    return topic or ("" if reader.empty_topic_name else EMPTY_TOPIC)


def _past(entry: Mapping[str, Any], reader: Reader) -> dict[str, Any]:
    """An entry of the edit history (R4.12.8); the notice's own is left as it is."""
    past = {name: value for name, value in entry.items() if name != "prev_rendered_content_version"}
    for name in ("topic", "prev_topic"):
        if past.get(name) == "":
            past[name] = _topic("", reader)
    return past
