"""Dumps of one shard: queues that come from another server, and queues that are written for one (section 10).

What comes is journalled before it is there, like everything else (D4). What is written is read in slices, each
queue as it is at one moment.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tidewire.core.dump import DumpedQueue, write_pair
from tidewire.core.ids import QueueId
from tidewire.core.records import Record
from tidewire.core.shard import Shard
from tidewire.core.state import Batch
from tidewire.ports import Clock, Slot


class Imports(NamedTuple):
    """What became of queues from a dump.

    Attributes:
        imported: how many are here now.
        known: places of those whose id was here before, or came twice: what was here stayed as it is.
    """

    imported: int
    known: Sequence[int]


class Dumps:
    """Imports and exports of one shard."""

    def __init__(
        self,
        shard: Shard[Slot[Batch]],
        clock: Clock,
        commit: Callable[[Record], None],
        settle: Callable[[], None],
        answer: Callable[[Slot[Any], object], None],
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
        self, dumped: Sequence[DumpedQueue], slot: Slot[Imports], *, restart: Mapping[str, Any] | None = None
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
        self._answer(slot, Imports(len(dumped) - len(known), known))

    def settle(self, slot: Slot[None]) -> None:
        """Answers when everything that `write` gave so far is durable."""
        self._answer(slot, None)

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
