"""What a queue's trail tells when it is read, step by step (`core/trails.py`)."""

from enum import IntEnum
from typing import NamedTuple

from tidewire.core.ids import RealmId


class What(IntEnum):
    """What a record tells of."""

    REGISTERED = 0
    RECOVERED = 1
    IMPORTED = 2
    OFFLINE = 3
    HELD = 4
    ACKNOWLEDGED = 5
    MERGED = 6
    DROPPED = 7
    REFUSED = 8


LIFE = frozenset({What.REGISTERED, What.RECOVERED, What.IMPORTED, What.OFFLINE})
"""What happens to a queue and not to an event."""


class Step(NamedTuple):
    """One record, read; times in UNIX seconds.

    Attributes:
        notice: number of the notice that it belongs to or came after, as this process counts them; -1: not known.
        at: when it began: an event was queued or refused; None when that is not known.
        kind: the event's type; empty when it is not known.
        rule: of a refusal.
        size: bytes of the shared body.
        variant: which of the notice's representations it was, from 0.
        done_at: when it ended: was acknowledged, merged or dropped.
        into: of a merge: the event that took its place; its own id, when it took the place of others.
    """

    what: What
    notice: int
    at: float | None = None
    event_id: int | None = None
    kind: str = ""
    rule: str = ""
    size: int = 0
    variant: int = 0
    sent_at: float | None = None
    done_at: float | None = None
    into: int | None = None


class Known(NamedTuple):
    """A notice that has an id of its own."""

    number: int
    at: float
    kind: str
    realm_id: RealmId | None
