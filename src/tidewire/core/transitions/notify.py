"""Whom to notify, as far as it rests on queues: which users are gone, and what their queues still hold.

Everything here is asked while deciding; what comes out is written in the record (D4). Only `mark` belongs
to applying.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from tidewire.core.delivery.processors import cleanup_queue
from tidewire.core.ids import UserId
from tidewire.core.notices.notice import Notice
from tidewire.core.notifications.candidates import Candidates
from tidewire.core.notifications.decisions import notified_at_once, notified_later
from tidewire.core.notifications.worker_records import NotificationDecision
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.records import Outcome
from tidewire.core.state.state import State
from tidewire.core.transitions.publish_batch import PublishBatch

W = TypeVar("W")


def decide_outcomes(state: State[W], part: PublishBatch) -> tuple[Outcome, ...]:
    """Whom the notices of a part notify, each decided on the state as it is now."""
    outcomes: list[Outcome] = []
    for place, (notice, found) in enumerate(zip(part.notices, part.candidates, strict=True)):
        notified = _decide(state, notice, found)
        if notified:
            outcomes.append(Outcome(place, notified))
    return tuple(outcomes)


def _decide(state: State[W], notice: Notice, found: Candidates) -> tuple[NotificationDecision, ...]:
    if found.users:
        notified = notified_at_once(found, state.is_off)
        # Who has lost the right to messages is told of none.
        return tuple(one for one in notified if one.user_id not in state.revoked)
    if notice.kind == "cleanup_queue":
        descriptor = state.directory.get(cleanup_queue.named_queue(notice))
        if descriptor is not None and descriptor.spec.user_id in notice.users:
            return notified_by_leaving(state, [descriptor])
    return ()


def notified_by_leaving(
    state: State[W], leaving: Sequence[Descriptor[W]]
) -> tuple[NotificationDecision, ...]:
    """What owners are told when these queues end or go offline together (R5.30, R5.31).

    A user is told if afterwards no queue is left that a message would reach them in (D-6), of what the
    leaving ones hold, each message once (D-5). A queue that is offline already has told it.
    """
    by_user: dict[UserId, list[Descriptor[W]]] = {}
    for descriptor in leaving:
        if descriptor.hears_messages:
            by_user.setdefault(descriptor.spec.user_id, []).append(descriptor)
    notified: list[NotificationDecision] = []
    for user_id, queues in by_user.items():
        hearing = sum(queue.hears_messages for queue in state.directory.of_user(user_id))
        if hearing == len(queues):
            held = [
                missed for queue in queues if queue.queue.missed for missed in queue.queue.missed.values()
            ]
            notified += notified_later(user_id, held)
    return tuple(notified)


def mark(state: State[W], notified: Iterable[NotificationDecision]) -> None:
    """Notes in all queues that are left what their owners have been told, so that it is not told again (D-7)."""
    by_user: dict[UserId, dict[int, NotificationDecision]] = {}
    for one in notified:
        by_user.setdefault(one.user_id, {})[one.message_id] = one
    for user_id, messages in by_user.items():
        for descriptor in state.directory.of_user(user_id):
            descriptor.queue.mark(messages)
