"""Relief of memory while a state is loaded: what passes the budget gives way before the rest is there.

The order is that of a running shard (`core/transitions/removal.py`). Bodies that only queues which gave way have held are let go of
at once, so that a state that is a multiple of the budget is never in memory. A queue further on that shares one of them
can't be made whole, and gives way too; by the order of giving way its turn would have come soon.
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

from msgspec.structs import replace

from tidewire.core.ids import QueueId, UserId
from tidewire.core.memory import others
from tidewire.core.persistence.snapshot import Snapshot
from tidewire.core.queues.image import QueueImage
from tidewire.core.records import Record, Removed, Ticked
from tidewire.core.state.state import State
from tidewire.core.transitions.apply import apply_record
from tidewire.core.transitions.removal import ROOM, decide_pressure, free_memory, note_giving_way

W = TypeVar("W")

LOST = b"\0"
"""In place of a body that was let go of; no event is encoded as this, and it is not what stands for one that could not be read."""


class Relief(Generic[W]):
    """Keeps one recovery within the budget."""

    def __init__(self, state: State[W], bodies: list[bytes]) -> None:
        """Takes what is filled, and the list of bodies that images name by number."""
        self._state = state
        self._bodies = bodies
        self._look_above = float(state.limits.memory_budget)
        self._has_lost = False
        self._placed = 0
        """How many of the bodies have their queues in place; queues to come name others."""
        self._ended: dict[str, tuple[UserId, Removed]] = {}

    def ends(self) -> list[Removed]:
        """The ends of the queues that gave way."""
        return [removed for _, removed in self._ended.values()]

    def look(self) -> None:
        """Has queues give way if what is loaded takes too much."""
        state, budget = self._state, self._state.limits.memory_budget
        state.count_tables()
        if not budget or state.memory.used(len(state.directory)) <= self._look_above:
            return
        self._let_go_of_bodies()
        while self._give_way():
            self._let_go_of_bodies()
        # Where nothing can give way, everything need not be looked through for every record.
        used = state.memory.used(len(state.directory))
        self._look_above = max(budget, used + budget * ROOM)

    def _give_way(self) -> bool:
        """Ends some queues; False when none has to end, or can."""
        state = self._state
        free_memory(state)
        giving = decide_pressure(state, state.recorded_at, self._left())
        note_giving_way(state, giving)
        for record in giving.ends:
            self._end(record)
        return bool(giving.ends)

    def placed(self) -> None:
        """All queues are in place that name the bodies which are there."""
        self._placed = len(self._bodies)
        self.look()

    def note(self, record: Record) -> None:
        """Takes note of a record that ends queues: those of them that gave way ended like this, and told so then."""
        named: Iterable[str] = ()
        if isinstance(record, Removed):
            named = (record.queue_id,)
        elif isinstance(record, Ticked):
            named = record.expired
        for queue_id in named:
            owner, _ = self._ended.pop(queue_id, (None, None))
            if owner is not None:
                self._tell_nothing(owner)

    def without_lost(self, part: Snapshot) -> Snapshot:
        """The slice without the queues whose bodies were let go of; they are ended."""
        if not self._has_lost:
            return part
        kept: list[QueueImage] = []
        for image in part.queues:
            if self._is_whole(image):
                kept.append(image)
                continue
            state, now = self._state, part.now
            user_id = image.spec.user_id
            state.tombstones.add(QueueId(image.queue_id), user_id, "memory", now)
            self._ended[image.queue_id] = (user_id, Removed(now, image.queue_id, "memory"))
        return replace(part, queues=tuple(kept))

    def _is_whole(self, image: QueueImage) -> bool:
        bodies = self._bodies
        return all(bodies[entry.body] != LOST for entry in image.entries) and all(
            bodies[entry.body] != LOST for group in image.groups for entry in group.contributors
        )

    def _end(self, record: Removed) -> None:
        descriptor = self._state.directory.get(record.queue_id)
        if descriptor is None:
            return
        self._ended[record.queue_id] = (descriptor.spec.user_id, record)
        # Whom it notifies is told when it is journalled, and then once.
        apply_record(self._state, replace(record, notified=()))

    def _tell_nothing(self, user_id: UserId) -> None:
        for queue_id, (owner, removed) in self._ended.items():
            notified = tuple(one for one in removed.notified if one.user_id != user_id)
            if len(notified) < len(removed.notified):
                self._ended[queue_id] = (owner, replace(removed, notified=notified))

    def _left(self) -> dict[int, int]:
        """How many entries each body has: the list of this recovery is no reason to keep it."""
        return dict(zip(map(id, self._bodies), others(self._bodies), strict=True))

    def _let_go_of_bodies(self) -> None:
        """Lets go of what nothing but the account and this recovery refers to."""
        for place, count in enumerate(others(self._bodies)):
            if count <= 0 and place < self._placed:
                self._bodies[place] = LOST
                self._has_lost = True
