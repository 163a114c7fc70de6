"""The gate between a shard and the outside: records go into the journal, and answers leave when they may.

An answer leaves when the journal has made durable what it shows. Until then it waits in line.

While the journal can't be written (*failing*), nothing new is accepted: such requests get `Unavailable` at
once. Polls get what is durable, without merges, since a merge needs a record. Answers that had merged events
before the failure was noticed are *held*, and so are later ones of the same queues; a poll that was held long
enough ends with nothing.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tidewire.core.errors import Unavailable
from tidewire.core.ids import QueueId
from tidewire.core.records import Record, Sealed
from tidewire.core.shard import Shard
from tidewire.core.state.state import Batch
from tidewire.ports.engine import Reporter, Waiter
from tidewire.ports.storage import Journal


class HeldResponse(NamedTuple):
    """The answer of a poll whose queue has a merge that no record tells of."""

    due: float
    slot: Waiter[Batch]
    batch: Batch


class DurabilityGate:
    """Writes records to the journal, and holds each answer until the records that it shows are durable."""

    def __init__(
        self,
        *,
        shard: Shard[Waiter[Batch]],
        journal: Journal,
        reporter: Reporter,
        on_failing: Callable[[bool], None],
    ) -> None:
        self._shard = shard
        self._journal = journal
        self._reporter = reporter
        self._on_failing = on_failing
        self._position = journal.durable
        self._line: deque[tuple[int, Waiter[Any], Any]] = deque()
        self._owed: deque[Sealed] = deque()
        """Records of merges that could not be written yet."""
        self._owing: set[str] = set()
        """The queues that they are about."""
        self._held: list[HeldResponse] = []
        self.failing = False
        self.closed = False
        """Whether another process has the state now: no record is taken, and no queue read, because it may say more."""

    @property
    def settled(self) -> int | None:
        """Position of the newest record, or None while a merge has none."""
        return None if self._owed or self._shard.has_unwritten else self._position

    # Records.

    def write(self, record: Record) -> None:
        """Journals a record.

        Raises:
            Unavailable: it can't be written; nothing was.
        """
        self.check_open()
        if self._owed and not self._flush_merge_records():
            raise Unavailable("The journal can't be written")
        try:
            self._position = self._journal.append(record)
        except Unavailable as error:
            self._note_failing(error)
            raise
        if self.failing:
            self._note_working()

    def check_open(self) -> None:
        """Raises Unavailable: another process has the state."""
        if self.closed:
            raise Unavailable("The server is stopping")

    def _flush_merge_records(self) -> bool:
        """Writes the records of merges that answers are about to show; whether all could be."""
        unwritten = self._shard.take_unwritten()
        self._owed += unwritten
        self._owing.update(record.queue_id for record in unwritten)
        try:
            while self._owed:
                self._position = self._journal.append(self._owed[0])
                self._owed.popleft()
        except Unavailable as error:
            self._note_failing(error)
            return False
        self._owing.clear()
        held, self._held = self._held, []
        for waits in held:
            self.answer(waits.slot, waits.batch)
        return True

    def _note_failing(self, error: Unavailable) -> None:
        if not self.failing:
            self.failing = True
            self._shard.merge_on_read(allowed=False)
            self._reporter.journal_failed(error)
            self._on_failing(True)

    def _note_working(self) -> None:
        self.failing = False
        self._shard.merge_on_read(allowed=True)
        self._reporter.journal_works()
        self._on_failing(False)

    # Answers.

    def answer(self, waiter: Waiter[Any], answer: object) -> None:
        """Lets an answer leave once everything written so far is durable."""
        if self._line or self._position > self._journal.durable:
            self._line.append((self._position, waiter, answer))
        else:
            self.complete(waiter, answer)

    def answer_poll(self, waiter: Waiter[Batch], batch: Batch, *, now: float, due: float) -> None:
        """Sends an answer to a poll. If its merge record can't be written, it is held until `due` at most."""
        if self._shard.has_unwritten or batch.queue_id in self._owing:
            self._flush_merge_records()
        if batch.queue_id not in self._owing:
            self.answer(waiter, batch)
        elif due <= now:
            self.end_empty(waiter, batch.queue_id)
        else:
            self._held.append(HeldResponse(due, waiter, batch))

    def answer_polls(self, taken: Iterable[tuple[Waiter[Batch], Batch]], *, now: float, due: float) -> None:
        """`answer_poll` for many at once: nearly always nothing is in the way of any of them."""
        if self._line or self._owing or self._shard.has_unwritten or self._position > self._journal.durable:
            for waiter, batch in taken:
                self.answer_poll(waiter, batch, now=now, due=due)
            return
        for waiter, batch in taken:
            self.complete(waiter, batch)

    def release_held(self, now: float) -> None:
        """Ends polls that were held long enough."""
        held, self._held = self._held, []
        for waits in held:
            if waits.due <= now:
                self.end_empty(waits.slot, waits.batch.queue_id)
            else:
                self._held.append(waits)

    def end_held(self, queue_ids: Iterable[QueueId]) -> None:
        """Ends the polls of these queues that are held."""
        named = set(queue_ids)
        ending = [waits for waits in self._held if waits.batch.queue_id in named]
        self._held = [waits for waits in self._held if waits.batch.queue_id not in named]
        for waits in ending:
            self.end_empty(waits.slot, waits.batch.queue_id)

    def end_empty(self, waiter: Waiter[Batch], queue_id: QueueId) -> None:
        """Ends a poll with nothing: that shows nothing, and so need not wait (D5)."""
        self.complete(waiter, Batch(queue_id, ()))

    def durable_moved(self) -> None:
        """The journal has made more records durable: the answers that waited for them leave."""
        durable = self._journal.durable
        while self._line and self._line[0][0] <= durable:
            _, waiter, answer = self._line.popleft()
            self.complete(waiter, answer)

    def complete(self, waiter: Waiter[Any], answer: object) -> None:
        """Hands an answer over now."""
        try:
            waiter.complete(answer)
        except Exception as error:  # noqa: BLE001 - one broken connection must not keep others from theirs
            self._reporter.answer_failed(error)
