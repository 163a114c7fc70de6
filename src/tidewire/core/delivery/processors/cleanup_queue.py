"""`cleanup_queue`: an internal notice that ends one queue of one user; never delivered (R4.49)."""

from typing import Any

from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.notices.notice import Notice


def process(notice: Notice, dispatch: Dispatch[Any]) -> None:
    """Ends the queue for whichever of the notice's users owns it; an unknown queue is no failure."""
    queue_id = named_queue(notice)
    if not dispatch.remove_queue(queue_id, notice.users):
        dispatch.note_unknown_queue(notice.kind, queue_id)


def named_queue(notice: Notice) -> str:
    """The queue that the notice is about; what is no id names none."""
    queue_id = notice.event.get("queue_id")
    return queue_id if isinstance(queue_id, str) else ""
