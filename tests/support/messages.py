"""Messages as an application publishes them, and clients that read them."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from support.core_rig import KeepingSlot, Rig, spec
from support.events import Json, notice
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.queues.descriptor import QueueSpec

WIDE: Json = {
    "id": 1044,
    "type": "stream",
    "stream_id": 12,
    "display_recipient": "ops",
    "subject": "deploy",
    "content": "*done*",
    "rendered_content": "<p><em>done</em></p>",
    "recipient_id": 88,
    "timestamp": 1_790_000_200,
    "client": "website",
    "topic_links": [],
    "is_me_message": False,
    "reactions": [],
    "submessages": [],
    "sender_id": 31,
    "sender_full_name": "Ana Ruiz",
    "sender_email": "user31@chat.example",
    "sender_delivery_email": "Ana@chat.example",
    "sender_realm_str": "acme",
    "sender_realm_id": 1,
    "sender_recipient_id": 131,
    "sender_avatar_source": "G",
    "sender_avatar_version": 2,
    "sender_email_address_visibility": 1,
    "sender_is_mirror_dummy": False,
    "recipient_type": 2,
    "recipient_type_id": 12,
    "can_access_sender": True,
}
"""A message with all private members (R4.11)."""

DIRECT: Json = {"type": "private", "subject": "", "recipient_type": 1, "display_recipient": []}
"""What is different about a direct message."""


def message(template: Json | None = None, **members: Any) -> Json:
    """The event of a message to a public channel; `template` adds to the event, `members` to the message."""
    public = {"realm_id": 1, "stream_name": "ops", "invite_only": False}
    return {"type": "message", "message_dict": {**WIDE, **members}, **public, **(template or {})}


def reader(user: int = 1, *, client: str = "website", **members: Any) -> QueueSpec:
    """What a client registers with: capabilities and everything else by name."""
    names = Capabilities.__struct_fields__
    capabilities = Capabilities(**{name: members.pop(name) for name in names if name in members})
    return replace(spec(user=user), client_type_name=client, capabilities=capabilities, **members)


def publish(rig: Rig, event: Json, users: Sequence[int | Json] = (1,), **members: Any) -> None:
    """Publishes one notice."""
    rig.engine.publish(decode_notices(notice(event, users, **members)), KeepingSlot[int]())


def only(rig: Rig, queue_id: str, user: int = 1) -> Json:
    """The one event in a queue."""
    (event,) = rig.poll(queue_id, user=user).events
    return event
