"""Moves queues in and out of a shard: users who change shards, and dumps that are imported or exported.

Each step is journalled, and nobody is told of it before it is durable. The conversation with other shards is
`cluster/relocation.py`; the steps themselves are in `core/transitions/relocate.py`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tidewire.core.dump import DumpedQueue, write_pair
from tidewire.core.ids import QueueId, UserId
from tidewire.core.records import Record
from tidewire.core.relocation.relocations import Relocations
from tidewire.core.shard import Shard
from tidewire.core.state.state import Batch
from tidewire.core.transitions.relocate import Chunk
from tidewire.ports.engine import Clock, Waiter


class RelocationSteps:
    """The steps by which users are moved to or from this shard."""

    def __init__(
        self,
        shard: Shard[Waiter[Batch]],
        clock: Clock,
        commit: Callable[[Record], None],
        answer: Callable[[Waiter[Any], object], None],
        silence: Callable[[Iterable[QueueId]], None],
    ) -> None:
        """Takes everything it needs as arguments.

        Args:
            shard: whose users move.
            clock: the shard's time.
            commit: journals a record and carries it out.
            answer: completes a slot once everything written so far is durable.
            silence: ends the polls of queues with nothing.
        """
        self._relocation = shard.relocation
        self._clock = clock
        self._commit = commit
        self._answer = answer
        self._silence = silence

    @property
    def relocations(self) -> Relocations:
        """What is known of users on their way; to look at."""
        return self._relocation.relocations

    def answer_when_durable(self, waiter: Waiter[None]) -> None:
        """Answers when everything that stands in `moves` now is durable."""
        self._answer(waiter, None)

    def take_map(
        self, *, version: int, before: bytes, after: bytes, index: int, others: Sequence[int]
    ) -> None:
        """Lives under another map from here on.

        Raises:
            Unavailable: the journal can't be written; nothing has changed.
        """
        record = self._relocation.decide_map(
            version=version, before=before, after=after, index=index, others=others, now=self._clock.now()
        )
        self._commit(record)

    def agree(self) -> None:
        """All other shards know of the hand-over.

        Raises:
            Unavailable: the journal can't be written; nothing has changed.
        """
        record = self._relocation.decide_agreed(now=self._clock.now())
        if record is not None:
            self._commit(record)

    # The side that hands over.

    def users_to_move(self) -> list[UserId]:
        """Everybody of whom something is here that moves along."""
        return self._relocation.users_to_move()

    def drain_changed_users(self) -> list[UserId]:
        """Users who may have got something since the hand-over began, or since this was asked last."""
        return self._relocation.drain_changed_users()

    def realm_of(self, user_id: UserId) -> int | None:
        """The realm that a user's queues say; None without one."""
        return self._relocation.realm_of(user_id)

    def queues_of(self, users: Iterable[UserId]) -> int:
        """How many queues these users have."""
        return sum(len(self._relocation.queues_of(user_id)) for user_id in users)

    def size_of(self, user_id: UserId) -> int:
        """Bytes of a user's queues."""
        return self._relocation.size_of(user_id)

    @property
    def totals(self) -> tuple[int, int, int, int]:
        """Users with a queue, queues, and how many users have moved away and here since the process began."""
        return self._relocation.totals()

    def begin(self, users: Sequence[UserId], to: int, waiter: Waiter[None]) -> None:
        """Has users move: their polls end, and nothing of theirs changes. Answers once that is durable.

        Raises:
            Unavailable: the journal can't be written; nothing has changed.
        """
        record = self._relocation.decide_moving(users, to, now=self._clock.now())
        if record is not None:
            # While they are still here: what an answer has merged must be journalled before.
            self._silence([queue_id for user in users for queue_id in self._relocation.queues_of(user)])
            self._commit(record)
        self._answer(waiter, None)

    def chunks(self, users: Sequence[UserId]) -> Iterator[Chunk]:
        """Everything of users who are moving."""
        return self._relocation.chunks(users)

    def tables(self) -> Iterator[Chunk]:
        """The ids that were remembered when the hand-over began."""
        return self._relocation.tables()

    def finish(self, users: Sequence[UserId]) -> None:
        """The other shard has them.

        Raises:
            Unavailable: the journal can't be written; nothing has changed, and it is to be tried again.
        """
        record = self._relocation.decide_moved(users, now=self._clock.now())
        if record is not None:
            self._commit(record)

    def close(self) -> None:
        """Nobody is left here who has to move.

        Raises:
            Unavailable: the journal can't be written; nothing has changed.
        """
        self._commit(self._relocation.decide_close(now=self._clock.now()))

    # The side that takes.

    def take(self, chunk: Chunk, waiter: Waiter[None]) -> list[UserId]:
        """Takes what another shard sent, answers once it is durable, and returns who is this shard's by it.

        Raises:
            ShardMapDiffers: this shard does not live under that map, or not yet.
            Unavailable: the journal can't be written; nothing, or a first part, was taken.
        """
        records = self._relocation.decide_chunk(chunk, now=self._clock.now())
        for record in records:
            self._commit(record)
        self._answer(waiter, None)
        return [UserId(user) for user, _ in chunk.users] if records else []

    def settle_shard(self, shard: int) -> None:
        """Another shard has closed, and splits notices by the new map alone.

        Raises:
            Unavailable: the journal can't be written; nothing has changed.
        """
        record = self._relocation.decide_settled(shard, now=self._clock.now())
        if record is not None:
            self._commit(record)

    def whose_rights_changed(
        self, users: Iterable[UserId], rights: Callable[[UserId], bytes]
    ) -> list[UserId]:
        """Those whose rights are not what their queues rest on."""
        return self._relocation.whose_rights_changed(users, rights)


class Imports(NamedTuple):
    """What became of queues from a dump.

    Attributes:
        imported: how many are here now.
        known: places of those whose id was here before, or came twice: what was here stayed as it is.
    """

    imported: int
    known: Sequence[int]


class DumpTransfer:
    """Imports and exports of one shard."""

    def __init__(
        self,
        shard: Shard[Waiter[Batch]],
        clock: Clock,
        commit: Callable[[Record], None],
        settle: Callable[[], None],
        answer: Callable[[Waiter[Any], object], None],
    ) -> None:
        """Takes everything it needs as arguments.

        Args:
            shard: whose queues.
            clock: the shard's time.
            commit: journals a record and carries it out.
            settle: ends what has passed a bound.
            answer: completes a slot once everything written so far is durable.
        """
        self._shard = shard
        self._clock = clock
        self._commit = commit
        self._settle_bounds = settle
        self._answer = answer

    def take(
        self,
        dumped: Sequence[DumpedQueue],
        waiter: Waiter[Imports],
        *,
        restart: Mapping[str, Any] | None = None,
    ) -> None:
        """Makes queues from a dump, and says what became of them; with the event `restart` they are told (R10.9).

        Raises:
            Unavailable: there is no memory left, or the journal can't be written; none was made, or of many a first few.
        """
        now = self._clock.now()
        records, known = self._shard.decide_import(dumped, now=now)
        for record in records:
            self._commit(record)
            if restart is not None:
                made = [QueueId(image.queue_id) for image in record.queues]
                self._commit(self._shard.decide_restart(restart, now=now, queue_ids=made))
            self._settle_bounds()
        self._answer(waiter, Imports(len(dumped) - len(known), known))

    def settle(self, waiter: Waiter[None]) -> None:
        """Answers when everything that `write` gave so far is durable."""
        self._answer(waiter, None)

    def write(self) -> Iterator[bytes]:
        """The pairs of all queues that are there now, in order of creation; those that end meanwhile are left out.

        Each is written when it is asked for, so the shard may change in between.
        """
        for queue_id in self._shard.queue_ids():
            descriptor = self._shard.find(queue_id)
            if descriptor is None:
                continue
            # Who waits is there, however long ago the poll came.
            waits = descriptor.waiter is not None
            last_active = self._clock.now() if waits else descriptor.last_active
            yield write_pair(
                DumpedQueue(queue_id, descriptor.spec, descriptor.queue, last_active, descriptor.offline)
            )
