"""The changes, each with its event in one transaction: both are there in the end, or neither."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from chat.models import Channel, Mark, Message
from tidewire.contrib.django import send_event


def tell(channel: Channel, event: Mapping[str, Any]) -> None:
    """Tells the members of a channel."""
    send_event(event=event, users=list(channel.members.values_list("pk", flat=True)))


def open_channel(name: str, members: list[int]) -> Channel:
    """Opens a channel."""
    with transaction.atomic():
        channel = Channel.objects.create(name=name)
        channel.members.set(members)
        tell(channel, {"type": "chat_channel", "channel": channel.as_state()})
    return channel


def say(channel: Channel, user_id: int, text: str) -> Message:
    """Says something, which is read by whoever says it."""
    with transaction.atomic():
        message = Message.objects.create(channel=channel, sender_id=user_id, text=text)
        tell(channel, {"type": "chat_message", "message": message.as_state()})
        read(channel, user_id, message.pk)
    return message


def read(channel: Channel, user_id: int, through: int) -> None:
    """Has read a channel; never less than before."""
    with transaction.atomic():
        # The row's lock makes one's own windows take turns, so that the events come in the order of the marks.
        mark, _ = Mark.objects.select_for_update().get_or_create(channel=channel, user_id=user_id)
        if through > mark.through:
            mark.through = through
            mark.save()
            tell(channel, {"type": "chat_mark", "mark": mark.as_state()})


def typing(channel: Channel, user_id: int) -> None:
    """Is typing."""
    tell(channel, {"type": "chat_typing", "channel": channel.pk, "user": user_id})
