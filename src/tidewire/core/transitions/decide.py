"""Deciding: from the state, an input and the time to the record that says what shall happen (D4).

Nothing here changes the durable part of the state. Deadlines that are looked at are booked again at once,
so that a record which can't be journalled is simply decided anew at the next tick.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from tidewire.core.deadlines import NOT_BOOKED
from tidewire.core.delivery.processors import check_event
from tidewire.core.dump import DumpedQueue
from tidewire.core.errors import InvalidNotice, UserDeactivated, UserMoving
from tidewire.core.events.acceptance import Acceptance
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notices.deduplication import reused
from tidewire.core.notices.notice import LARGE_BYTES, Notice
from tidewire.core.notifications.candidates import Candidates, candidates
from tidewire.core.queues.descriptor import Descriptor, QueueSpec
from tidewire.core.queues.image import Bodies, QueueImage, queue_image
from tidewire.core.queues.registration_size import check_size
from tidewire.core.records import (
    Acknowledged,
    Announced,
    Imported,
    PartialDelivery,
    Published,
    QueuePolled,
    Registered,
    Removed,
    Ticked,
)
from tidewire.core.slices import Work
from tidewire.core.state.state import RELOAD, State
from tidewire.core.transitions import notify, redelivery
from tidewire.core.transitions.publish_batch import PublishBatch, split_batches
from tidewire.core.transitions.removal import check_memory, decide_room_for

W = TypeVar("W")

IMPORT_GRACE = 60.0
"""Seconds that a queue from a dump has before it expires or its owner counts as gone, or its whole idle timeout if that
is less: the first run of the collector comes that long after a start that loads a dump (R10.8)."""

IMPORT_EFFORT = 2000.0
"""Of the queues in one record (`core/queues/image.py`): some 2 MB. A record doesn't end within a queue."""

FREEING = frozenset({"cleanup_queue", "restore_user", "revoke_user"})
"""Types of notices that put nothing into queues."""

LOOK_AGAIN = 1.0
"""Seconds until a deadline that was acted on is looked at once more, in case the act was not carried out."""

CHECKED_AT_ONCE = 100
"""Notices of a batch, checked before others have a turn: half a millisecond for messages."""

SEEN_AT_ONCE = 1000
"""Polled queues in one record: a millisecond or two to decide, write and apply. A fan-out has all clients poll again
within a second."""


def decide_register(
    state: State[W], spec: QueueSpec, queue_id: QueueId, now: float
) -> list[Removed | Registered]:
    """A new queue, and before it the end of those that make room for it.

    Raises:
        UserMoving: the user is just moving to another shard.
        UserDeactivated: the user's rights were revoked.
        RegistrationTooLarge: it would keep too much.
        BadRequest: the narrow is not supported (R12.4, R6.55), or the user has too many queues that can't end
            (R6.56).
        Unavailable: the memory budget is used up.
    """
    state.relocations.check_here(spec.user_id)
    if spec.user_id in state.revoked:
        raise UserDeactivated("Account is deactivated")
    check_size(spec.kept, state.limits.registration_bytes)
    Acceptance(spec.acceptance_key)
    check_memory(state, "register")
    return [
        *decide_room_for(state, spec.user_id, now),
        Registered(now=now, queue_id=queue_id, spec=spec),
    ]


def decide_import(
    state: State[W], dumped: Sequence[DumpedQueue], now: float
) -> tuple[list[Imported], list[int]]:
    """Queues from a dump, in records of a bounded size; and the places of those that are there already.

    Raises:
        Unavailable: the memory budget is used up.
    """
    check_memory(state, "import")
    fresh: dict[QueueId, DumpedQueue] = {}
    known: list[int] = []
    for place, queue in enumerate(dumped):
        if queue.queue_id in fresh or state.directory.get(queue.queue_id) is not None:
            known.append(place)
        else:
            last_active = _given_time(queue, state.limits.offline_after, now)
            fresh[queue.queue_id] = queue._replace(last_active=last_active)
    records: list[Imported] = []
    left = deque(fresh.values())
    while left:
        bodies = Bodies()
        images: list[QueueImage] = []
        while left and bodies.effort < IMPORT_EFFORT:
            images.append(queue_image(left.popleft(), bodies))
        records.append(Imported(now, tuple(bodies.new), tuple(images)))
    return records, known


def _given_time(queue: DumpedQueue, offline_after: float, now: float) -> float:
    """When the queue counts as last polled: as the dump says, but so that its client has time to come (R10.8)."""
    patience = float(queue.spec.idle_timeout)
    if offline_after and not queue.offline:
        patience = min(patience, offline_after)
    return min(now, max(queue.last_active, now + IMPORT_GRACE - patience))


def decide_publish(state: State[W], notices: Sequence[Notice]) -> list[PublishBatch]:
    """The notices that were not taken before, all of them checked, in parts that each become one record.

    What a retry repeats was taken once, and is not checked again.

    Raises:
        InvalidNotice: an event can't be delivered as its type asks, or what it says of notifications can't be
            read; `data["index"]` says which notice's.
        NoticeIdReused: an id stands for other content already; `data["index"]` as before.
        UserMoving: a user is just moving; `data["index"]` as before.
        Unavailable: the memory budget is used up; rights can be revoked and queues ended even then.
    """
    fresh: list[Notice] = []
    found: list[Candidates] = []
    within: dict[str, bytes] = {}
    absent = state.relocations.absent
    for index, notice in enumerate(notices):
        if absent:
            _check_here(absent, notice, index)
        is_repeat = notice.id in within
        is_known = _check_id(state, notice, index, within)
        if is_repeat or (is_known and not redelivery.restrict_to_unseen(state, notice)):
            state.statistics.repeats[state.counted_as(notice.kind)] += 1
            continue
        fresh.append(notice)
        found.append(_checked(state, notice, index))
    _check_room(state, fresh)
    return split_batches(fresh, found)


def check_batch(state: State[W], notices: Sequence[Notice], ids: dict[str, bytes]) -> Work[None]:
    """Checks what `decide_publish` will, in slices, so that a batch that is published in parts is refused as a whole.

    Args:
        state: which may change between two slices.
        notices: all of the batch.
        ids: gets the digest of every notice that has an id. As long as it stands in `state.promised`, nobody else takes
            one of these ids for other content.

    Raises:
        InvalidNotice, NoticeIdReused, Unavailable: as `decide_publish`. Who is moving is seen when a part is decided.
    """
    for index, notice in enumerate(notices):
        if index % CHECKED_AT_ONCE == CHECKED_AT_ONCE - 1 or len(notice.raw) > LARGE_BYTES:
            yield
        if not _check_id(state, notice, index, ids):
            _checked(state, notice, index)
    _check_room(state, notices)


def _check_id(state: State[W], notice: Notice, index: int, within: dict[str, bytes]) -> bool:
    """Whether the notice's id was taken before, or earlier in the same request; it is entered there.

    Raises:
        NoticeIdReused: it stands for other content.
    """
    notice_id = notice.id
    if notice_id is None:
        return False
    known = within.get(notice_id) or redelivery.known_digest(state, notice_id)
    meant = known or state.promised_digest(notice_id)
    if meant is not None and meant != notice.digest:
        state.statistics.refused_notices[state.counted_as(notice.kind)] += 1
        raise reused(notice_id, index=index)
    within[notice_id] = notice.digest
    return known is not None


def _checked(state: State[W], notice: Notice, index: int) -> Candidates:
    """Whom a notice may notify, its event checked.

    Raises:
        InvalidNotice: it can't be delivered as its type asks.
    """
    try:
        check_event(notice.event)
        return candidates(notice)
    except InvalidNotice as error:
        error.data["index"] = index
        state.statistics.refused_notices[state.counted_as(notice.kind)] += 1
        raise


def _check_room(state: State[W], notices: Sequence[Notice]) -> None:
    for notice in notices:
        if notice.kind not in FREEING:
            check_memory(state, "publish")
            return


def _check_here(absent: Mapping[UserId, object], notice: Notice, index: int) -> None:
    if not absent.keys().isdisjoint(notice.users):
        error = UserMoving()
        error.data["index"] = index
        raise error


def decide_part(state: State[W], part: PublishBatch, now: float) -> Published:
    """The record of one part; what came before it has been applied."""
    raw: list[bytes] = []
    asides: list[PartialDelivery] = []
    for place, notice in enumerate(part.notices):
        raw.append(notice.raw)
        partial = redelivery.decide_aside(state, notice, place)
        if partial is not None:
            asides.append(partial)
    outcomes = notify.decide_outcomes(state, part)
    return Published(now=now, notices=tuple(raw), outcomes=outcomes, asides=tuple(asides))


def decide_acknowledge(state: State[W], queue: str, through: int, now: float) -> Acknowledged | None:
    """A worker has taken the records of an outbox queue up to a position; None when they are gone already.

    Raises:
        NotFound: there is no such queue.
        BadRequest: the queue has not come that far.
    """
    return Acknowledged(now, queue, through) if state.outbox.holds(queue, through=through) else None


def decide_restart(
    state: State[W], event: Mapping[str, Any], now: float, queue_ids: Sequence[QueueId] | None = None
) -> Announced:
    """A `restart` event for these queues, or for every one (R1.23)."""
    if queue_ids is None:
        queue_ids = [descriptor.queue_id for descriptor in state.directory]
    return Announced(now=now, event=dict(event), queue_ids=tuple(queue_ids))


def decide_reload(state: State[W], *, immediate: bool, count: int | None, now: float) -> Announced:
    """`web_reload_client` for the first `count` queues still to be told, or for all (R1.24-R1.26)."""
    ordered = sorted(state.reload_set, key=lambda queue_id: _realm_of(state, queue_id))
    queue_ids = tuple(ordered[:count])
    return Announced(now=now, event={**RELOAD, "immediate": immediate}, queue_ids=queue_ids)


def _realm_of(state: State[W], queue_id: QueueId) -> int:
    descriptor = state.directory.get(queue_id)
    return 0 if descriptor is None else descriptor.spec.realm_id


def decide_tick(state: State[W], now: float, *, collect: bool) -> Ticked | None:
    """The record of a tick, or None if nothing is due; `collect` runs the collector too (R2.24)."""
    expired, offline = _collect(state, now) if collect else ([], [])
    tick = Ticked(
        now=now,
        seen=_seen(state, SEEN_AT_ONCE),
        heartbeats=_heartbeats(state, now),
        expired=tuple(descriptor.queue_id for descriptor in expired),
        offline=tuple(descriptor.queue_id for descriptor in offline),
        forget=state.remembered.surplus(
            before=now - state.limits.remember_ids_for,
            keep=state.limits.remember_ids_max,
            most_bytes=state.limits.remembered_bytes,
        ),
        # Together: a user whose queues leave in one run is told once (D-5).
        notified=notify.notified_by_leaving(state, expired + offline),
    )
    quiet = not (tick.seen or tick.heartbeats or tick.expired or tick.offline or tick.forget)
    # What users on their way were given is forgotten by the time of a tick.
    quiet = quiet and not state.relocations.is_stale(now - state.limits.remember_ids_for)
    return None if quiet else tick


def decide_seen(state: State[W], now: float, *, most: int) -> Ticked | None:
    """What polls changed that the tick's own record had no room for, `most` queues of it; None when there is nothing."""
    seen = _seen(state, min(most, SEEN_AT_ONCE))
    return Ticked(now=now, seen=seen) if seen else None


def _seen(state: State[W], most: int) -> tuple[QueuePolled, ...]:
    return tuple(
        QueuePolled(descriptor.queue_id, descriptor.queue.newest_pruned_id, descriptor.last_active)
        for descriptor in islice(state.seen, most)
    )


def _heartbeats(state: State[W], now: float) -> tuple[str, ...]:
    due: list[str] = []
    for descriptor in state.heartbeats.take_due(now):
        descriptor.heartbeat_second = NOT_BOOKED
        if descriptor.waiter is None:
            continue
        if descriptor.heartbeat_at > now:
            state.schedule_heartbeat(descriptor, descriptor.heartbeat_at)
            continue
        state.schedule_heartbeat(descriptor, now + LOOK_AGAIN)
        if not descriptor.ready:
            due.append(descriptor.queue_id)
    return tuple(due)


def _collect(state: State[W], now: float) -> tuple[list[Descriptor[W]], list[Descriptor[W]]]:
    expired: list[Descriptor[W]] = []
    offline: list[Descriptor[W]] = []
    for descriptor in state.idle.take_due(now):
        due = _idle_due(state, descriptor, now)
        if due > now:
            state.schedule_idle(descriptor, due)
            continue
        state.schedule_idle(descriptor, now + LOOK_AGAIN)
        expires = descriptor.last_active + descriptor.spec.idle_timeout
        (expired if expires <= now else offline).append(descriptor)
    return expired, offline


def _idle_due(state: State[W], descriptor: Descriptor[W], now: float) -> float:
    """A queue with a waiting poll is not idle, however long the poll waits (R2.22)."""
    due = descriptor.idle_due(state.limits.offline_after)
    if descriptor.spec.user_id in state.relocations.absent:
        return max(due, now + LOOK_AGAIN)  # what moves doesn't change
    return due if descriptor.waiter is None else max(due, now + LOOK_AGAIN)
