"""Polls: acknowledge, answer or wait, displace, and leave; the life of a waiter (sections 2.4, 2.5, 6B).

A waiter is in one place only: on its descriptor; in `State.finished`, with its answer, or in `State.delayed`
until it is due, to be handed out from there; or handed out. `Descriptor.ready` says that its queue also stands in
the list of those whose waiter is answered next; the waiter may still leave.
"""

import math
from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

from tidewire.core.deadlines import NOT_BOOKED
from tidewire.core.errors import UserDeactivated, UserMoving
from tidewire.core.ids import UserId
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.state.state import Batch, Delayed, State

W = TypeVar("W")

DISPLACEMENTS = 10
"""Polls that may displace each other on one queue before the displaced ones are answered late; more than a client that
comes again and again over a bad line needs."""

DISPLACED_FOR = 1.0
"""Seconds that the answer of a displaced poll is then kept back, and in which one displacement is forgotten. So two
clients that share a queue id by mistake send a few requests a second, and not thousands (D-14)."""


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

    A poll that waited before is displaced: it gets what the queue holds (R2.18).

    Raises:
        UserMoving: the user is just moving to another shard.
        UserDeactivated: the user's rights were revoked.
        BadEventQueueId: the user has no such queue.
        BadRequest: `last_event_id` is not one that this client can have been given; nothing was changed (D-8).
    """
    if user_id in state.relocations.absent:
        raise UserMoving
    if user_id in state.revoked:
        raise UserDeactivated("Account is deactivated")
    descriptor = state.owned(queue_id, user_id)
    queue = descriptor.queue
    queue.check(last_event_id)
    entries = queue.entries
    if entries and entries[0][0] <= last_event_id:
        sent_at = descriptor.sent_at if last_event_id <= queue.placed else 0.0
        state.histories.record_acknowledged(descriptor.history, entries, last_event_id, now, sent_at)
    dropped = queue.prune(last_event_id)
    if dropped:
        state.memory.entries -= dropped
        if last_event_id >= queue.placed:
            # All that was ever given is acknowledged, so what is left came after the last answer.
            queue.since = descriptor.last_active
    state.record_activity(descriptor, now)
    if descriptor.waiter is not None:
        _displace(state, descriptor, now)
    if queue or not block:
        return state.read(descriptor)
    descriptor.waiter = waiter
    descriptor.heartbeat_at = heartbeat_at
    if descriptor.heartbeat_second == NOT_BOOKED:
        state.schedule_heartbeat(descriptor, heartbeat_at)
    state.statistics.parked += 1
    return None


def _displace(state: State[W], descriptor: Descriptor[W], now: float) -> None:
    """Ends a waiting poll because another came; later rather than now, when there is no end of others (D-14)."""
    forgotten = (now - descriptor.displaced_at) / DISPLACED_FOR
    descriptor.displacements = max(0.0, descriptor.displacements - forgotten) + 1
    descriptor.displaced_at = now
    state.statistics.displaced += 1
    waiter = descriptor.waiter
    if waiter is None or descriptor.queue or descriptor.displacements <= DISPLACEMENTS:
        state.finish_waiter(descriptor)
        return
    state.statistics.displaced_late += 1
    state.delayed.append(Delayed(now + DISPLACED_FOR, waiter, descriptor.queue_id))
    descriptor.waiter = None


def take_delayed(state: State[W], *, now: float) -> list[tuple[W, Batch]]:
    """Hands out the displaced waiters that were kept back long enough, with an empty answer."""
    taken: list[tuple[W, Batch]] = []
    while state.delayed and state.delayed[0].due <= now:
        _, waiter, queue_id = state.delayed.popleft()
        taken.append((waiter, Batch(queue_id, ())))
    return taken


def cancel_poll(state: State[W], queue_id: str, waiter: W, *, now: float) -> bool:
    """The waiter's connection went away; False when it no longer waited, which is no fault (R2.21)."""
    descriptor = state.directory.get(queue_id)
    if descriptor is None or descriptor.waiter is not waiter:
        return False
    descriptor.waiter = None
    state.record_activity(descriptor, now)
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
        state.record_activity(descriptor, now)
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
            state.record_activity(descriptor, now)
    return taken


def take_waiting(state: State[W], limit: int, *, now: float) -> list[tuple[W, Batch]]:
    """Hands out up to `limit` waiters with an empty answer, for the server's sake (D5); no id is taken.

    Displaced ones that are kept back come first, and don't count.
    """
    delayed = take_delayed(state, now=math.inf)
    waiting = (descriptor.queue_id for descriptor in state.directory if descriptor.waiter is not None)
    return delayed + take_due(state, list(islice(waiting, limit)), now=now)
