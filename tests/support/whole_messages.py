"""Messages and edits as the application publishes them, whole, so that any processor can shape them."""

from collections.abc import Sequence
from typing import Any

from support.events import Json

SENDER = 9


def wide_message(message_id: int, *, sender: int = SENDER, direct: bool = False) -> Json:
    """A message with its public and its private fields (R4.11)."""
    where: Json = {"type": "private", "display_recipient": [], "recipient_type": 1, "subject": ""}
    if not direct:
        where = {"type": "stream", "display_recipient": "ops", "stream_id": 12, "recipient_type": 2}
        where["subject"] = "deploy"
    return {
        "id": message_id,
        "sender_id": sender,
        "content": "secret *text*",
        "rendered_content": "<p>secret <em>text</em></p>",
        "recipient_id": 88,
        "recipient_type_id": 12,
        "timestamp": 1_790_000_200,
        "client": "website",
        "topic_links": [],
        "is_me_message": False,
        "reactions": [],
        "submessages": [],
        "sender_full_name": "Ana Ruiz",
        "sender_email": f"user{sender}@chat.example",
        "sender_delivery_email": f"ana{sender}@chat.example",
        "sender_email_address_visibility": 1,
        "sender_realm_str": "acme",
        "sender_realm_id": 1,
        "sender_avatar_source": "G",
        "sender_avatar_version": 1,
        "sender_is_mirror_dummy": False,
        **where,
    }


def message_event(message_id: int, *, sender: int = SENDER, direct: bool = False, **inputs: Any) -> Json:
    """The event of a notice that carries a message; `inputs` are notification inputs (R4.6)."""
    message = wide_message(message_id, sender=sender, direct=direct)
    return {"type": "message", "message": message_id, "message_dict": message, **inputs}


def edit_event(message_id: int, *, editor: int | None = SENDER, channel: bool = True, **inputs: Any) -> Json:
    """The event of a notice that carries an edit of a message's content (R4.20)."""
    event = {
        "type": "update_message",
        "user_id": editor,
        "edit_timestamp": 1_790_000_300,
        "message_id": message_id,
        "message_ids": [message_id],
        "rendering_only": False,
        "orig_content": "old",
        "orig_rendered_content": "<p>old</p>",
        "content": "new",
        "rendered_content": "<p>new</p>",
        "is_me_message": False,
        **inputs,
    }
    return event | ({"stream_id": 12, "stream_name": "ops"} if channel else {})


def recipient(user_id: int, *flags: str, group: int | None = None) -> Json:
    """A user of a message's notice."""
    return {"id": user_id, "flags": list(flags), "mentioned_user_group_id": group}


def recipients(user_ids: Sequence[int], *flags: str) -> list[Json]:
    """Users of a message's notice, all with the same flags."""
    return [recipient(user_id, *flags) for user_id in user_ids]
