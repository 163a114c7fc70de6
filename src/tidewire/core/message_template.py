"""The event template of a `message` notice, as far as the server reads it (R4.6, R4.11).

A template that can't be read could never be delivered, so it is refused on arrival. Where the system we speak
the protocol of does without a member, so do we; members that are not named here are not looked at.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

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
