"""Writing down what polls have changed, in slices: acknowledgements, and when each queue was polled last.

A tick's record says it of the first queues. When thousands were polled in a second, records of their own say it of the
others, with other work in between.
"""

from collections.abc import Callable
from typing import Any

from tidewire.core.errors import Unavailable
from tidewire.core.records import Record
from tidewire.core.shard import Shard
from tidewire.ports import Clock


class Acknowledging:
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
        self._book()

    def _book(self) -> None:
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
        self._book()
