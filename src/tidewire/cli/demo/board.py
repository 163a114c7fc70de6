"""The demo's own application: makes the notices of messages and reactions, as an application would (R4.6, R4.11).

A real one keeps its messages in a database. This one remembers who got which of the newest, for the reactions.
"""

import html
import itertools
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tidewire.core.errors import BadRequest
from tidewire.core.ids import UserId
from tidewire.core.users import Realm, Role, User

PERSONAL, CHANNEL, GROUP = 1, 2, 3
"""Kinds of recipients, as the numbers that wide messages have for them (R4.11)."""

EVERYONE = 1
"""The email visibility under which everybody may see the address (R4.12)."""

CHANNELS = ("general", "deployments")
"""Names of the demo's channels; their ids count from 1. Guests are only in the first."""

REMEMBERED = 1000
"""Messages that reactions can still be added to: as many as a client shows."""


class Channel(NamedTuple):
    """A channel, public in its realm."""

    id: int
    name: str
    subscribers: tuple[User, ...]


class Posted(NamedTuple):
    """What became of a message or a reaction.

    Attributes:
        message_id: the message's number, from 1; it starts anew with the demo.
        notice: what is to be published, as it stands in JSON.
    """

    message_id: int
    notice: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What a sender says.

    Attributes:
        client: name of the client it was sent with.
        at: UNIX second.
        queue_id: the sender's queue that shows the message already, if any.
        local_id: what that client calls it.
    """

    sender: User
    content: str
    client: str
    at: int
    queue_id: str | None = None
    local_id: str | None = None


class Board:
    """The messages of one realm.

    Attributes:
        users: everybody in the realm.
        channels: by name.
    """

    def __init__(self, realm: Realm, users: Sequence[User]) -> None:
        self.users = users
        self.channels = {
            name: Channel(number, name, tuple(user for user in users if number == 1 or _is_full(user)))
            for number, name in enumerate(CHANNELS, 1)
        }
        self._realm = realm
        self._numbers = itertools.count(1)
        # Of channels and of groups of users: never more than the few users can form.
        self._recipient_ids: dict[Collection[UserId] | str, int] = {}
        self._readers: OrderedDict[int, tuple[UserId, ...]] = OrderedDict()

    def send_direct(self, draft: Draft, recipients: Collection[User]) -> Posted:
        """A direct message; the sender gets it too."""
        everybody = {user.id: user for user in (*recipients, draft.sender)}
        in_order = [everybody[user_id] for user_id in sorted(everybody)]
        readers = [draft.sender, *(user for user in in_order if user.id != draft.sender.id)]
        wide = {
            "type": "private",
            "subject": "",
            "display_recipient": [
                {
                    "id": user.id,
                    "email": user.email,
                    "full_name": user.full_name,
                    "is_mirror_dummy": False,
                }
                for user in in_order
            ],
            "recipient_id": self._recipient_id(frozenset(everybody)),
            "recipient_type": PERSONAL if len(readers) <= 2 else GROUP,  # noqa: PLR2004 - you and I
            "recipient_type_id": readers[-1].id,
        }
        return self._post(draft, readers, wide, {})

    def send_to_channel(self, draft: Draft, channel: Channel, topic: str) -> Posted:
        """A message in a channel.

        Raises:
            BadRequest: the sender is not subscribed.
        """
        if draft.sender not in channel.subscribers:
            raise BadRequest(f"Not authorized to send to channel '{channel.name}'")
        others = [user for user in channel.subscribers if user.id != draft.sender.id]
        wide = {
            "type": "stream",
            "stream_id": channel.id,
            "subject": topic,
            "display_recipient": channel.name,
            "recipient_id": self._recipient_id(channel.name),
            "recipient_type": CHANNEL,
            "recipient_type_id": channel.id,
        }
        # These let queues of people who are not subscribed have it, if they asked for all public channels.
        public = {"realm_id": self._realm.id, "stream_name": channel.name, "invite_only": False}
        return self._post(draft, [draft.sender, *others], wide, public)

    def react(self, user: User, message_id: int, emoji: Mapping[str, str]) -> Posted:
        """A reaction to a message that the user got.

        Args:
            user: who reacts.
            message_id: to what.
            emoji: `emoji_name`, `emoji_code` and `reaction_type`.

        Raises:
            BadRequest: there is no such message, or it is not theirs.
        """
        readers = self._readers.get(message_id, ())
        if user.id not in readers:
            raise BadRequest("Invalid message(s)")
        event = {"type": "reaction", "op": "add", "user_id": user.id, "message_id": message_id, **emoji}
        return Posted(message_id, {"event": event, "users": readers, "realm_id": self._realm.id})

    def _recipient_id(self, recipient: Collection[UserId] | str) -> int:
        return self._recipient_ids.setdefault(recipient, len(self._recipient_ids) + 1)

    def _post(
        self, draft: Draft, readers: Sequence[User], wide: Mapping[str, Any], public: Mapping[str, Any]
    ) -> Posted:
        message_id = next(self._numbers)
        self._readers[message_id] = tuple(user.id for user in readers)
        if len(self._readers) > REMEMBERED:
            self._readers.popitem(last=False)
        event = {
            "type": "message",
            "message": message_id,
            "message_dict": {"id": message_id, **_said(draft, self._realm), **wide},
            "realm_host": self._realm.host,
            "all_bot_user_ids": [user.id for user in self.users if user.role is Role.BOT],
            # Nobody has a telephone here; without the member everybody would count as having one.
            "push_device_registered_user_ids": [],
            **public,
            **_echo(draft),
        }
        users = [{"id": user.id, "flags": list(_flags(draft, user))} for user in readers]
        return Posted(message_id, {"event": event, "users": users, "realm_id": self._realm.id})


def _is_full(user: User) -> bool:
    return user.role is not Role.GUEST


def _said(draft: Draft, realm: Realm) -> dict[str, Any]:
    """The members of the wide message that don't depend on whom it is for (R4.11)."""
    sender = draft.sender
    realm_name = realm.host.partition(".")[0]
    return {
        "sender_id": sender.id,
        "sender_full_name": sender.full_name,
        "sender_email": sender.email,
        "sender_realm_str": realm_name,
        "sender_realm_id": realm.id,
        "sender_delivery_email": sender.email,
        "sender_email_address_visibility": EVERYONE,
        "sender_avatar_source": "G",
        "sender_avatar_version": 1,
        "sender_is_mirror_dummy": False,
        "content": draft.content,
        "rendered_content": _rendered(draft.content),
        "timestamp": draft.at,
        "client": draft.client,
        "topic_links": [],
        "is_me_message": draft.content.startswith("/me "),
        "reactions": [],
        "submessages": [],
    }


def _echo(draft: Draft) -> dict[str, str]:
    """Which queue has shown the message already, and under which name."""
    given = {"sender_queue_id": draft.queue_id, "local_id": draft.local_id}
    return {name: value for name, value in given.items() if value is not None}


def _flags(draft: Draft, user: User) -> Iterator[str]:
    if user.id == draft.sender.id:
        yield "read"
    if f"@**{user.full_name}**" in draft.content or f"@**{user.full_name}|{user.id}**" in draft.content:
        yield "mentioned"


def _rendered(content: str) -> str:
    """The content as HTML: paragraphs, and nothing of Markdown."""
    return "\n".join(f"<p>{paragraph}</p>" for paragraph in html.escape(content).split("\n\n"))
