"""The door to users on their way: what is decided and read for a hand-over (`core/handing.py`, `core/moves.py`)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from tidewire.core import handing
from tidewire.core.handing import Chunk
from tidewire.core.ids import QueueId, UserId
from tidewire.core.moves import Moves
from tidewire.core.records import Agreed, Closed, Moved, Moving, Record, Remapped, Settled
from tidewire.core.state import State

W = TypeVar("W")


class HandOver(Generic[W]):
    """One shard's side of it."""

    __slots__ = ("_state",)

    def __init__(self, state: State[W]) -> None:
        self._state = state

    @property
    def moves(self) -> Moves:
        """To look at, not to change."""
        return self._state.moves

    def decide_map(
        self, *, version: int, before: bytes, after: bytes, index: int, others: Sequence[int], now: float
    ) -> Remapped:
        """The shard lives under another map; see `Remapped`."""
        return Remapped(now, version, before, after, index, tuple(others))

    def decide_agreed(self, *, now: float) -> Agreed | None:
        """All other shards know of the hand-over; None when that was known."""
        return Agreed(now) if self.moves.under_way and not self.moves.agreed else None

    def concerned(self) -> list[UserId]:
        """See `handing.concerned`."""
        return handing.concerned(self._state)

    def queues_of(self, user_id: UserId) -> list[QueueId]:
        """The ids of a user's queues."""
        return [descriptor.queue_id for descriptor in self._state.directory.of_user(user_id)]

    def size_of(self, user_id: UserId) -> int:
        """Bytes of a user's queues."""
        return sum(descriptor.queue.size for descriptor in self._state.directory.of_user(user_id))

    def totals(self) -> tuple[int, int, int, int]:
        """Users with a queue, queues, and how many users have moved away and here."""
        directory, counted = self._state.directory, self._state.statistics
        return directory.users(), len(directory), counted.moved_away, counted.moved_here

    def realm_of(self, user_id: UserId) -> int | None:
        """The realm that a user's queues say; None without one."""
        return next((queue.spec.realm_id for queue in self._state.directory.of_user(user_id)), None)

    def decide_moving(self, users: Sequence[UserId], to: int, *, now: float) -> Moving | None:
        """See `handing.decide_moving`."""
        return handing.decide_moving(self._state, users, to, now)

    def chunks(self, users: Sequence[UserId]) -> Iterator[Chunk]:
        """See `handing.chunks`."""
        return handing.chunks(self._state, users)

    def tables(self) -> Iterator[Chunk]:
        """See `handing.tables`."""
        return handing.tables(self._state)

    def decide_moved(self, users: Iterable[UserId], *, now: float) -> Moved | None:
        """See `handing.decide_moved`."""
        return handing.decide_moved(self._state, users, now)

    def decide_close(self, *, now: float) -> Closed:
        """Nobody who has to move is left."""
        return Closed(now)

    def take_fresh(self) -> list[UserId]:
        """Users who may have got something since the hand-over began, or since this was asked last."""
        fresh = list(self.moves.fresh)
        self.moves.fresh.clear()
        return fresh

    def decide_chunk(self, chunk: Chunk, *, now: float) -> list[Record]:
        """See `handing.decide_chunk`."""
        return handing.decide_chunk(self._state, chunk, now)

    def decide_settled(self, shard: int, *, now: float) -> Settled | None:
        """See `handing.decide_settled`."""
        return handing.decide_settled(self._state, shard, now)

    def whose_rights_changed(
        self, users: Iterable[UserId], rights: Callable[[UserId], bytes]
    ) -> list[UserId]:
        """See `handing.decide_revoked`."""
        return handing.decide_revoked(self._state, users, rights)
