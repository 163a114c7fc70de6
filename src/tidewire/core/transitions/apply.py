"""Carrying records out: the only code that changes the durable part of a state (D4).

Live and in recovery the same: nothing here decides anything that rests on what recovery can't see.
What a poll does is the one exception in time, not in kind: it prunes and merges at once, and the record
that says so follows, before the answer (`Sealed`) or with the next tick (`Seen`); in recovery the record is
all there is.
"""

from collections.abc import Sequence
from itertools import repeat
from typing import TypeVar

from tidewire.core.delivery.dispatch import Dispatch, Dispatching, Failure
from tidewire.core.delivery.processors import processor_for
from tidewire.core.events.coalescing import MERGE_RULES
from tidewire.core.history.history import Known, StepKind
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notices.notice import Notice, decode_notice
from tidewire.core.notifications.candidates import Candidates, candidates
from tidewire.core.notifications.decisions import missed_by
from tidewire.core.notifications.worker_records import NotificationDecision
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.queues.event_queue import waiting
from tidewire.core.queues.merge_group import Merge
from tidewire.core.records import (
    Acknowledged,
    Announced,
    Imported,
    Published,
    QueuePolled,
    Reason,
    Record,
    Registered,
    Removed,
    Restarted,
    Sealed,
    Ticked,
)
from tidewire.core.state.restore import Skipped, make_queues
from tidewire.core.state.state import RELOAD, State
from tidewire.core.state.statistics import Stopwatch
from tidewire.core.transitions import redelivery
from tidewire.core.transitions.notify import mark
from tidewire.core.transitions.relocate import apply_relocation

W = TypeVar("W")


def apply_record(state: State[W], record: Record) -> list[Failure]:
    """Changes the state as the record says; returns the deliveries that failed (D9)."""
    _note_time(state, record)
    match record:
        case Registered():
            descriptor = state.add_queue(QueueId(record.queue_id), record.spec, now=record.now)
            descriptor.history.is_whole = True
            state.histories.note(descriptor.history, StepKind.REGISTERED, record.now)
            state.statistics.registered += 1
            state.relocations.note_fresh(record.spec.user_id)
        case Imported():
            import_queues(state, record)
        case Published():
            return apply_notices(state, record, [decode_notice(raw) for raw in record.notices])
        case Removed():
            _end(state, record.queue_id, record.reason)
            _notify_leaving(state, record.notified, record.now)
        case Sealed():
            _seal(state, record)
        case Ticked():
            _apply_tick(state, record)
        case Announced():
            return _apply_announcement(state, record)
        case Acknowledged():
            state.outbox.acknowledge(record.queue, through=record.through)
        case _:
            apply_relocation(state, record)
    return []


def _note_time(state: State[W], record: Record) -> None:
    if isinstance(record, Restarted):
        _take_over(state, record)
    if not isinstance(record, Sealed):
        state.recorded_at = record.now


def import_queues(state: State[W], record: Imported) -> list[Skipped]:
    """Makes the queues of a dump; their clients belong to another process, as after a start (R1.25).

    Returns the queues whose narrow is no longer supported. There are none when the record is new.
    """
    state.recorded_at = record.now
    # What an application's rules wait for is never dumped, so no other rules have groups here.
    for body in record.bodies:
        state.memory.enter(body)
    skipped = make_queues(state, record.queues, record.bodies, MERGE_RULES)
    for image in record.queues:
        descriptor = state.directory.get(image.queue_id)
        if descriptor is not None:
            state.histories.note(descriptor.history, StepKind.IMPORTED, record.now)
            state.relocations.note_fresh(descriptor.spec.user_id)
        if descriptor is not None and descriptor.acceptance.refusal(RELOAD) is None:
            state.reload_set[descriptor.queue_id] = None
    state.statistics.imported += len(record.queues) - len(skipped)
    return skipped


def apply_notices(
    state: State[W],
    record: Published,
    notices: Sequence[Notice | None],
    found: Sequence[Candidates | None] | None = None,
    stopwatch: Stopwatch | None = None,
    *,
    by: Dispatching[W] | None = None,
) -> list[Failure]:
    """Carries out a record whose notices are decoded already; `found` are their candidates, if known.

    With `by`, the dispatch of each notice comes from there: somebody wants to know whom it reaches.

    In place of a notice that is no longer understood stands None; whom it notifies was decided long ago.
    """
    now = state.recorded_at = record.now
    outcomes = {outcome.notice: outcome.notified for outcome in record.outcomes}
    asides = {aside.notice: aside for aside in record.asides}
    failures: list[Failure] = []
    if stopwatch is not None:
        stopwatch.begin()
    for place, (notice, known) in enumerate(zip(notices, found or repeat(None), strict=False)):
        notified = outcomes.get(place, ())
        if notice is None:
            state.notify(notified, now)
            continue
        dispatch = Dispatch(state, notice.realm_id) if by is None else by(notice)
        partial = asides.get(place)
        if partial is not None and not notice.passed:
            notice.exclude_users([UserId(user) for user in partial.passed])
        redelivery.record_delivery(state, notice, partial, now)
        dispatch.passed = notice.passed
        dispatch.part = None if notice.hearers is None else notice
        failures += _apply_notice(state, notice, dispatch, known, notified)
        kind = state.counted_as(notice.kind)
        state.statistics.notices[kind] += 1
        if stopwatch is not None:
            stopwatch.lap(kind)
    return failures


def _apply_notice(
    state: State[W],
    notice: Notice,
    dispatch: Dispatch[W],
    known: Candidates | None,
    notified: Sequence[NotificationDecision],
) -> list[Failure]:
    now = state.recorded_at
    if notice.id is not None:
        state.histories.remember_notice(notice.id, Known(dispatch.number, now, notice.kind, notice.realm_id))
    try:
        if notice.kind == "message":
            dispatch.missed = missed_by(known or candidates(notice), notified)
        processor_for(notice.kind)(notice, dispatch)
    except Exception as error:  # noqa: BLE001 - a broken notice must not stop those after it (D9)
        dispatch.failures.append(Failure(notice.kind, None, error))
        state.statistics.failed[state.counted_as(notice.kind)] += 1
    failures = dispatch.close()
    if notified:
        state.notify(notified, now)
        if notice.kind == "cleanup_queue":
            mark(state, notified)
    return failures


def _apply_tick(state: State[W], tick: Ticked) -> None:
    for seen in tick.seen:
        _apply_seen(state, seen)
    if tick.heartbeats:
        _push_heartbeats(state, tick.heartbeats)
    for queue_id in tick.expired:
        _end(state, queue_id, "expired")
    for queue_id in tick.offline:
        descriptor = state.directory.get(queue_id)
        if descriptor is not None:
            descriptor.offline = True
            state.histories.note(descriptor.history, StepKind.OFFLINE, tick.now)
    _notify_leaving(state, tick.notified, tick.now)
    state.remembered.forget(tick.forget)
    state.relocations.forget(tick.now - state.limits.remember_ids_for, state.remembered.oldest)
    state.tombstones.forget(tick.now - state.limits.tombstones_for)


def _notify_leaving(state: State[W], notified: Sequence[NotificationDecision], now: float) -> None:
    state.notify(notified, now)
    mark(state, notified)


def _apply_seen(state: State[W], seen: QueuePolled) -> None:
    descriptor = state.directory.get(seen.queue_id)
    if descriptor is None:
        return
    state.seen.pop(descriptor, None)
    if seen.last_active == descriptor.last_active and seen.pruned == descriptor.queue.newest_pruned_id:
        return  # what the poll itself has done, when it was a poll of this process
    if seen.pruned is not None:
        entries = descriptor.queue.entries
        if entries and entries[0][0] <= seen.pruned:
            state.histories.record_acknowledged(descriptor.history, entries, seen.pruned, seen.last_active)
        state.memory.entries -= descriptor.queue.prune(seen.pruned)
    descriptor.last_active = max(descriptor.last_active, seen.last_active)
    descriptor.offline = False


def _seal(state: State[W], record: Sealed) -> None:
    descriptor = state.directory.get(record.queue_id)
    if descriptor is not None:
        queue = descriptor.queue
        held = len(queue)
        if record.pruned is not None:
            queue.prune(record.pruned)
        before = waiting(queue)
        merge = Merge(record.placed, record.through, record.joined)
        queue.replay_merge(merge, state.rule_failed, state.memory.enter)
        state.memory.entries -= held - len(queue)
        state.note_merged(descriptor, before, None)


def _push_heartbeats(state: State[W], queue_ids: Sequence[str]) -> None:
    """Ends long waits: with an event that takes an id and must be acknowledged like any other (R1.21).

    The acceptance isn't asked, so that every waiting poll ends in time.
    """
    dispatch = Dispatch(state)
    heartbeat = dispatch.represent({"type": "heartbeat"})
    for queue_id in queue_ids:
        descriptor = state.directory.get(queue_id)
        if descriptor is not None:
            dispatch.push(descriptor, heartbeat)
            state.statistics.heartbeats += 1
    dispatch.close()


def _apply_announcement(state: State[W], record: Announced) -> list[Failure]:
    dispatch = Dispatch(state)
    shaped = dispatch.represent(record.event)
    for queue_id in record.queue_ids:
        if shaped.kind == "web_reload_client":
            state.reload_set.pop(QueueId(queue_id), None)
        descriptor = state.directory.get(queue_id)
        if descriptor is not None:
            dispatch.deliver(descriptor, shaped)
    return dispatch.close()


def _take_over(state: State[W], record: Restarted) -> None:
    """Every queue that is there now was made by an earlier process.

    The time since the newest record was no one's idle time (D4). The queues that accept the word for it are
    those to be told to reload (R1.25).
    """
    by_realm = sorted(state.directory, key=lambda descriptor: descriptor.spec.realm_id)
    state.reload_set = {
        descriptor.queue_id: None for descriptor in by_realm if descriptor.acceptance.refusal(RELOAD) is None
    }
    away = record.now - state.recorded_at
    for descriptor in state.directory:
        # Its booked deadline is now too early, which only means that it is looked at once more.
        descriptor.last_active += away
        state.histories.note(descriptor.history, StepKind.RECOVERED, record.now)
        if record.resumed:
            descriptor.queue.resumed = True
    state.seen.clear()


def _end(state: State[W], queue_id: str, reason: Reason) -> None:
    descriptor: Descriptor[W] | None = state.directory.get(queue_id)
    if descriptor is not None:
        state.drop_queue(descriptor, reason)
