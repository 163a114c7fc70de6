"""An operator's view of a shard: one of its queues in full, and its totals."""

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import TypeVar

import msgspec
from msgspec import Struct

from tidewire.core.events.capabilities import CAPABILITY_NAMES, Capabilities
from tidewire.core.events.encoding import Entry, encode_entry, entry_size
from tidewire.core.events.shape import client_class
from tidewire.core.history.history import StepKind
from tidewire.core.inspection.explain import ExplainedQueue, subject_of
from tidewire.core.inspection.queue_list import QueueRow, queue_row
from tidewire.core.inspection.survey import Survey
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.queues.merge_group import entry_id
from tidewire.core.state.state import State

W = TypeVar("W")

MOST_TYPES = 100
"""Types of notices that the totals name; publishers choose them."""


class HeldEvent(Struct, frozen=True, kw_only=True):
    """An event in a queue, in outline."""

    id: int
    type: str
    size: int
    state: str
    event: msgspec.Raw | None


class TrailStep(Struct, frozen=True, kw_only=True):
    """One step of a queue's timeline: what happened to the queue, or what became of an event in it.

    Attributes:
        at: when an event was queued or refused.
        done_at: when it was acknowledged, merged or dropped.
    """

    what: str
    at: float | None
    event_id: int | None
    type: str | None
    rule: str | None
    sent_at: float | None
    done_at: float | None
    into: int | None


class QueueView(Struct, frozen=True, kw_only=True):
    """One queue in full; of one that ended, what is left: what its client registered with is null then.

    Attributes:
        capabilities: those that its client has.
        client_class: of a bridge its name, which messages are shaped by; otherwise empty.
        contents: the oldest events that it holds.
        timeline: what became of its events of late, oldest first.
    """

    queue_id: str
    user_id: int
    realm_id: int
    client: str
    idle_timeout: int | None
    event_types: tuple[str, ...] | None
    narrow: tuple[tuple[str, str], ...] | None
    all_public_streams: bool | None
    capabilities: tuple[str, ...] | None
    client_class: str | None
    next_event_id: int
    newest_pruned_id: int | None
    ended: str | None
    ended_at: float | None
    row: QueueRow | None
    contents: list[HeldEvent]
    timeline: list[TrailStep]


class Overview(Struct, frozen=True, kw_only=True):
    """The totals of a shard since its process began, and what there is now."""

    queues: int
    users: int
    waiting: int
    offline: int
    events: int
    bytes: int
    shapes: int
    acceptances: int
    ended_kept: int
    outbox: int
    remembered: int
    memory_used: int
    memory_budget: int
    memory_trails: int
    memory_parts: dict[str, int]
    totals: dict[str, int]
    notices: dict[str, int]
    refused: dict[str, int]
    removed: dict[str, int]
    turned_away: dict[str, int]
    gave_way: dict[str, int]


COUNTED: tuple[str, ...] = (
    "registered",
    "imported",
    "repeated",
    "delivered",
    "foreign_realm",
    "broken",
    "encoded",
    "parked",
    "answered",
    "displaced",
    "displaced_late",
    "lost",
    "heartbeats",
    "notifications_lost",
)
"""Totals of `Statistics` that are one number each."""


def view_queue(state: State[W], queue_id: str, *, most: int, payload: bool) -> QueueView:
    """One queue, with up to `most` of its events and as many steps of its timeline.

    Raises:
        NotFound: there is no such queue.
    """
    subject = subject_of(state, queue_id)
    descriptor = state.directory.get(queue_id)
    spec = subject.spec
    return QueueView(
        queue_id=subject.queue_id,
        user_id=subject.user_id,
        realm_id=subject.realm_id,
        client=subject.client,
        idle_timeout=None if spec is None else spec.idle_timeout,
        event_types=None if spec is None else spec.event_types,
        narrow=None if spec is None else spec.narrow,
        all_public_streams=None if spec is None else spec.all_public_streams,
        capabilities=None if spec is None else _names(spec.capabilities),
        client_class=None if spec is None else client_class(spec.client_type_name),
        next_event_id=subject.next_event_id,
        newest_pruned_id=subject.newest_pruned_id,
        ended=subject.ended,
        ended_at=subject.ended_at,
        row=None if descriptor is None else queue_row(descriptor),
        contents=[] if subject.queue is None else list(_contents(subject.queue, most, payload=payload)),
        timeline=_timeline(subject, most),
    )


def _names(capabilities: Capabilities) -> tuple[str, ...]:
    return tuple(name for name in CAPABILITY_NAMES if getattr(capabilities, name))


class _Typed(Struct):
    type: str


_TYPE = msgspec.json.Decoder(_Typed)


def _contents(queue: EventQueue, most: int, *, payload: bool) -> Iterator[HeldEvent]:
    waiting = [(group.kind, group.contributors) for group in queue.groups()]
    mergeable = {entry[0] for _, contributors in waiting for entry in contributors}
    everything = merge(queue.entries, *(contributors for _, contributors in waiting), key=entry_id)
    for entry in islice(everything, most):
        yield _held(entry, _state_of(entry, queue, mergeable), payload=payload)


def _state_of(entry: Entry, queue: EventQueue, mergeable: set[int]) -> str:
    if entry[0] in mergeable:
        return "mergeable"
    return "sent" if entry[0] <= queue.placed else "waiting"


def _held(entry: Entry, state: str, *, payload: bool) -> HeldEvent:
    shown = encode_entry(entry)
    return HeldEvent(
        id=entry[0],
        type=_TYPE.decode(shown).type,
        size=entry_size(entry),
        state=state,
        event=msgspec.Raw(shown) if payload else None,
    )


def _timeline(subject: ExplainedQueue, most: int) -> list[TrailStep]:
    return [
        TrailStep(
            what=StepKind(step.what).name.lower(),
            at=step.at,
            event_id=step.event_id,
            type=step.kind or None,
            rule=step.rule or None,
            sent_at=step.sent_at,
            done_at=step.done_at,
            into=step.into,
        )
        for step in subject.steps[-most:]
    ]


def overview(state: State[W], survey: Survey[W]) -> Overview:
    """The totals, with what a survey found in the queues."""
    statistics, memory, tables = state.statistics, state.memory, survey.tables()
    return Overview(
        queues=survey.queues,
        users=tables.users,
        waiting=survey.waiting + len(state.delayed),
        offline=survey.offline,
        events=memory.entries,
        bytes=survey.sizes.total,
        shapes=tables.shapes,
        acceptances=tables.acceptances,
        ended_kept=len(state.ended),
        outbox=tables.outbox,
        remembered=tables.remembered,
        memory_used=tables.memory_used,
        memory_budget=state.limits.memory_budget,
        memory_trails=memory.trails,
        memory_parts=tables.memory_parts,
        totals={name: getattr(statistics, name) for name in COUNTED},
        notices=dict(statistics.notices.most_common(MOST_TYPES)),
        refused=dict(statistics.refused),
        removed=dict(statistics.removed),
        turned_away=dict(statistics.turned_away),
        gave_way=dict(statistics.gave_way),
    )
