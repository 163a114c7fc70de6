"""Answers waiting polls in slices, and writes down in slices what polls have changed.

A tick's record covers the first queues that were polled. When thousands were polled in a second, further records cover the
others, with other work in between.
"""

from collections.abc import Callable, Iterable
from typing import Any

from tidewire.core.errors import Unavailable
from tidewire.core.ids import QueueId
from tidewire.core.records import Record
from tidewire.core.shard import Shard
from tidewire.core.state.state import Batch
from tidewire.engine.durability import DurabilityGate
from tidewire.engine.timing import HELD_MOST
from tidewire.ports.engine import Clock, Waiter

FLUSH_SLICE = 100
"""Answers written before other work gets a turn: some 2 ms at 20 us each, and as much again for the polls that come
back in that turn. A request of the ordinary routes takes a handful of turns. While a queue waits for its slice,
further events join its answer, so load turns into batching. Longer slices are no better for those who wait: with 500,
a thousand clients took 17 % more CPU, because what a poll needs was out of the cache when it came back."""


class PollResponder:
    """Answers the polls of one shard."""

    def __init__(
        self,
        *,
        shard: Shard[Waiter[Batch]],
        gate: DurabilityGate,
        clock: Clock,
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        """Takes everything it needs as arguments; `call_soon` calls a function after other work had a turn."""
        self._shard = shard
        self._gate = gate
        self._clock = clock
        self._call_soon = call_soon
        self._booked = False

    def flush(self) -> None:
        """Answers the waiting polls whose queues got events, in slices (`FLUSH_SLICE`).

        If many are ready, what made them so has held the loop for a while: other work goes first.
        """
        if self._booked:
            return
        if self._shard.ready() > FLUSH_SLICE:
            self._schedule()
        else:
            self._slice()

    def _schedule(self) -> None:
        self._booked = True
        self._call_soon(self._slice)

    def _slice(self) -> None:
        self._booked = False
        now = self._clock.now()
        taken = self._shard.take_ready(FLUSH_SLICE, now=now)
        self._gate.answer_polls(taken, now=now, due=now + HELD_MOST)
        if len(taken) == FLUSH_SLICE and self._shard.ready():
            self._schedule()

    def release(self, limit: int) -> int:
        """Ends up to `limit` waiting polls with an empty answer, for the server's sake (D5); returns how many."""
        return self._end_empty(self._shard.take_waiting(limit, now=self._clock.now()))

    def end_delayed(self, now: float) -> None:
        """Ends the displaced polls that were kept back long enough (D-14)."""
        self._end_empty(self._shard.take_delayed(now=now))

    def end_waits(self, due: Iterable[str], now: float) -> None:
        """Ends polls with nothing rather than never, while the journal fails (D5)."""
        self._end_empty(self._shard.take_due(due, now=now))
        self._gate.release_held(now)

    def end_polls_empty(self, queue_ids: Iterable[QueueId]) -> None:
        """Ends the polls of these queues with nothing, those too whose answers are held."""
        named = list(queue_ids)
        self._end_empty(self._shard.take_due(named, now=self._clock.now()))
        self._gate.end_held(named)

    def _end_empty(self, taken: list[tuple[Waiter[Batch], Batch]]) -> int:
        for waiter, batch in taken:
            self._gate.end_empty(waiter, batch.queue_id)
        return len(taken)


class PollRecorder:
    """Writes down the polls of one shard that a tick has left over."""

    def __init__(
        self,
        shard: Shard[Any],
        clock: Clock,
        commit: Callable[[Record], None],
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        """Takes everything it needs; `commit` journals and applies a record, `call_soon` lets other work go first."""
        self._shard = shard
        self._clock = clock
        self._commit = commit
        self._call_soon = call_soon
        self._left = 0
        self._booked = False

    def tick(self) -> None:
        """Goes on with the queues that have been polled by now; those that are polled meanwhile have their next tick."""
        self._left = self._shard.seen()
        self._schedule()

    def _schedule(self) -> None:
        if self._left and not self._booked:
            self._booked = True
            self._call_soon(self._slice)

    def _slice(self) -> None:
        self._booked = False
        record = self._shard.decide_seen(self._clock.now(), most=self._left)
        if record is None:
            return
        try:
            self._commit(record)
        except Unavailable:
            return  # whoever keeps the journal has said so; the next tick tries again
        self._left -= len(record.seen)
        self._schedule()
