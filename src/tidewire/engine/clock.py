"""The shard's time: wall time at the start, carried on by the monotonic clock (D12).

It never goes back, a suspended machine or a stuck loop counts as one second, and a wall clock that is set
is followed slowly. So nobody's queue expires because of a clock.
"""

from collections.abc import Callable

LATE = 10.0
"""Seconds between two readings beyond which the process was not running; it reads once a second (D12)."""

LATE_COUNTS_AS = 1.0
"""What such a gap counts as (D12)."""

SLEW = 0.05
"""Part of the elapsed time by which the shard's time may run faster or slower to meet the wall clock: an hour
is made up in a day, and an idle time of ten minutes is never off by more than half a minute."""


class ShardClock:
    """Time in UNIX seconds; reading it is what carries it on."""

    def __init__(
        self, *, wall: Callable[[], float], monotonic: Callable[[], float], floor: float = 0.0
    ) -> None:
        """Starts at wall time, or at `floor`, the newest time that was journalled, if that is later."""
        self._wall = wall
        self._monotonic = monotonic
        self._read_at = monotonic()
        self._now = max(wall(), floor)
        self._ticked_at = self._now
        self._skipped = 0.0

    @property
    def skipped(self) -> float:
        """Seconds that were not counted, since the process was not running."""
        return self._skipped

    def now(self) -> float:
        """The shard's time; rises from reading to reading."""
        read_at = self._monotonic()
        gap = read_at - self._read_at
        self._read_at = read_at
        if gap > LATE:
            self._skipped += gap - LATE_COUNTS_AS
            gap = LATE_COUNTS_AS
        self._now += gap
        return self._now

    def tick(self) -> float:
        """The shard's time, after a step towards the wall clock; to be called once a second."""
        before = self._now
        now = self.now()
        most = SLEW * (now - self._ticked_at)
        step = max(-most, min(most, self._wall() - now))
        # Slowed down for the whole time since the last tick, it could fall behind a reading in between.
        self._now = max(before, now + step)
        self._ticked_at = self._now
        return self._now
