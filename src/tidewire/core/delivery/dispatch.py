"""What a processor works with: whose queues there are, and how an event gets into one."""

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from tidewire.core.errors import BadEventQueueId
from tidewire.core.events.acceptance import Event
from tidewire.core.events.presentation import Presentation
from tidewire.core.events.shaped_event import Representation
from tidewire.core.history.history import Marker
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.notices.notice import Notice
from tidewire.core.notifications.decisions import PendingNotification
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.state.state import State

W = TypeVar("W")


class Failure(NamedTuple):
    """Delivery of a notice failed in one queue (or, without one, altogether); the rest went on (D9)."""

    kind: str
    queue_id: QueueId | None
    error: Exception


FAILED = "failed"
"""What a queue's trail says of an event that could not be put in."""

NOTHING_MISSED: Mapping[UserId, PendingNotification] = MappingProxyType({})


class Dispatch(Generic[W]):
    """One notice on its way into queues.

    Attributes:
        failures: what could not be delivered.
        missed: for each user who is notifiable when gone, what their queues keep beside the event (R5.4).
        passed: users who hear nothing of it beyond what names them: they were given it before.
        part: when it is for some of those who are not named alone, the notice that says for whom.
    """

    __slots__ = (
        "_delivered",
        "_look_above",
        "_marker",
        "_now",
        "_queues_of",
        "_realm_id",
        "_representations",
        "_state",
        "_unknown",
        "failures",
        "missed",
        "part",
        "passed",
    )

    def __init__(
        self, state: State[W], realm_id: RealmId | None = None, marker: Marker | None = None
    ) -> None:
        self._state = state
        # The method itself: it is called for every user of a notice.
        self._queues_of = state.directory.by_user.of
        self._realm_id = realm_id
        self._representations: list[Representation] = []
        self._delivered = 0
        self._unknown = 0
        self._look_above = state.look_above
        self._now = state.recorded_at
        self._marker = marker or state.histories.marker(self._now)
        self.failures: list[Failure] = []
        self.missed = NOTHING_MISSED
        self.passed: Collection[UserId] = ()
        self.part: Notice | None = None

    @property
    def number(self) -> int:
        """Of the notice, as trails count them."""
        return self._marker.number

    @property
    def presentation(self) -> Presentation:
        """How users are presented: the settings that shape names, addresses and avatars."""
        return self._state.presentation

    def recipients(self, notice: Notice) -> Collection[UserId]:
        """The users of a notice, in order, without those who have no queue when it names many: most do nothing then."""
        return self._state.directory.by_user.present(notice.users)

    def queues_of(self, user_id: UserId) -> Collection[Descriptor[W]]:
        """The user's queues, in order of creation, as far as they are in the notice's realm."""
        queues = self._queues_of(user_id)
        if self._realm_id is not None:
            for queue in queues:
                if queue.spec.realm_id != self._realm_id:
                    return self._inside(queues)
        return queues

    def _inside(self, queues: Collection[Descriptor[W]]) -> Collection[Descriptor[W]]:
        inside = [queue for queue in queues if queue.spec.realm_id == self._realm_id]
        self._state.statistics.foreign_realm += len(queues) - len(inside)
        return inside

    def public_listeners(self, realm_id: RealmId, channel: object) -> Iterable[Descriptor[W]]:
        """The queues that may hear a realm's public message (`Firehose.public_listeners`), if the notice is for that realm."""
        if self._realm_id not in {None, realm_id}:
            return ()
        hearing = self._state.directory.public_listeners(realm_id, channel)
        part = self.part
        if part is not None:
            hearing = [descriptor for descriptor in hearing if part.may_hear(descriptor.spec.user_id)]
        absent = self._state.relocations.absent
        if self.passed or absent:
            out = {*self.passed, *absent}
            return [descriptor for descriptor in hearing if descriptor.spec.user_id not in out]
        return hearing

    def represent(self, event: Event, *, withheld: str | None = None) -> Representation:
        """A shaped event, to be delivered to every queue that gets just these bytes.

        With a rule in `withheld`, queues that would accept the event are counted as refused by that rule.
        """
        representation = Representation(event, self._state.rules, withheld=withheld)
        self._representations.append(representation)
        return representation

    def deliver(
        self,
        descriptor: Descriptor[W],
        shaped: Representation,
        *,
        flags: tuple[str, ...] = (),
        suffix: bytes = b"",
        missed: PendingNotification | None = None,
    ) -> None:
        """Puts a shaped event in the queue, if the queue accepts it."""
        try:
            refusal = shaped.refusal(descriptor.acceptance, flags)
            if refusal is None:
                self.push(descriptor, shaped, suffix, missed)
            else:
                self.refuse(descriptor, shaped.kind, refusal)
        except Exception as error:  # noqa: BLE001 - whatever one queue's rules do, the others get theirs (D9)
            self.fail(shaped.kind, descriptor, error)

    def push(
        self,
        descriptor: Descriptor[W],
        shaped: Representation,
        suffix: bytes = b"",
        missed: PendingNotification | None = None,
    ) -> None:
        """Puts an event in the queue unasked; a waiting poll becomes ready, but isn't answered yet (D-31)."""
        queue = descriptor.queue
        if not queue.size:
            queue.since = self._now
        try:
            queue.push(shaped, suffix, missed)
        except Exception as error:  # noqa: BLE001 - whatever an application's rule does (`core/queues/event_queue.py`)
            queue.push_alone(shaped, suffix, missed)
            self._state.rule_failed(shaped.kind, error)
        if queue.size > self._look_above:
            self._state.note_if_over(descriptor)
        self._delivered += 1
        if descriptor.waiter is not None and not descriptor.ready:
            descriptor.ready = True
            self._state.ready.append(descriptor)

    def refuse(self, descriptor: Descriptor[W], kind: str, refusal: str) -> None:
        """Counts an event that a queue doesn't get, and notes it there."""
        self._state.statistics.refused[refusal] += 1
        self._note_refusal(descriptor, kind, refusal)

    def _note_refusal(self, descriptor: Descriptor[W], kind: str, refusal: str) -> None:
        histories = self._state.histories
        if histories.most:
            marker = self._marker
            record = marker.refused.get(refusal) or marker.refusal(kind, refusal)
            histories.refuse(descriptor.history, record)

    def fail(self, kind: str, descriptor: Descriptor[W], error: Exception) -> None:
        """Notes that an event of this type could not be put in the queue."""
        self.failures.append(Failure(kind, descriptor.queue_id, error))
        self._note_refusal(descriptor, kind, FAILED)

    def remove_queue(self, queue_id: str, owners: Container[UserId]) -> bool:
        """Ends the queue if one of these users owns it; whether that was so (R4.49)."""
        descriptor = self._state.directory.get(queue_id)
        if descriptor is None or descriptor.spec.user_id not in owners:
            return False
        self._state.drop_queue(descriptor, "deleted")
        return True

    def revoke_user(self, user_id: UserId) -> None:
        """Ends all queues of a user, who gets none until restored."""
        self._state.revoked[user_id] = None
        self._state.relocations.note_fresh(user_id)
        for descriptor in list(self._state.directory.of_user(user_id)):
            self._state.drop_queue(descriptor, "revoked")

    def restore_user(self, user_id: UserId) -> None:
        """Lets a revoked user register again."""
        self._state.revoked.pop(user_id, None)

    def note_unknown_queue(self, kind: str, queue_id: str) -> None:
        """Says that the notice asked for a queue that is none of its users': worth knowing, but no failure (R11.11)."""
        self._unknown += 1
        self.failures.append(Failure(kind, QueueId(queue_id), BadEventQueueId(queue_id)))

    def close(self) -> list[Failure]:
        """Adds the notice to the statistics and returns what failed."""
        statistics = self._state.statistics
        statistics.delivered += self._delivered
        statistics.broken += len(self.failures) - self._unknown
        memory = self._state.memory
        memory.entries += self._delivered
        explains = self._state.histories.most
        for shaped in self._representations:
            if shaped.encoded:
                statistics.encoded += 1
                memory.enter(shaped.body)
                if explains:
                    memory.marks[id(shaped.body)] = self._marker.mark(shaped.kind, len(shaped.body))
        return self.failures


Dispatching: TypeAlias = Callable[[Notice], Dispatch[W]]
"""Begins the dispatch of a notice."""
