"""Passing users by: who was given a notice before, where not all users of a shard are alike in that (`core/relocation/relocations.py`)."""

from typing import TypeVar

from tidewire.core.delivery.message_payload import CHANNEL, read_template
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notices.notice import Notice
from tidewire.core.notices.split import public_realm
from tidewire.core.records import Aside
from tidewire.core.state.state import State

W = TypeVar("W")


def known_digest(state: State[W], notice_id: str) -> bytes | None:
    """The digest of a notice that all users here, or some, were given; None when it is new to everybody."""
    known = state.remembered.digest(notice_id)
    moves = state.moves
    if known is None and (moves.given or moves.tables):
        return moves.knows(notice_id)
    return known


def is_left(state: State[W], notice: Notice) -> bool:
    """Whether a known notice is new to some, who are then all that it still has."""
    moves = state.moves
    if notice.id is None:
        return False
    # A further part with hearers of its own says nothing of those of the shard's part, nor that one of them.
    has_others = notice.is_detour and notice.hearers is not None
    is_alone = not (has_others or notice.aside or moves.newcomers or moves.under_way)
    if is_alone and notice.id in state.remembered:
        return False
    listeners = _listeners(state, notice)
    aside = frozenset(notice.aside)
    passed = [
        user_id
        for user_id in dict.fromkeys([*notice.users, *listeners])
        if moves.was_given(
            user_id,
            notice.id,
            state.remembered,
            aside=user_id in aside or ((has_others or moves.under_way) and user_id not in notice.users),
        )
    ]
    everybody = len(notice.users.keys() | listeners.keys())
    if len(passed) == everybody and (everybody or notice.id in state.remembered):
        return False
    notice.pass_by(passed)
    return True


def decide_aside(state: State[W], notice: Notice, place: int) -> Aside | None:
    """What a record says of a notice that concerns users on their way; None when it doesn't."""
    moves = state.moves
    if not (notice.is_detour or notice.aside or notice.passed or moves.under_way or moves.newcomers):
        return None
    named: dict[UserId, None] = {}
    if notice.id is not None:
        again = notice.id in state.remembered
        aside = notice.users if again else frozenset(notice.aside)
        named = dict.fromkeys(user_id for user_id in notice.users if user_id in aside)
        if again or aside or notice.is_detour or moves.under_way:
            named.update(
                dict.fromkeys(user for user in _listeners(state, notice) if user not in notice.passed)
            )
    if not (named or notice.passed or notice.is_detour):
        return None
    return Aside(place, tuple(notice.passed), tuple(named), notice.is_detour)


def note_given(state: State[W], notice: Notice, aside: Aside | None, now: float) -> None:
    """Remembers that a notice was given: to all users of the shard as one, and to those on their way by name."""
    if notice.id is None:
        return
    if aside is not None:
        if aside.named:
            state.moves.given.add(notice.id, notice.digest, now, map(UserId, aside.named))
        if aside.is_detour or (notice.users and notice.users.keys() <= set(aside.named)):
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
    hearing = state.directory.hearing(RealmId(template.realm_id), channel)
    users = dict.fromkeys(descriptor.spec.user_id for descriptor in hearing)
    return users if notice.hearers is None else dict.fromkeys(filter(notice.may_hear, users))
