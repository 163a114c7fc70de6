"""Explaining: what became of an event in a queue, and by which rule.

What a queue holds is certain; what its trail says is true, but need not go back to its beginning (`core/history/history.py`).
So a story tells of times as far as they are known, and its `state` always.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from itertools import chain
from operator import itemgetter
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from tidewire.core.delivery.dispatch import FAILED
from tidewire.core.errors import NotFound
from tidewire.core.events.encoding import Entry, encode_entry
from tidewire.core.history.history import LIFE, Known, QueueHistory, Step, StepKind
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.queues.descriptor import Descriptor, QueueSpec
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.state.state import State

W = TypeVar("W")

STATES: tuple[str, ...] = (
    "waiting",
    "sent",
    "acknowledged",
    "merged",
    "dropped",
    "refused",
    "failed",
    "not_addressed",
    "other_realm",
    "too_early",
    "too_late",
    "not_yet",
    "unknown",
)
"""What may have become of an event."""


class Explanation(Struct, frozen=True, kw_only=True):
    """What became of one event, or of one notice, in one queue; times in UNIX seconds.

    Attributes:
        state: one of `STATES`.
        at: when it was queued or refused.
        sent_at: when it was last sent, as far as this process knows.
        rule: of what was refused.
        merged_into: the event that took its place.
        merged: the events whose place it took, as far as they are known.
        size: bytes of the shared body.
        variant: which of the notice's representations it was, from 0.
        event: what its client gets, if that was asked for and is still there.
        ended: why the queue ended, if it has.
    """

    queue_id: str
    user_id: int
    state: str
    event_id: int | None = None
    type: str | None = None
    rule: str | None = None
    at: float | None = None
    sent_at: float | None = None
    acknowledged_at: float | None = None
    merged_at: float | None = None
    merged_into: int | None = None
    merged: tuple[int, ...] = ()
    size: int | None = None
    variant: int | None = None
    event: msgspec.Raw | None = None
    ended: str | None = None
    ended_at: float | None = None


class ExplainedQueue(NamedTuple):
    """A queue that there is, or what is left of one, which is without `spec` and `queue`."""

    queue_id: QueueId
    user_id: UserId
    realm_id: RealmId
    client: str
    spec: QueueSpec | None
    trail: QueueHistory
    steps: Sequence[Step]
    next_event_id: int
    newest_pruned_id: int | None
    queue: EventQueue | None
    ended: str | None = None
    ended_at: float | None = None
    newest_notice: int | None = None


def subject_of(state: State[W], queue_id: str) -> ExplainedQueue:
    """The queue of that id.

    Raises:
        NotFound: there is none, or it ended too long ago; the sentence says which, as far as that is known.
    """
    descriptor = state.directory.get(queue_id)
    if descriptor is not None:
        queue = descriptor.queue
        steps = _in_order([*state.histories.steps(descriptor.history), *_held(state, descriptor)])
        return ExplainedQueue(
            descriptor.queue_id,
            descriptor.spec.user_id,
            descriptor.spec.realm_id,
            descriptor.spec.client_type_name,
            descriptor.spec,
            descriptor.history,
            steps,
            queue.next_event_id,
            queue.newest_pruned_id,
            queue,
        )
    ended = state.ended.get(queue_id)
    if ended is not None:
        steps = _in_order(state.histories.steps(ended.trail))
        return ExplainedQueue(
            ended.queue_id,
            ended.user_id,
            ended.realm_id,
            ended.client,
            None,
            ended.trail,
            steps,
            ended.next_event_id,
            ended.newest_pruned_id,
            None,
            ended.reason,
            ended.at,
            ended.notice,
        )
    known = state.tombstones.end_of(queue_id)
    if known is None:
        raise NotFound(f"There is no queue {queue_id}")
    raise NotFound(
        f"The queue {queue_id} ended ({known[0]}), and what became of its events is no longer known"
    )


def _held(state: State[W], descriptor: Descriptor[W]) -> Iterator[Step]:
    queue = descriptor.queue
    for entry in chain(queue.entries, *(group.contributors for group in queue.groups())):
        is_sent = entry[0] <= queue.placed and descriptor.sent_at
        yield state.histories.held(entry, sent_at=descriptor.sent_at if is_sent else None)


def _in_order(steps: Iterable[Step]) -> list[Step]:
    """By the notice, since several things happen in one millisecond; of one queue, ids rise with it."""
    return sorted(steps, key=lambda step: (step.notice, step.event_id or -1, step.what))


def explain_event(state: State[W], queue_id: str, event_id: int, *, payload: bool = False) -> Explanation:
    """What became of the event of that id in that queue.

    Raises:
        NotFound: there is no such queue.
    """
    return _event_story(subject_of(state, queue_id), event_id, payload=payload)


def explain_notice(
    state: State[W], queue_id: str, notice_id: str, *, payload: bool = False
) -> list[Explanation]:
    """What a notice brought to a queue, by the id that its publisher gave it; one story at least.

    Raises:
        NotFound: there is no such queue.
    """
    subject = subject_of(state, queue_id)
    known = state.histories.notices.get(notice_id)
    if known is None:
        return [_bare(subject, "unknown")]
    found = [step for step in _once(subject.steps) if step.notice == known.number]
    if found:
        return [_step_story(subject, step, payload=payload) for step in found]
    story = _bare(subject, _absent(subject, known))
    return [msgspec.structs.replace(story, type=known.kind, at=known.at)]


def explain_last(
    state: State[W], *, queue_id: str | None, user_id: UserId | None, last: int, payload: bool = False
) -> list[Explanation]:
    """The last things that a queue, or all queues of a user, were offered, oldest first.

    Raises:
        NotFound: there is no such queue.
    """
    if queue_id is not None:
        subjects: Iterable[ExplainedQueue] = [subject_of(state, queue_id)]
    else:
        live = (
            [queue.queue_id for queue in state.directory.by_user.of(user_id)] if user_id is not None else []
        )
        gone = [ended.queue_id for ended in state.ended if ended.user_id == user_id]
        subjects = [subject_of(state, name) for name in dict.fromkeys(chain(gone, live))]
    offered = [
        ((step.notice, step.at or 0.0, place), subject, step)
        for subject in subjects
        for place, step in enumerate(_once(subject.steps))
    ]
    newest = nlargest(last, offered, key=itemgetter(0))
    return [_step_story(subject, step, payload=payload) for _, subject, step in reversed(newest)]


def _once(steps: Iterable[Step]) -> list[Step]:
    """What was offered, each event once, by the step that says most of it."""
    offered = [step for step in steps if _is_offered(step)]
    best: dict[int, Step] = {}
    for step in offered:
        if step.event_id is not None and (step.event_id not in best or best[step.event_id].notice < 0):
            best[step.event_id] = step
    return _in_order([*(step for step in offered if step.event_id is None), *best.values()])


def _is_offered(step: Step) -> bool:
    return step.what not in LIFE


def _absent(subject: ExplainedQueue, known: Known) -> str:
    """Why a notice left nothing in a queue or its trail."""
    history, number = subject.trail, known.number
    if known.realm_id is not None and known.realm_id != subject.realm_id:
        return "other_realm"
    if subject.newest_notice is not None and number > subject.newest_notice:
        return "too_late"
    if number <= history.began:
        return "too_early" if history.is_whole else "unknown"
    return "unknown" if number <= history.forgotten else "not_addressed"


def _bare(subject: ExplainedQueue, state: str) -> Explanation:
    return Explanation(
        queue_id=subject.queue_id,
        user_id=subject.user_id,
        state=state,
        ended=subject.ended,
        ended_at=subject.ended_at,
    )


def _step_story(subject: ExplainedQueue, step: Step, *, payload: bool) -> Explanation:
    if step.event_id is not None:
        return _event_story(subject, step.event_id, payload=payload)
    state = FAILED if step.rule == FAILED else "refused"
    rule = None if state == FAILED else step.rule or None
    return msgspec.structs.replace(_bare(subject, state), type=step.kind or None, rule=rule, at=step.at)


def _event_story(subject: ExplainedQueue, event_id: int, *, payload: bool) -> Explanation:
    bare = msgspec.structs.replace(_bare(subject, "not_yet"), event_id=event_id)
    if event_id >= subject.next_event_id:
        return bare
    own = [step for step in subject.steps if step.event_id == event_id]
    merge = _of(own, StepKind.MERGED)
    target = event_id if merge is None or merge.into is None else merge.into
    there = own if target == event_id else [step for step in subject.steps if step.event_id == target]
    taken, held = _of(there, StepKind.ACKNOWLEDGED), _of(there, StepKind.HELD)
    last = taken or held or _of(there, StepKind.DROPPED)
    first = next((step for step in own if step.at is not None), None)
    entry = None if subject.queue is None else find_entry(subject.queue, event_id)
    story = msgspec.structs.replace(
        bare,
        state=_state(subject, event_id, target, entry, own),
        sent_at=None if last is None else last.sent_at,
        acknowledged_at=None if taken is None else taken.done_at,
        merged_at=None if merge is None else merge.done_at,
        merged_into=None if target == event_id else target,
        merged=tuple(sorted(_merged(subject, event_id))),
        event=msgspec.Raw(encode_entry(entry)) if payload and entry is not None else None,
    )
    if first is None:
        return story
    kind = first.kind or None
    return msgspec.structs.replace(story, type=kind, at=first.at, size=first.size, variant=first.variant)


def _of(steps: Iterable[Step], what: StepKind) -> Step | None:
    return next((step for step in steps if step.what is what), None)


def _merged(subject: ExplainedQueue, event_id: int) -> Iterator[int]:
    for step in subject.steps:
        if step.into == event_id and step.event_id not in {None, event_id}:
            yield step.event_id or 0


def _state(
    subject: ExplainedQueue, event_id: int, target: int, entry: Entry | None, own: Sequence[Step]
) -> str:
    pruned = subject.newest_pruned_id
    if pruned is not None and target <= pruned:
        # Without a record it may have been merged into what is not acknowledged.
        return "acknowledged" if own or pruned >= subject.trail.joined else "unknown"
    if subject.queue is None:
        return "dropped"
    if entry is not None:
        return "sent" if event_id <= subject.queue.placed else "waiting"
    return "unknown" if pruned is None and target == event_id else "merged"


def find_entry(queue: EventQueue, event_id: int) -> Entry | None:
    """The event as the queue holds it, merged already or not."""
    everything = chain(queue.entries, *(group.contributors for group in queue.groups()))
    return next((entry for entry in everything if entry[0] == event_id), None)
