"""Polls: acknowledge, answer or wait, displace, and leave; the life of a waiter (sections 2.4, 2.5, 6B).

A waiter is in one place only: on its descriptor, or handed out with its answer. `Descriptor.ready` says
that it also stands in the list of those to be answered next; it may still be withdrawn from there.
"""

from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

from tidewire.core.deadlines import NOT_BOOKED
from tidewire.core.ids import UserId
from tidewire.core.state import Batch, State

W = TypeVar("W")


def poll(
    state: State[W],
    queue_id: str,
    *,
    user_id: UserId,
    last_event_id: int,
    block: bool,
    waiter: W,
    now: float,
    heartbeat_at: float,
) -> Batch | None:
    """One poll, in the order of R6.38; None means that `waiter` now waits on the queue.

    A poll that waited before is displaced: it goes to `state.finished` with what the queue holds (R2.18).

    Raises:
        BadEventQueueId: the user has no such queue.
        BadRequest: `last_event_id` is not one that this client can have been given; nothing was changed (D-8).
    """
    descriptor = state.directory.owned(queue_id, user_id)
    queue = descriptor.queue
    queue.check(last_event_id)
    queue.prune(last_event_id)
    if state.finish_waiter(descriptor):
        state.statistics.displaced += 1
    state.touch(descriptor, now)
    if queue or not block:
        return state.read(descriptor)
    descriptor.waiter = waiter
    descriptor.heartbeat_at = heartbeat_at
    if descriptor.heartbeat_second == NOT_BOOKED:
        state.book_heartbeat(descriptor, heartbeat_at)
    state.statistics.parked += 1
    return None


def unpark(state: State[W], queue_id: str, waiter: W, *, now: float) -> bool:
    """The waiter's connection went away; False when it no longer waited, which is no fault (R2.21)."""
    descriptor = state.directory.get(queue_id)
    if descriptor is None or descriptor.waiter is not waiter:
        return False
    descriptor.waiter = None
    state.touch(descriptor, now)
    state.statistics.lost += 1
    return True


def take_ready(state: State[W], limit: int, *, now: float) -> list[tuple[W, Batch]]:
    """Hands out up to `limit` waiters with their answers, each waiter exactly once.

    Order among queues is that in which they became ready. Within one queue there is nothing to reorder: it
    has at most one waiter.
    """
    taken = state.finished[:limit]
    del state.finished[:limit]
    while state.ready and len(taken) < limit:
        descriptor = state.ready.popleft()
        descriptor.ready = False
        waiter = descriptor.waiter
        # The waiter may have left, and another may wait since for something else.
        if waiter is None or not descriptor.queue:
            continue
        descriptor.waiter = None
        state.touch(descriptor, now)
        taken.append((waiter, state.read(descriptor)))
        state.statistics.answered += 1
    return taken


def take_due(state: State[W], queue_ids: Iterable[str], *, now: float) -> list[tuple[W, Batch]]:
    """Hands out the waiters of these queues with an empty answer; no id is taken (D5)."""
    taken: list[tuple[W, Batch]] = []
    for queue_id in queue_ids:
        descriptor = state.directory.get(queue_id)
        if descriptor is not None and descriptor.waiter is not None:
            taken.append((descriptor.waiter, Batch(descriptor.queue_id, ())))
            descriptor.waiter = None
            state.touch(descriptor, now)
    return taken


def take_waiting(state: State[W], limit: int, *, now: float) -> list[tuple[W, Batch]]:
    """Hands out up to `limit` waiters with an empty answer, for the server's sake (D5); no id is taken."""
    waiting = (descriptor.queue_id for descriptor in state.directory if descriptor.waiter is not None)
    return take_due(state, islice(waiting, limit), now=now)
