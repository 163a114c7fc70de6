"""Limits and timeouts that a shard works by, as plain numbers, and the idle timeout that a client may ask for."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tidewire.core.events.encoding import ENTRY_FRAME

REMEMBERED_SHARE = 4


OUTBOX_SHARE = 8


TOMBSTONES_SHARE = 20
"""Remembered ids may take a quarter of the memory budget, the outbox an eighth, tombstones a twentieth. All have bounds of
their own too, but a million ids take 300 MB, and with a small budget that would leave the queues nothing."""


TRANSIT_SHARE = 8
"""Request bodies may take an eighth, and unread answers as much: both are there for as long as a stranger likes, while
what queues hold is what the memory is for. As much is kept free at most for carrying one of them out."""


TRANSIT_LEAST = 33_554_432
"""Bytes that each of these two may take however small the budget is: room for the largest request to publish, which has
16 MB, and for clients that read answers of a megabyte slowly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The times and bounds a shard works by, in seconds and bytes; 0 turns one off where it says so.

    Attributes:
        offline_after: unpolled seconds after which an owner counts as gone; 0: never (R2.23).
        remember_ids_for: how long a notice's id is remembered.
        remember_ids_max: how many are at most; 0: no bound.
        answer_max_bytes: size of one answer; 0: no bound.
        outbox_max: notifications that wait for workers; 0: no bound.
        mobile_shards: how many workers share the push notifications (R5.20).
        max_events: events of one queue; 0: no bound (D-13).
        max_bytes: their bytes; 0: no bound.
        max_per_user: queues of one user; 0: no bound.
        memory_budget: bytes that everything may take; 0: no bound (D8).
        registration_bytes: memory of what one queue is registered with; 0: no bound.
        tombstones_max: ended queues whose reason is remembered.
        tombstones_for: for how long.
        explain_bytes: of each queue's records of what became of its events; 0: nothing is recorded.
        explain_ended: ended queues whose records are kept.
    """

    offline_after: float = 600.0
    remember_ids_for: float = 86_400.0
    remember_ids_max: int = 1_000_000
    answer_max_bytes: int = 1_048_576
    outbox_max: int = 100_000
    mobile_shards: int = 1
    max_events: int = 100_000
    max_bytes: int = 67_108_864
    max_per_user: int = 100
    memory_budget: int = 0
    registration_bytes: int = 65_536
    tombstones_max: int = 100_000
    tombstones_for: float = 86_400.0
    explain_bytes: int = 2048
    explain_ended: int = 1000

    @property
    def look_above(self) -> float:
        """Bytes up to which a queue can't have passed a bound, however short its events are."""
        by_events = self.max_events * (ENTRY_FRAME + len(b'{"type":"a"')) or math.inf
        return min(by_events, self.max_bytes or math.inf)

    @property
    def remembered_bytes(self) -> float:
        """Bytes that remembered ids may take."""
        return self.memory_budget / REMEMBERED_SHARE or math.inf

    def outbox_most(self, each: int) -> int:
        """How many notifications of `each` bytes may wait; 0: no bound."""
        room = self.memory_budget // OUTBOX_SHARE
        return min(self.outbox_max or room, room // each or 1) if room else self.outbox_max

    @property
    def tombstone_bytes(self) -> float:
        """Bytes that tombstones may take."""
        return self.memory_budget / TOMBSTONES_SHARE or math.inf

    @property
    def transit_bytes(self) -> float:
        """Bytes that request bodies, and unread answers, may each take."""
        return max(self.memory_budget / TRANSIT_SHARE, TRANSIT_LEAST) if self.memory_budget else math.inf

    @property
    def work_bytes(self) -> float:
        """Bytes that are kept free at most for carrying out a request with a large body."""
        return self.memory_budget / TRANSIT_SHARE or math.inf


Requested: TypeAlias = int | Literal["mobile"] | None
"""Seconds, the word for mobile apps, or nothing."""


MOBILE = 43_200
"""Seconds that `"mobile"` stands for: twelve hours (R2.5)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IdleTimeouts:
    """The default and the bounds, in seconds; a bound of 0 is none."""

    default: int = 600
    maximum: int = 604_800
    minimum: int = 60

    def effective(self, requested: Requested) -> int:
        """What the queue gets; 0 asks for the default, as clients of before V12 did (R2.6)."""
        seconds = MOBILE if requested == "mobile" else requested or self.default
        if self.maximum:
            seconds = min(seconds, self.maximum)
        return max(seconds, self.minimum)
