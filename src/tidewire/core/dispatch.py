"""What a processor works with: whose queues there are, and how an event gets into one."""

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from tidewire.core.acceptance import Event
from tidewire.core.descriptor import Descriptor
from tidewire.core.errors import BadEventQueueId
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.representation import Representation
from tidewire.core.state import State

W = TypeVar("W")


class Failure(NamedTuple):
    """Delivery of a notice failed in one queue (or, without one, altogether); the rest went on (D9)."""

    kind: str
    queue_id: QueueId | None
    error: Exception


class Dispatch(Generic[W]):
    """One notice on its way into queues."""

    __slots__ = ("_delivered", "_realm_id", "_representations", "_state", "_unknown", "failures")

    def __init__(self, state: State[W], realm_id: RealmId | None = None) -> None:
        self._state = state
        self._realm_id = realm_id
        self._representations: list[Representation] = []
        self._delivered = 0
        self._unknown = 0
        self.failures: list[Failure] = []

    def queues_of(self, user_id: UserId) -> Iterable[Descriptor[W]]:
        """The user's queues, in order of creation, as far as they are in the notice's realm."""
        queues = self._state.directory.of_user(user_id)
        if self._realm_id is None:
            return queues
        found = list(queues)
        inside = [queue for queue in found if queue.spec.realm_id == self._realm_id]
        self._state.statistics.foreign_realm += len(found) - len(inside)
        return inside

    def represent(self, event: Event) -> Representation:
        """A shaped event, to be delivered to every queue that gets just these bytes."""
        representation = Representation(event, self._state.rules)
        self._representations.append(representation)
        return representation

    def deliver(
        self,
        descriptor: Descriptor[W],
        shaped: Representation,
        *,
        flags: tuple[str, ...] = (),
        suffix: bytes = b"",
    ) -> None:
        """Puts a shaped event in the queue, if the queue accepts it."""
        try:
            refusal = shaped.refusal(descriptor.acceptance, flags)
            if refusal is None:
                self.push(descriptor, shaped, suffix)
            else:
                self._state.statistics.refused[refusal] += 1
        except Exception as error:  # noqa: BLE001 - whatever one queue's rules do, the others get theirs (D9)
            self.failures.append(Failure(shaped.kind, descriptor.queue_id, error))

    def push(self, descriptor: Descriptor[W], shaped: Representation, suffix: bytes = b"") -> None:
        """Puts an event in the queue unasked; a waiting poll becomes ready, but isn't answered yet (D-31)."""
        descriptor.queue.push(shaped, suffix)
        self._delivered += 1
        if descriptor.waiter is not None and not descriptor.ready:
            descriptor.ready = True
            self._state.ready.append(descriptor)

    def remove_queue(self, queue_id: str, user_id: UserId) -> bool:
        """Ends the user's queue; whether there was such a queue (R4.49)."""
        descriptor = self._state.directory.get(queue_id)
        if descriptor is None or descriptor.spec.user_id != user_id:
            return False
        self._state.drop_queue(descriptor, "deleted")
        return True

    def note_unknown_queue(self, kind: str, queue_id: str) -> None:
        """Says that the notice asked for a queue that is none of its users': worth knowing, but no failure (R11.11)."""
        self._unknown += 1
        self.failures.append(Failure(kind, QueueId(queue_id), BadEventQueueId(queue_id)))

    def close(self) -> list[Failure]:
        """Adds the notice to the statistics and returns what failed."""
        statistics = self._state.statistics
        statistics.delivered += self._delivered
        statistics.broken += len(self.failures) - self._unknown
        statistics.encoded += sum(shaped.encoded for shaped in self._representations)
        return self.failures
