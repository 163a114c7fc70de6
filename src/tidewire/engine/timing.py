"""The times that an engine keeps, and who does its work aside when nobody minds waiting."""

from collections.abc import Callable
from dataclasses import dataclass

TICK = 1.0
"""Seconds between ticks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineTiming:
    """The engine's times in seconds; `collect_every` 0 turns the collector off."""

    heartbeat_min: float = 45.0
    heartbeat_max: float = 55.0
    collect_every: float = 60.0

    @property
    def heartbeat_spread(self) -> float:
        """Over how many seconds heartbeats are spread.

        A deadline is acted on up to two ticks late (rounding, and the tick itself), never early.
        """
        return max(0.0, self.heartbeat_max - self.heartbeat_min - 2 * TICK)


HELD_MOST = 10.0
"""Seconds that an answer is held while the record of its merges can't be written. Any client waits that long, and
one that polls again after it is no burden."""


def run_inline(work: Callable[[], None], done: Callable[[Exception | None], None]) -> None:
    """An `Aside` for where nobody minds waiting."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - handed on whole
        done(error)
    else:
        done(None)
