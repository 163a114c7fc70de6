"""Making queues of their images, in a state."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from tidewire.core.errors import BadRequest
from tidewire.core.events.coalescing import MergeRule
from tidewire.core.ids import QueueId
from tidewire.core.notifications.decisions import PendingNotification
from tidewire.core.queues.image import QueueImage, fill_queue
from tidewire.core.state.state import State

W = TypeVar("W")


class Skipped(NamedTuple):
    """A queue that could not be restored, and why."""

    queue_id: str
    error: BadRequest


def make_queues(
    state: State[W], images: Iterable[QueueImage], bodies: Sequence[bytes], rules: Mapping[str, MergeRule]
) -> list[Skipped]:
    """Makes queues; `rules` are those whose groups are to wait on, and events of other groups are placed.

    Returns the queues whose narrow is no longer supported; all others are there (R12.9).
    """
    skipped: list[Skipped] = []
    shared: dict[PendingNotification, PendingNotification] = {}
    for image in images:
        try:
            descriptor = state.add_queue(QueueId(image.queue_id), image.spec, now=image.last_active)
        except BadRequest as error:
            skipped.append(Skipped(image.queue_id, error))
            continue
        descriptor.offline = image.offline
        fill_queue(descriptor.queue, image, bodies, rules)
        descriptor.queue.since = image.last_active
        # Any event may stand for others that nobody tells of any more.
        descriptor.history.joined = image.next_event_id - 1
        state.memory.entries += len(descriptor.queue)
        if image.missed:
            # Written for each queue, but one object for all that are equal, as when the message came.
            descriptor.queue.missed = {
                event_id: shared.setdefault(one, one) for event_id, one in image.missed
            }
    return skipped
