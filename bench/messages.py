"""A message as an application publishes it, and the users that it is for."""

from typing import Any

WIDE_MESSAGE = {
    "id": 1044,
    "type": "stream",
    "stream_id": 12,
    "display_recipient": "ops",
    "subject": "",
    "content": "x" * 300,
    "rendered_content": f"<p>{'x' * 300}</p>",
    "client": "website",
    "sender_id": 7,
    "sender_email": "ada@demo.example",
    "sender_full_name": "Ada",
    "sender_realm_id": 1,
    "timestamp": 1_790_000_200,
    "topic_links": [],
    "reactions": [],
    "submessages": [],
}


def readers(count: int) -> list[dict[str, Any]]:
    """The users 0 to `count`, for whom nothing is special about the message."""
    return [{"id": user, "flags": [], "mentioned_user_group_id": None} for user in range(count)]
