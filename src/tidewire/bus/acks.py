"""Acknowledgements in order: the broker is told of everything up to a delivery, so none before it may be open."""

from collections import deque
from collections.abc import Callable


class DeliveryBatch:
    """Deliveries that came one after the other.

    Attributes:
        left: how many of them are not done.
        began: when they were taken.
        reached: called once when all that came before is done.
    """

    __slots__ = ("began", "last", "left", "reached")

    def __init__(self, last: int, left: int, began: float) -> None:
        self.last = last
        self.left = left
        self.began = began
        self.reached: Callable[[], None] | None = None


class Acknowledger:
    """The open deliveries of one channel."""

    def __init__(self, acknowledge: Callable[[int], None]) -> None:
        self._acknowledge = acknowledge
        self._runs: deque[DeliveryBatch] = deque()

    def begin(self, last: int, count: int, *, now: float) -> DeliveryBatch:
        """Notes the next deliveries, up to the tag `last`; `now` is in seconds of any clock."""
        run = DeliveryBatch(last, count, now)
        self._runs.append(run)
        return run

    def finish(self, run: DeliveryBatch, count: int = 1) -> None:
        """Notes that deliveries of a run are done, and acknowledges what can be."""
        run.left -= count
        through = 0
        while self._runs and not self._runs[0].left:
            through = self._runs.popleft().last
        if through:
            self._acknowledge(through)
            self._note_reached()

    def when_reached(self, run: DeliveryBatch, reached: Callable[[], None]) -> None:
        """Calls `reached` once all deliveries before a run are done."""
        run.reached = reached
        self._note_reached()

    def _note_reached(self) -> None:
        first = self._runs[0] if self._runs else None
        if first is not None and first.reached is not None:
            reached, first.reached = first.reached, None
            reached()

    @property
    def is_idle(self) -> bool:
        """Whether every delivery has been acknowledged."""
        return not self._runs

    @property
    def open(self) -> int:
        """How many deliveries are not done."""
        return sum(run.left for run in self._runs)

    @property
    def oldest(self) -> float | None:
        """When the oldest of the open ones were taken."""
        return self._runs[0].began if self._runs else None


class PublishAck:
    """The engine's slot of notices that are done once they are durable."""

    __slots__ = ("_acknowledger", "_run")

    def __init__(self, acknowledger: Acknowledger, run: DeliveryBatch) -> None:
        self._acknowledger = acknowledger
        self._run = run

    def complete(self, answer: int) -> None:
        """Takes how many there were."""
        self._acknowledger.finish(self._run, answer)
