"""Deciding: from the state, an input and the time to the record that says what shall happen (D4).

Nothing here changes the durable part of the state. Deadlines that are looked at are booked again at once,
so that a record which can't be journalled is simply decided anew at the next tick.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from tidewire.core.acceptance import Acceptance
from tidewire.core.deadlines import NOT_BOOKED
from tidewire.core.descriptor import Descriptor, QueueSpec
from tidewire.core.errors import NoticeIdReused
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notice import Notice
from tidewire.core.records import Announced, Registered, Removed, Seen, Ticked
from tidewire.core.state import RELOAD, State

W = TypeVar("W")

LOOK_AGAIN = 1.0
"""Seconds until a deadline that was acted on is looked at once more, in case the act was not carried out."""


def decide_register(spec: QueueSpec, queue_id: QueueId, now: float) -> Registered:
    """A new queue.

    Raises:
        BadRequest: the narrow is not supported (R12.4, R6.55).
    """
    Acceptance(spec.acceptance_key)
    return Registered(now=now, queue_id=queue_id, spec=spec)


def decide_publish(state: State[W], notices: Sequence[Notice]) -> list[Notice]:
    """The notices that were not taken before, to be journalled as one record.

    Raises:
        NoticeIdReused: an id stands for other content already; its `data["index"]` says which notice.
    """
    fresh: list[Notice] = []
    within: dict[str, bytes] = {}
    for index, notice in enumerate(notices):
        if notice.id is None:
            fresh.append(notice)
            continue
        known = state.remembered.digest(notice.id) or within.get(notice.id)
        if known is None:
            within[notice.id] = notice.digest
            fresh.append(notice)
        elif known != notice.digest:
            raise NoticeIdReused(
                f"The notice id '{notice.id}' was used before for another notice", index=index, id=notice.id
            )
    return fresh


def decide_delete(state: State[W], queue_id: str, user_id: UserId, now: float) -> Removed:
    """The end of a queue that its owner asked for.

    Raises:
        BadEventQueueId: the user has no such queue.
    """
    state.directory.owned(queue_id, user_id)
    return Removed(now=now, queue_id=queue_id, reason="deleted")


def decide_revoke(state: State[W], user_ids: Iterable[UserId], now: float) -> list[Removed]:
    """The end of every queue of these users, whose rights are no longer what the queues rest on (D11)."""
    return [
        Removed(now=now, queue_id=descriptor.queue_id, reason="revoked")
        for user_id in user_ids
        for descriptor in state.directory.of_user(user_id)
    ]


def decide_restart(state: State[W], event: Mapping[str, Any], now: float) -> Announced:
    """A `restart` event for every queue (R1.23)."""
    queue_ids = tuple(descriptor.queue_id for descriptor in state.directory)
    return Announced(now=now, event=dict(event), queue_ids=queue_ids)


def decide_reload(state: State[W], *, immediate: bool, count: int | None, now: float) -> Announced:
    """`web_reload_client` for the first `count` queues still to be told, or for all (R1.24-R1.26)."""
    queue_ids = tuple(state.reload_set)[:count]
    return Announced(now=now, event={**RELOAD, "immediate": immediate}, queue_ids=queue_ids)


def decide_tick(state: State[W], now: float, *, collect: bool) -> Ticked | None:
    """What a second brings, or None when it brings nothing; `collect` runs the collector too (R2.24)."""
    expired, offline = _collect(state, now) if collect else ((), ())
    tick = Ticked(
        now=now,
        seen=tuple(
            Seen(descriptor.queue_id, descriptor.queue.newest_pruned_id, descriptor.last_active)
            for descriptor in state.seen
        ),
        heartbeats=_heartbeats(state, now),
        expired=expired,
        offline=offline,
        forget=state.remembered.surplus(
            before=now - state.limits.remember_ids_for, keep=state.limits.remember_ids_max
        ),
    )
    quiet = not (tick.seen or tick.heartbeats or tick.expired or tick.offline or tick.forget)
    return None if quiet else tick


def _heartbeats(state: State[W], now: float) -> tuple[str, ...]:
    due: list[str] = []
    for descriptor in state.heartbeats.take_due(now):
        descriptor.heartbeat_second = NOT_BOOKED
        if descriptor.waiter is None:
            continue
        if descriptor.heartbeat_at > now:
            state.book_heartbeat(descriptor, descriptor.heartbeat_at)
            continue
        state.book_heartbeat(descriptor, now + LOOK_AGAIN)
        if not descriptor.ready:
            due.append(descriptor.queue_id)
    return tuple(due)


def _collect(state: State[W], now: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    expired: list[str] = []
    offline: list[str] = []
    for descriptor in state.idle.take_due(now):
        due = _idle_due(state, descriptor, now)
        if due > now:
            state.book_idle(descriptor, due)
            continue
        state.book_idle(descriptor, now + LOOK_AGAIN)
        expires = descriptor.last_active + descriptor.spec.idle_timeout
        (expired if expires <= now else offline).append(descriptor.queue_id)
    return tuple(expired), tuple(offline)


def _idle_due(state: State[W], descriptor: Descriptor[W], now: float) -> float:
    """A queue with a waiting poll is not idle, however long the poll waits (R2.22)."""
    due = descriptor.idle_due(state.limits.offline_after)
    return due if descriptor.waiter is None else max(due, now + LOOK_AGAIN)
