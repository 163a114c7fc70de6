"""State from the users file: what published clients look for, and nothing that an application would know better.

Nothing of it is changed by events: those stay for the client.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import msgspec

from tidewire.core.ids import RealmId
from tidewire.core.users import User, described
from tidewire.initial_state import Asked, Event, State

# Under their fetch types (R6.58). Empty is the truth where no application has anything of the kind.
_NOTHING: Mapping[str, bytes] = MappingProxyType(
    {
        "alert_words": b'{"alert_words":[]}',
        "custom_profile_fields": b'{"custom_profile_fields":[],"custom_profile_field_types":{}}',
        "default_streams": b'{"realm_default_streams":[]}',
        "drafts": b'{"drafts":[]}',
        "message": b'{"max_message_id":-1,"unread_msgs":{"count":0,"pms":[],"streams":[],"huddles":[],'
        b'"mentions":[],"old_unreads_missing":false}}',
        "muted_topics": b'{"muted_topics":[]}',
        "muted_users": b'{"muted_users":[]}',
        "realm_bot": b'{"realm_bots":[]}',
        "realm_domains": b'{"realm_domains":[]}',
        "realm_emoji": b'{"realm_emoji":{}}',
        "realm_linkifiers": b'{"realm_linkifiers":[]}',
        "realm_playgrounds": b'{"realm_playgrounds":[]}',
        "realm_user_groups": b'{"realm_user_groups":[]}',
        "recent_private_conversations": b'{"recent_private_conversations":[]}',
        "scheduled_messages": b'{"scheduled_messages":[]}',
        "starred_messages": b'{"starred_messages":[]}',
        "stream": b'{"streams":[]}',
        "subscription": b'{"subscriptions":[],"unsubscribed":[],"never_subscribed":[]}',
        "update_display_settings": b'{"twenty_four_hour_time":false}',
        "update_global_notifications": b'{"pm_content_in_desktop_notifications":true}',
        "user_settings": b'{"user_settings":{"twenty_four_hour_time":false,'
        b'"pm_content_in_desktop_notifications":true,"send_private_typing_notifications":true,'
        b'"send_stream_typing_notifications":true}}',
        "user_status": b'{"user_status":{}}',
        "user_topic": b'{"user_topics":[]}',
    }
)

_REALM: Mapping[str, Any] = MappingProxyType(
    {
        "event_queue_longpoll_timeout_seconds": 90,
        "max_message_length": 10_000,
        "max_stream_name_length": 60,
        "max_topic_length": 60,
        "realm_allow_edit_history": True,
        "realm_allow_message_editing": True,
        "realm_empty_topic_display_name": "general chat",
        "realm_message_content_edit_limit_seconds": None,
        "realm_message_retention_days": -1,
        "server_presence_offline_threshold_seconds": 140,
        "server_presence_ping_interval_seconds": 60,
        "server_typing_started_expiry_period_milliseconds": 15_000,
        "server_typing_started_wait_period_milliseconds": 10_000,
        "server_typing_stopped_wait_period_milliseconds": 5_000,
    }
)


class Users(Protocol):
    """The users and realms that the users file lists."""

    @property
    def generation(self) -> int:
        """Rises whenever that changes."""
        ...

    def users(self) -> tuple[User, ...]:
        """All users."""
        ...


class _People(NamedTuple):
    """All of a realm."""

    number: int
    members: State


class DefaultSource:
    """What the server itself can say."""

    def __init__(self, users: Users, *, max_users: int, now: Callable[[], float] = time.time) -> None:
        """Takes who there is, and how many of a realm go to clients that ask for everything, without a name."""
        self._users = users
        self._max_users = max_users
        self._now = now
        self._generation = users.generation
        self._people: dict[RealmId, _People] = {}

    async def read(self, asked: Asked) -> "FixedDraft":
        """Everything that was asked for; it takes no time."""
        state: State = {}
        for fetch_type, members in _NOTHING.items():
            if asked.wants(fetch_type):
                state |= msgspec.json.decode(members)
        if asked.wants("realm"):
            state |= self._realm(asked)
        if asked.wants("realm_user"):
            people = self._people_of(asked.user.realm_id)
            if asked.fetch_types is not None or people.number <= self._max_users:
                state |= people.members
            state |= _own(asked.user)
        if asked.wants("presence"):
            state |= {"presences": {}, "server_timestamp": int(self._now())}
        return FixedDraft(state)

    def _realm(self, asked: Asked) -> State:
        if asked.realm is None:
            return dict(_REALM)
        url = f"https://{asked.realm.host}"
        return {"realm_name": asked.realm.name, "realm_url": url, "realm_uri": url, **_REALM}

    def _people_of(self, realm_id: RealmId) -> "_People":
        """Encoded once: a realm's people are many, and everybody who registers gets them all."""
        if self._generation != self._users.generation:
            self._generation = self._users.generation
            self._people.clear()
        known = self._people.get(realm_id)
        if known is None:
            people = [user for user in self._users.users() if user.realm_id == realm_id]
            members = {
                "realm_users": _raw([_person(user) for user in people if user.active]),
                "realm_non_active_users": _raw([_person(user) for user in people if not user.active]),
                "cross_realm_bots": [],
            }
            known = self._people[realm_id] = _People(len(people), members)
        return known


class FixedDraft:
    """State that no event changes."""

    event_types: frozenset[str] = frozenset()

    def __init__(self, state: State) -> None:
        self.state = state

    async def apply(self, events: Sequence[Event]) -> int:  # noqa: ARG002 - the signature of every draft
        """Does nothing: no event changes what the users file says."""
        return 0


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _person(user: User) -> dict[str, Any]:
    return {**described(user), "profile_data": {}}


def _own(user: User) -> dict[str, Any]:
    own = _person(user)
    names = (
        "user_id",
        "email",
        "delivery_email",
        "full_name",
        "is_admin",
        "is_owner",
        "is_guest",
        "avatar_url",
    )
    return {name: own[name] for name in names}
