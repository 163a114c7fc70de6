"""Deciding that queues end: which, why, and whom that concerns.

Nothing here changes the durable part of the state; a record that can't be journalled is decided anew.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from tidewire.core import notifying
from tidewire.core.descriptor import Descriptor
from tidewire.core.ids import QueueId, UserId
from tidewire.core.records import NOTIFYING, Reason, Removed
from tidewire.core.state import State

W = TypeVar("W")


def decide_ends(
    state: State[W], ending: Sequence[Descriptor[W]], reason: Reason, now: float
) -> list[Removed]:
    """The end of queues that end together.

    Whom that concerns is judged over all of them, and stands in the first record (D-5).
    """
    notified = notifying.notified_by_leaving(state, ending) if NOTIFYING[reason] else ()
    return [
        Removed(now, descriptor.queue_id, reason, () if place else notified)
        for place, descriptor in enumerate(ending)
    ]


def decide_delete(state: State[W], queue_id: str, user_id: UserId, now: float) -> Removed:
    """The end of a queue that its owner asked for.

    Raises:
        UserMoving: the user is just moving to another shard.
        BadEventQueueId: the user has no such queue.
    """
    state.moves.check_here(user_id)
    (record,) = decide_ends(state, [state.owned(queue_id, user_id)], "deleted", now)
    return record


def decide_revoke(
    state: State[W], user_ids: Iterable[UserId], queue_ids: Iterable[QueueId], now: float
) -> list[Removed]:
    """The end of every queue of these users, whose rights are no longer what the queues rest on, and of these (D11)."""
    ending = {found.queue_id: found for user_id in user_ids for found in state.directory.of_user(user_id)}
    named = (state.directory.get(queue_id) for queue_id in queue_ids)
    ending |= {found.queue_id: found for found in named if found is not None}
    return decide_ends(state, list(ending.values()), "revoked", now)


def decide_changed(state: State[W], rights: Callable[[UserId], bytes], now: float) -> list[Removed]:
    """The end of every queue whose owner's rights are no longer those that it was made with.

    Of a queue that was made for somebody unknown nothing can be said, so it stays.
    """
    ending = [
        descriptor
        for descriptor in state.directory
        if descriptor.spec.rights and descriptor.spec.rights != rights(descriptor.spec.user_id)
    ]
    return decide_ends(state, ending, "revoked", now)


def decide_upgrade(state: State[W], queue_ids: Iterable[QueueId], now: float) -> list[Removed]:
    """The end of queues that records of other rules may have changed (D4)."""
    return decide_ends(state, _present(state, queue_ids), "upgraded", now)


def decide_damaged(state: State[W], queue_ids: Iterable[QueueId], now: float) -> list[Removed]:
    """The end of queues of which something could not be read from the disk (D4)."""
    return decide_ends(state, _present(state, queue_ids), "damaged", now)


def _present(state: State[W], queue_ids: Iterable[QueueId]) -> list[Descriptor[W]]:
    found = (state.directory.get(queue_id) for queue_id in queue_ids)
    return [descriptor for descriptor in found if descriptor is not None]
