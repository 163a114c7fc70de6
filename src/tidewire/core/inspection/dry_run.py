"""Rehearsal: what a notice would bring to whom, by the very code that delivers, with nothing delivered."""

from collections import Counter
from collections.abc import Collection, Container
from typing import TypeVar

import msgspec
from msgspec import Struct

from tidewire.core.delivery.dispatch import FAILED, Dispatch
from tidewire.core.delivery.processors import check_event, processor_for
from tidewire.core.events.encoding import encode_entry
from tidewire.core.events.shaped_event import Representation
from tidewire.core.history.history import Marker
from tidewire.core.ids import UserId
from tidewire.core.notices.deduplication import reused
from tidewire.core.notices.notice import Notice
from tidewire.core.notifications.decisions import PendingNotification
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.state.state import State

W = TypeVar("W")

OUTCOMES: tuple[str, ...] = ("queued", "refused", "failed", "other_realm", "ended")


class Outcome(Struct, frozen=True, kw_only=True):
    """What one queue would get.

    Attributes:
        state: one of `OUTCOMES`.
        rule: that refuses; of a queue that ends, why.
        event_id: that the event would have.
        merges_with: the waiting event that it would be merged with.
        answers: a poll waits for it.
        size: bytes of the shared body.
        event: what the client would get, if that was asked for.
    """

    queue_id: str
    user_id: int
    client: str
    state: str
    rule: str | None = None
    type: str | None = None
    event_id: int | None = None
    merges_with: int | None = None
    answers: bool = False
    size: int | None = None
    event: msgspec.Raw | None = None


class DryRun(Struct, frozen=True, kw_only=True):
    """What a notice would do.

    Attributes:
        repeated: the notice was taken before, so it would do nothing at all.
        counts: how many outcomes there are of each state, those that are left out among them.
        users_without_queue: users of the notice that have none.
    """

    repeated: bool
    outcomes: list[Outcome]
    counts: dict[str, int]
    users_without_queue: int


def dry_run(state: State[W], notice: Notice, *, most: int, payload: bool) -> DryRun:
    """What the notice would bring to each queue, `most` of them by name.

    Raises:
        InvalidNotice: it would be refused.
        NoticeIdReused: another notice has had its id.
    """
    known = None if notice.id is None else state.remembered.digest(notice.id)
    if notice.id is not None and known not in {None, notice.digest}:
        raise reused(notice.id)
    check_event(notice.event)
    rehearsal = _DryRun(state, notice, most=most, payload=payload)
    if known is None:
        processor_for(notice.kind)(notice, rehearsal)
    directory = state.directory
    return DryRun(
        repeated=known is not None,
        outcomes=rehearsal.outcomes,
        counts=dict(rehearsal.counts),
        users_without_queue=sum(not directory.of_user(user_id) for user_id in notice.users),
    )


class _DryRun(Dispatch[W]):
    """A dispatch that notes what it is asked to do."""

    __slots__ = ("_given", "_most", "_payload", "counts", "outcomes")

    def __init__(self, state: State[W], notice: Notice, *, most: int, payload: bool) -> None:
        super().__init__(state, notice.realm_id, Marker(state.histories, 0, 0.0))
        self._most = most
        self._payload = payload
        self._given: Counter[str] = Counter()
        self.outcomes: list[Outcome] = []
        self.counts: Counter[str] = Counter()

    def push(
        self,
        descriptor: Descriptor[W],
        shaped: Representation,
        suffix: bytes = b"",
        missed: PendingNotification | None = None,  # noqa: ARG002 - as where it is delivered
    ) -> None:
        """Notes an event that the queue would get."""
        event_id = descriptor.queue.next_event_id + self._given[descriptor.queue_id]
        self._given[descriptor.queue_id] += 1
        if not self._has_room("queued"):
            return
        entry = (event_id, shaped.body, suffix)
        self._note(
            descriptor,
            "queued",
            type=shaped.kind,
            event_id=event_id,
            merges_with=_merges_with(descriptor.queue, shaped),
            answers=descriptor.waiter is not None,
            size=len(shaped.body),
            event=msgspec.Raw(encode_entry(entry)) if self._payload else None,
        )

    def refuse(self, descriptor: Descriptor[W], kind: str, refusal: str) -> None:
        """Notes a refusal."""
        if self._has_room("refused"):
            self._note(descriptor, "refused", type=kind, rule=refusal)

    def fail(self, kind: str, descriptor: Descriptor[W], error: Exception) -> None:
        """Notes a failure."""
        if self._has_room(FAILED):
            self._note(descriptor, FAILED, type=kind, rule=type(error).__name__)

    def _inside(self, queues: Collection[Descriptor[W]]) -> Collection[Descriptor[W]]:
        inside = [queue for queue in queues if queue.spec.realm_id == self._realm_id]
        for queue in queues:
            if queue.spec.realm_id != self._realm_id and self._has_room("other_realm"):
                self._note(queue, "other_realm")
        return inside

    def remove_queue(self, queue_id: str, owners: Container[UserId]) -> bool:
        """Notes that the queue would end."""
        descriptor = self._state.directory.get(queue_id)
        if descriptor is None or descriptor.spec.user_id not in owners:
            return False
        self._end(descriptor, "deleted")
        return True

    def revoke_user(self, user_id: UserId) -> None:
        """Notes that the user's queues would end."""
        for descriptor in self._state.directory.of_user(user_id):
            self._end(descriptor, "revoked")

    def restore_user(self, user_id: UserId) -> None:
        """Does nothing: a dry run shows queues only."""

    def note_unknown_queue(self, kind: str, queue_id: str) -> None:
        """Does nothing: a dry run shows queues only."""

    def _end(self, descriptor: Descriptor[W], reason: str) -> None:
        if self._has_room("ended"):
            self._note(descriptor, "ended", rule=reason)

    def _has_room(self, state: str) -> bool:
        self.counts[state] += 1
        return len(self.outcomes) < self._most

    def _note(self, descriptor: Descriptor[W], state: str, **more: object) -> None:
        spec = descriptor.spec
        base = Outcome(
            queue_id=descriptor.queue_id, user_id=spec.user_id, client=spec.client_type_name, state=state
        )
        self.outcomes.append(msgspec.structs.replace(base, **more))


def _merges_with(queue: EventQueue, shaped: Representation) -> int | None:
    """The newest event of the group that it would join."""
    rule, groups = shaped.rule, queue.open.get(shaped.kind)
    if rule is None or not groups:
        return None
    try:
        joins, closed = shaped.joins, rule.closes(shaped.event, groups.keys())
    except Exception:  # noqa: BLE001 - whatever an application's rule does: it stands alone then
        return None
    joined = None if joins is None or joins in closed else groups.get(joins)
    return None if joined is None else joined.contributors[-1][0]
