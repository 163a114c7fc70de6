"""A survey: what all queues hold together, found out in slices, since there may be very many.

Counting it while events come and go would cost every delivery something; this costs only who asks. The queues
are those that were there when it began, each as it is when its turn comes.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from tidewire.core.events.capabilities import CAPABILITY_NAMES
from tidewire.core.events.shape import Shape
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.state.state import State

W = TypeVar("W")

DEPTHS = (0, 1, 10, 100, 1_000, 10_000, 100_000)
"""Events of a queue: upper bounds of the classes that queues are counted in."""

SIZES = (0, 1_024, 16_384, 262_144, 1_048_576, 16_777_216, 67_108_864)
"""Upper bounds of the ranges by which queues are counted, in bytes of the events they hold."""


class Distribution:
    """How a figure is spread over the queues.

    Attributes:
        bounds: upper bounds of the classes, each inclusive; one more class is above the last.
        counts: how many queues are in each.
        total: the figures of all queues together.
        most: the greatest of them.
    """

    __slots__ = ("bounds", "counts", "most", "total")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0
        self.most = 0

    def add(self, figure: int) -> None:
        """Adds a queue to the totals."""
        self.counts[bisect_left(self.bounds, figure)] += 1
        self.total += figure
        self.most = max(self.most, figure)


class Tables(NamedTuple):
    """How large the other tables of a shard are.

    Attributes:
        users: who have a queue.
        shapes: distinct shapes in use.
        acceptances: distinct acceptances in use.
        outbox: notification records that wait for workers.
        remembered: notice ids.
        tombstones: ended queues whose reason is known.
        memory_used: bytes, as counted against the budget.
        memory_parts: what that is made of, uncorrected.
        memory_exhausted: registrations and publications are refused for want of memory.
    """

    users: int
    shapes: int
    acceptances: int
    outbox: int
    remembered: int
    tombstones: int
    memory_used: int
    memory_parts: dict[str, int]
    memory_exhausted: bool


class Survey(Generic[W]):
    """One look at every queue of a shard.

    Attributes:
        queues: how many there are.
        waiting: on how many of them a poll waits.
        offline: how many have an owner who counts as gone.
        depths: their events.
        sizes: the bytes of these.
        lacking: how many queues were registered without each capability.
        done: whether all were looked at.
    """

    __slots__ = (
        "_queues",
        "_shapes",
        "_state",
        "_uncounted",
        "depths",
        "done",
        "lacking",
        "offline",
        "queues",
        "sizes",
        "waiting",
    )

    def __init__(self, state: State[W]) -> None:
        self._state = state
        self._queues: Iterator[Descriptor[W]] = iter(list(state.directory))
        self._shapes: Counter[Shape] = Counter()
        self._uncounted: Iterator[tuple[Shape, int]] | None = None
        self.queues = 0
        self.waiting = 0
        self.offline = 0
        self.depths = Distribution(DEPTHS)
        self.sizes = Distribution(SIZES)
        self.lacking: Counter[str] = Counter(dict.fromkeys(CAPABILITY_NAMES, 0))
        self.done = False

    def step(self, most: int) -> None:
        """Looks at up to `most` queues."""
        if self._uncounted is None:
            taken = list(islice(self._queues, most))
            self._look_at(taken)
            if len(taken) < most:
                self._uncounted = iter(list(self._shapes.items()))
            return
        # As many capabilities as there are take as long as several queues.
        shapes = list(islice(self._uncounted, max(1, most // len(CAPABILITY_NAMES))))
        for shape, count in shapes:
            for name in CAPABILITY_NAMES:
                if not getattr(shape.capabilities, name):
                    self.lacking[name] += count
        self.done = not shapes

    def _look_at(self, taken: list[Descriptor[W]]) -> None:
        empty = 0
        for descriptor in taken:
            queue = descriptor.queue
            if queue:
                self.depths.add(len(queue))
                self.sizes.add(queue.size)
            else:
                empty += 1
            if descriptor.waiter is not None:
                self.waiting += 1
            if descriptor.offline:
                self.offline += 1
            self._shapes[descriptor.shape] += 1
        self.queues += len(taken)
        self.depths.counts[0] += empty
        self.sizes.counts[0] += empty

    def tables(self) -> Tables:
        """The other tables, as they are now."""
        state = self._state
        return Tables(
            users=state.directory.users(),
            shapes=state.shapes(),
            acceptances=state.acceptances(),
            outbox=len(state.outbox),
            remembered=len(state.remembered),
            tombstones=len(state.tombstones),
            memory_used=round(state.memory.used(len(state.directory))),
            memory_parts=state.memory.parts(len(state.directory)),
            memory_exhausted=state.memory.exhausted,
        )
