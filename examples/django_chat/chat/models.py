"""What the chat keeps, and what registers it as state: the rules stand here, next to what they are about.

`static/chat/chat.js` has the same rules. Every change is made in `auth/revocation.py`, with the event that tells of it.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models

from tidewire.contrib.django import Asked, Provider, by_rule, provide
from tidewire.state import keyed

SHOWN = 500
"""Messages that a page begins with."""


class Channel(models.Model):
    """Where people talk; only its members see it."""

    name = models.CharField(max_length=50, unique=True)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL)

    def __str__(self) -> str:
        return str(self.name)

    def as_state(self) -> dict[str, Any]:
        """What pages know of it."""
        return {"id": self.pk, "name": self.name}


class Message(models.Model):
    """What somebody said."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE)
    sender = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    text = models.TextField(max_length=4000)
    sent = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.text)

    def as_state(self) -> dict[str, Any]:
        """What pages know of it."""
        return {
            "id": self.pk,
            "channel": self.channel_id,
            "sender": self.sender_id,
            "text": self.text,
            "sent": self.sent.isoformat(),
        }


class Mark(models.Model):
    """Up to which message somebody has read a channel."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    through = models.BigIntegerField(default=0)

    class Meta:
        """One of each pair."""

        constraints = [models.UniqueConstraint(fields=("channel", "user"), name="one_mark")]

    def __str__(self) -> str:
        return f"{self.user} has read {self.channel} through {self.through}"

    def as_state(self) -> dict[str, Any]:
        """What pages know of it."""
        return {
            "id": f"{self.channel_id}-{self.user_id}",
            "channel": self.channel_id,
            "user": self.user_id,
            "through": self.through,
        }


class Token(models.Model):
    """An API key, for programs."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    digest = models.CharField(max_length=64, unique=True)

    def __str__(self) -> str:
        return f"token {self.pk} of {self.user}"


# The state. What `register` answers with, and the rule by which an event changes it.


def read_channels(asked: Asked) -> dict[str, Any]:
    """The user's channels."""
    found = Channel.objects.filter(members=asked.user.id)
    return {"channels": {str(channel.pk): channel.as_state() for channel in found}}


def read_people(_asked: Asked) -> dict[str, Any]:
    """Everybody."""
    found = get_user_model().objects.filter(is_active=True)
    return {"people": {str(user.pk): {"id": user.pk, "name": user.get_username()} for user in found}}


def read_messages(asked: Asked) -> dict[str, Any]:
    """The newest messages of the user's channels."""
    found = Message.objects.filter(channel__members=asked.user.id).order_by("-pk")[:SHOWN]
    return {"messages": {str(message.pk): message.as_state() for message in found}}


def read_marks(asked: Asked) -> dict[str, Any]:
    """How far everybody has read the user's channels."""
    found = (mark.as_state() for mark in Mark.objects.filter(channel__members=asked.user.id))
    return {"marks": {mark["id"]: mark for mark in found}}


RULES = {
    "channels": keyed("channels", event_type="chat_channel", item="channel"),
    "messages": keyed("messages", event_type="chat_message", item="message"),
    "marks": keyed("marks", event_type="chat_mark", item="mark"),
}

provide(Provider(fetch_type="people", read=read_people))
provide(
    Provider(
        fetch_type="channels",
        event_types=frozenset({"chat_channel"}),
        read=read_channels,
        apply=by_rule(RULES["channels"]),
    )
)
provide(
    Provider(
        fetch_type="messages",
        # That somebody is typing changes nothing that is kept.
        event_types=frozenset({"chat_message", "chat_typing"}),
        read=read_messages,
        apply=by_rule(RULES["messages"]),
    )
)
provide(
    Provider(
        fetch_type="marks",
        event_types=frozenset({"chat_mark"}),
        read=read_marks,
        apply=by_rule(RULES["marks"]),
    )
)
