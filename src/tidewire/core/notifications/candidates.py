"""The candidates of a notice: the users who would be notified of its message if they were away.

The first tables name the members of a template that exist for this decision alone and never reach a client.
"""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tidewire.core.errors import InvalidNotice
from tidewire.core.ids import UserId
from tidewire.core.notices.notice import MAX_ID, Notice
from tidewire.core.notifications.triggers import (
    DIRECT,
    FLAGS,
    HAS_DEVICE,
    UserRecord,
    email_trigger,
    push_trigger,
    user_record,
)

USER_SETS: tuple[str, ...] = (
    "presence_idle_user_ids",
    "online_push_user_ids",
    "dm_mention_push_disabled_user_ids",
    "dm_mention_email_disabled_user_ids",
    "stream_push_user_ids",
    "stream_email_user_ids",
    "topic_wildcard_mention_user_ids",
    "stream_wildcard_mention_user_ids",
    "followed_topic_push_user_ids",
    "followed_topic_email_user_ids",
    "topic_wildcard_mention_in_followed_topic_user_ids",
    "stream_wildcard_mention_in_followed_topic_user_ids",
    "muted_sender_user_ids",
    "all_bot_user_ids",
    "push_device_registered_user_ids",
    "prior_mention_user_ids",
)
"""Lists of user ids. Each that is missing is empty, except the devices: without that list, everyone has one (R5.2)."""


OLD_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "dm_mention_push_disabled_user_ids": "pm_mention_push_disabled_user_ids",
        "dm_mention_email_disabled_user_ids": "pm_mention_email_disabled_user_ids",
        "stream_wildcard_mention_user_ids": "wildcard_mention_user_ids",
        "online_push_user_ids": "push_notify_user_ids",
    }
)
"""What some were called before; the new name wins when both are there (R4.7, R4.20)."""


NOTIFICATION_INPUTS: frozenset[str] = frozenset(
    {*USER_SETS, *OLD_NAMES.values(), "disable_external_notifications"}
)
"""Every such member."""


_NAMED_BY_LIST = (
    "stream_push_user_ids",
    "stream_email_user_ids",
    "followed_topic_push_user_ids",
    "followed_topic_email_user_ids",
)
"""Lists that alone make a candidate; all else needs a flag, or a direct message."""


_NOT_FACTS = frozenset({"presence_idle_user_ids", "prior_mention_user_ids"})
"""Lists that say something else than what the user wants."""


class Candidate(NamedTuple):
    """How one user would be notified.

    Attributes:
        push: trigger of the push notification if they are gone; None: there would be none.
        email: the same for email.
        online_push: they get the push notification even when they are not gone (R5.7).
        presence_idle: the application says that they are idle (R5.13).
    """

    push: str | None
    email: str | None
    online_push: bool
    presence_idle: bool
    mentioned_user_group_id: int | None


class Candidates(NamedTuple):
    """The candidates of one notice.

    Attributes:
        message_id: the message it is about.
        acting_user_id: who wrote or edited it, and is never notified (R5.6); None when nobody did.
        contradictory: whether the message is direct and some users want it as a channel's (R5.5).
    """

    message_id: int
    acting_user_id: int | None
    users: Mapping[UserId, Candidate]
    contradictory: bool = False


NOBODY = Candidates(0, None, MappingProxyType({}))


def candidates(notice: Notice) -> Candidates:
    """The candidates of a notice; of any but `message` and `update_message` there are none.

    Raises:
        InvalidNotice: a member that the decision rests on is not of the form that the documentation gives.
    """
    if notice.kind == "message":
        return _of_message(notice)
    if notice.kind == "update_message":
        return _of_edit(notice)
    return NOBODY


def _of_message(notice: Notice) -> Candidates:
    message = notice.event.get("message_dict")
    if not isinstance(message, dict):
        return NOBODY
    direct = message.get("type") == "private"
    inputs = Inputs(notice.event, direct=direct)
    named = notice.users.keys() if direct else inputs.named(notice)
    sender_id = _id(message.get("sender_id"), "message_dict.sender_id") if named else None
    users: dict[UserId, Candidate] = {}
    for user_id in named:
        if user_id != sender_id:
            judged = inputs.judge(user_id, notice.users[user_id])
            if judged.push or judged.email:
                users[user_id] = inputs.candidate(judged, user_id, _group(notice.users[user_id]))
    if not users:
        return NOBODY
    contradictory = direct and inputs.in_any(_NAMED_BY_LIST, users)
    return Candidates(_id(message.get("id"), "message_dict.id"), sender_id, users, contradictory)


def _of_edit(notice: Notice) -> Candidates:
    """R5.24: whoever is notified of every message, or was mentioned before, was notified of the first version."""
    event = notice.event
    # A channel's message has its name; of a direct one, the original was what notified.
    if "stream_name" not in event or event.get("rendering_only", "user_id" not in event):
        return NOBODY
    inputs = Inputs(event, direct=False)
    editor_id = event.get("user_id")
    users: dict[UserId, Candidate] = {}
    for user_id in inputs.named(notice):
        if user_id == editor_id or user_id in inputs.prior_mentions:
            continue
        judged = inputs.judge(user_id, notice.users[user_id])
        if (judged.push or judged.email) and not judged.record.asked_for:
            users[user_id] = inputs.candidate(judged, user_id, None)
    return Candidates(_id(event.get("message_id"), "message_id"), editor_id, users) if users else NOBODY


MANY = 1000
"""Users of a notice from which on it is looked first at what is said of any."""


class Judged(NamedTuple):
    """What follows from one set of facts."""

    record: UserRecord
    push: str | None
    email: str | None


class Inputs:
    """The members of a template that say whom to notify, as sets; empty ones are left out."""

    __slots__ = ("_common", "_judged", "_lists", "_presence_idle", "prior_mentions")

    def __init__(self, event: Mapping[str, Any], *, direct: bool) -> None:
        lists = {name: found for name in USER_SETS if (found := _user_set(event, name))}
        self._presence_idle = lists.get("presence_idle_user_ids", frozenset())
        self.prior_mentions = lists.get("prior_mention_user_ids", frozenset())
        self._lists = {name: found for name, found in lists.items() if name not in _NOT_FACTS}
        common = {DIRECT} if direct else set()
        if event.get(HAS_DEVICE) is None:
            common.add(HAS_DEVICE)
        if event.get("disable_external_notifications"):
            common.add("disable_external_notifications")
        self._common = common
        self._judged: dict[tuple[str, ...], Judged] = {}

    def named(self, notice: Notice) -> Collection[UserId]:
        """The notice's users whom a list or a flag of theirs makes worth a look, in the notice's order.

        That `flags` are lists of strings was checked when the notice was decoded.
        """
        users = notice.users
        # One quick pass: for most notices it is all that happens here, for every recipient.
        if len(users) <= MANY:
            flagged = {user_id for user_id, more in users.items() if more and _is_flagged(more)}
        else:
            # Of many users much the same is said, by the same object (`core/notices/notice.py`).
            said = {id(more): more for more in users.values()}
            worth = {key for key, more in said.items() if _is_flagged(more)}
            flagged = {user_id for user_id, more in users.items() if id(more) in worth} if worth else set()
        listed = [self._lists[name] for name in _NAMED_BY_LIST if name in self._lists]
        if not flagged and not listed:
            return ()
        named = flagged.union(*(users.keys() & ids for ids in listed))
        return named if len(named) <= 1 else [user_id for user_id in users if user_id in named]

    def judge(self, user_id: UserId, more: Mapping[str, Any]) -> Judged:
        """What follows for a user, worked out once for all who are in the same lists and have the same flags."""
        key = tuple([name for name, ids in self._lists.items() if user_id in ids])
        flags = more.get("flags")
        if flags:
            key += tuple(FLAGS.intersection(flags))
        judged = self._judged.get(key)
        if judged is None:
            record = user_record(frozenset(self._common.union(key)))
            judged = self._judged[key] = Judged(record, push_trigger(record), email_trigger(record))
        return judged

    def candidate(self, judged: Judged, user_id: UserId, group: int | None) -> Candidate:
        """The user as a candidate."""
        online = judged.record.online_push_enabled
        return Candidate(judged.push, judged.email, online, user_id in self._presence_idle, group)

    def in_any(self, names: Iterable[str], user_ids: Iterable[UserId]) -> bool:
        """Whether one of the users is in one of the lists."""
        wanted = set(user_ids)
        return any(not wanted.isdisjoint(self._lists.get(name, ())) for name in names)


def _is_flagged(more: Mapping[str, Any]) -> bool:
    flags = more.get("flags")
    return bool(flags and not FLAGS.isdisjoint(flags))


def _user_set(event: Mapping[str, Any], name: str) -> frozenset[int]:
    old = OLD_NAMES.get(name)
    if name not in event and old is not None:
        name = old
    value = event.get(name)
    if value is None:
        return frozenset()
    if not isinstance(value, list) or not set(map(type, value)) <= {int}:
        raise InvalidNotice(f"Invalid notice: `{name}` must be a list of user ids")
    return frozenset(value)


def _group(more: Mapping[str, Any]) -> int | None:
    group = more.get("mentioned_user_group_id")
    return None if group is None else _id(group, "mentioned_user_group_id")


def _id(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_ID:
        raise InvalidNotice(f"Invalid notice: {where} must be an integer from 0 to {MAX_ID}")
    return value
