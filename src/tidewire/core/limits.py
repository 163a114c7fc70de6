"""What a shard works by: times and bounds, as plain numbers."""

import math
from dataclasses import dataclass

from tidewire.core.wire import ENTRY_FRAME


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
        memory_budget: bytes that all queues may take; 0: no bound (D8).
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
    tombstones_max: int = 100_000
    tombstones_for: float = 86_400.0
    explain_bytes: int = 2048
    explain_ended: int = 1000

    @property
    def look_above(self) -> float:
        """Bytes up to which a queue can't have passed a bound, however short its events are."""
        by_events = self.max_events * (ENTRY_FRAME + len(b'{"type":"a"')) or math.inf
        return min(by_events, self.max_bytes or math.inf)
