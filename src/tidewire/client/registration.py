"""What a client is given: the registration of a queue, and the report of a gap."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Registration:
    """An event queue that the server made for this client.

    Attributes:
        queue_id: names the queue in polls.
        last_event_id: what the first poll acknowledges; -1 when nothing happened yet.
        idle_timeout: seconds without a poll after which the server ends the queue; None when it did not say.
        answer: the whole answer, with the initial state that was asked for.
    """

    queue_id: str
    last_event_id: int
    idle_timeout: float | None
    answer: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Gap:
    """A place where events may be missing, because a queue ended before everything in it was read.

    Attributes:
        old_queue_id: the queue that is gone.
        reason: why it ended, as far as the server knows (`expired`, `limit`, ...), else `unknown`.
        last_event_id: the last event of the old queue whose processing finished.
        new_queue_id: the queue that takes its place; it holds what happens from its registration on.
    """

    old_queue_id: str
    reason: str
    last_event_id: int
    new_queue_id: str
