"""Passing users by: who was given a notice before, where not all users of a shard are alike in that (`core/relocation/relocations.py`)."""

from typing import TypeVar

from tidewire.core.delivery.message_payload import CHANNEL, read_template
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notices.notice import Notice
from tidewire.core.notices.split import public_realm
from tidewire.core.records import PartialDelivery
from tidewire.core.state.state import State

W = TypeVar("W")


def known_digest(state: State[W], notice_id: str) -> bytes | None:
    """The digest of a notice that all users here, or some, were given; None when it is new to everybody."""
    known = state.remembered.digest(notice_id)
    relocations = state.relocations
    if known is None and (relocations.given or relocations.tables):
        return relocations.knows(notice_id)
    return known


def restrict_to_unseen(state: State[W], notice: Notice) -> bool:
    """Whether a known notice is new to some, who are then all that it still has."""
    relocations = state.relocations
    if notice.id is None:
        return False
    # A further part with hearers of its own says nothing of those of the shard's part, nor that one of them.
    has_others = notice.is_detour and notice.hearers is not None
    is_alone = not (has_others or notice.aside or relocations.newcomers or relocations.under_way)
    if is_alone and notice.id in state.remembered:
        return False
    listeners = _listeners(state, notice)
    aside = frozenset(notice.aside)
    passed = [
        user_id
        for user_id in dict.fromkeys([*notice.users, *listeners])
        if relocations.was_given(
            user_id,
            notice.id,
            state.remembered,
            aside=user_id in aside or ((has_others or relocations.under_way) and user_id not in notice.users),
        )
    ]
    everybody = len(notice.users.keys() | listeners.keys())
    if len(passed) == everybody and (everybody or notice.id in state.remembered):
        return False
    notice.exclude_users(passed)
    return True


def decide_aside(state: State[W], notice: Notice, place: int) -> PartialDelivery | None:
    """What a record says of a notice that concerns users on their way; None when it doesn't."""
    relocations = state.relocations
    if not (
        notice.is_detour or notice.aside or notice.passed or relocations.under_way or relocations.newcomers
    ):
        return None
    named: dict[UserId, None] = {}
    if notice.id is not None:
        again = notice.id in state.remembered
        aside = notice.users if again else frozenset(notice.aside)
        named = dict.fromkeys(user_id for user_id in notice.users if user_id in aside)
        if again or aside or notice.is_detour or relocations.under_way:
            named.update(
                dict.fromkeys(user for user in _listeners(state, notice) if user not in notice.passed)
            )
    if not (named or notice.passed or notice.is_detour):
        return None
    return PartialDelivery(place, tuple(notice.passed), tuple(named), notice.is_detour)


def record_delivery(state: State[W], notice: Notice, partial: PartialDelivery | None, now: float) -> None:
    """Remembers that a notice was given: to all users of the shard as one, and to those on their way by name."""
    if notice.id is None:
        return
    if partial is not None:
        if partial.named:
            state.relocations.given.add(notice.id, notice.digest, now, map(UserId, partial.named))
        if partial.is_detour or (notice.users and notice.users.keys() <= set(partial.named)):
            # A part that has nobody else says nothing of anybody else.
            return
    state.remembered.add(notice.id, notice.digest, now)


def _listeners(state: State[W], notice: Notice) -> dict[UserId, None]:
    """Who hears of it without being named."""
    if public_realm(notice) is None:
        return {}
    template = read_template(notice.event)
    if template.realm_id is None or notice.realm_id not in {None, template.realm_id}:
        return {}
    channel = template.message_dict.display_recipient if template.message_dict.type == CHANNEL else None
    hearing = state.directory.public_listeners(RealmId(template.realm_id), channel)
    users = dict.fromkeys(descriptor.spec.user_id for descriptor in hearing)
    return users if notice.hearers is None else dict.fromkeys(filter(notice.may_hear, users))
