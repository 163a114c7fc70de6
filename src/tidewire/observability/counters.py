"""What adapters count while they work: plain ints, read when somebody asks. They never meet, so it stands here."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

FAST = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.5, 2.5)
"""Seconds, as upper bounds of classes, for what takes microseconds when all is well."""

SLOW = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds in seconds of the buckets for waits on a disk."""


class Histogram:
    """How often something took how long.

    Attributes:
        bounds: upper bounds of the classes, each inclusive; one more class is above the last.
        counts: how often, in each class.
        total: of all times together.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = FAST) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Counts one duration, in seconds."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class JournalStatistics:
    """What a journal did.

    Attributes:
        appends: how long it took to write each record.
        flushes: how long it took to make what was written durable; on a thread of its own.
        bytes: written, with the frames of records.
        failures: records that could not be written.
    """

    __slots__ = ("appends", "bytes", "failures", "flushes")

    def __init__(self) -> None:
        self.appends = Histogram(FAST)
        self.flushes = Histogram(SLOW)
        self.bytes = 0
        self.failures = 0


@dataclass(slots=True)
class LaneStatistics:
    """Totals of what happened on connections.

    Attributes:
        repolls: polls recognised as a repetition of the one before.
        polls: polls that were read from scratch.
        publishes: requests to publish.
        handed_over: requests that went the ordinary way.
        refused: connections beyond a bound.
        timed_out: connections that were too slow.
    """

    repolls: int = 0
    polls: int = 0
    publishes: int = 0
    handed_over: int = 0
    refused: int = 0
    timed_out: int = 0


@dataclass(slots=True)
class HttpStatistics:
    """Totals of requests, and the connections there are.

    Attributes:
        lane: what the fast lane did.
        polls: polls answered by the fast lane with 200; nearly all requests are.
        answers: all others, by route, method and status.
        errors: error answers, by code.
        connections: those that are open.
    """

    lane: LaneStatistics = field(default_factory=LaneStatistics)
    polls: int = 0
    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    connections: Collection[Any] = ()
