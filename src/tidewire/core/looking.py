"""The part of the core's door that only looks: nothing here changes anything, so anybody may ask at any time."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from tidewire.core import explaining, overview, rehearsal
from tidewire.core.descriptor import Descriptor
from tidewire.core.explaining import Story
from tidewire.core.ids import QueueId, UserId
from tidewire.core.listing import Listing, Wanted
from tidewire.core.notice import Notice
from tidewire.core.outbox import OutboxPage
from tidewire.core.overview import Overview, QueueView
from tidewire.core.rehearsal import Rehearsed
from tidewire.core.remembered import RememberedIds
from tidewire.core.state import State
from tidewire.core.statistics import Statistics
from tidewire.core.survey import Survey

W = TypeVar("W")


class Looking(Generic[W]):
    """What can be seen of one shard."""

    __slots__ = ("_state",)

    def __init__(self, state: State[W]) -> None:
        """Takes what there is to be seen."""
        self._state = state

    # Queues and totals.

    @property
    def statistics(self) -> Statistics:
        """The running totals."""
        return self._state.statistics

    @property
    def memory_used(self) -> int:
        """Bytes that all queues take, as far as that can be counted (D8)."""
        return round(self._state.memory.used(len(self._state.directory)))

    @property
    def registration_bytes(self) -> int:
        """Bytes that a registration may take; 0: no bound."""
        return self._state.limits.registration_bytes

    def queues(self) -> int:
        """How many queues there are."""
        return len(self._state.directory)

    def waiting(self) -> int:
        """How many polls wait, those that were displaced among them; looks at every queue."""
        waiting = sum(descriptor.waiter is not None for descriptor in self._state.directory)
        return waiting + len(self._state.delayed)

    def queues_of(self, user_ids: Iterable[UserId]) -> list[QueueId]:
        """The ids of these users' queues."""
        directory = self._state.directory
        return [queue.queue_id for user_id in user_ids for queue in directory.of_user(user_id)]

    def queue_ids(self) -> list[QueueId]:
        """The queues there are, in order of creation."""
        return [descriptor.queue_id for descriptor in self._state.directory]

    def find(self, queue_id: str) -> Descriptor[W] | None:
        """A queue to look at, not to change."""
        return self._state.directory.get(queue_id)

    @property
    def remembered(self) -> RememberedIds:
        """The ids of notices that were taken, to look at."""
        return self._state.remembered

    def outbox_page(self, queue: str, *, after: int, limit: int) -> OutboxPage:
        """See `Outbox.page`."""
        return self._state.outbox.page(queue, after=after, limit=limit)

    def outbox_queues(self) -> list[str]:
        """The names of the outbox's queues."""
        return self._state.outbox.names()

    def survey(self) -> Survey[W]:
        """Begins to look at every queue, in slices (`core/survey.py`)."""
        return Survey(self._state)

    # Explaining.

    def explain_event(self, queue_id: str, event_id: int, *, payload: bool = False) -> Story:
        """See `explaining.explain_event`."""
        return explaining.explain_event(self._state, queue_id, event_id, payload=payload)

    def explain_notice(self, queue_id: str, notice_id: str, *, payload: bool = False) -> list[Story]:
        """See `explaining.explain_notice`."""
        return explaining.explain_notice(self._state, queue_id, notice_id, payload=payload)

    def explain_last(
        self, *, queue_id: str | None, user_id: UserId | None, last: int, payload: bool = False
    ) -> list[Story]:
        """See `explaining.explain_last`."""
        return explaining.explain_last(
            self._state, queue_id=queue_id, user_id=user_id, last=last, payload=payload
        )

    def rehearse(self, notice: Notice, *, most: int, payload: bool = False) -> Rehearsed:
        """See `rehearsal.rehearse`."""
        return rehearsal.rehearse(self._state, notice, most=most, payload=payload)

    def listing(self, wanted: Wanted) -> Listing[W]:
        """Begins to look for queues, in slices (`core/listing.py`)."""
        return Listing(self._state, wanted)

    def view_queue(self, queue_id: str, *, most: int, payload: bool = False) -> QueueView:
        """See `overview.view_queue`."""
        return overview.view_queue(self._state, queue_id, most=most, payload=payload)

    def overview(self, survey: Survey[W]) -> Overview:
        """See `overview.overview`."""
        return overview.overview(self._state, survey)
