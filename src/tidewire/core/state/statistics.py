"""What a shard counts while it works: plain ints, read when somebody asks."""

from collections import Counter
from typing import Protocol


class Stopwatch(Protocol):
    """Measures how long notices take. The core has no clock, so it only says when one is done."""

    def begin(self) -> None:
        """The first notice begins now."""
        ...

    def lap(self, kind: str) -> None:
        """A notice of this type is done, and the next one begins."""
        ...


class Statistics:
    """Totals since the shard began; none of them goes into the state."""

    __slots__ = (
        "answered",
        "broken",
        "delivered",
        "displaced",
        "displaced_late",
        "emails",
        "encoded",
        "failed",
        "foreign_realm",
        "gave_way",
        "heartbeats",
        "imported",
        "lost",
        "moved_away",
        "moved_here",
        "notices",
        "notifications_lost",
        "parked",
        "pushes",
        "refused",
        "refused_notices",
        "registered",
        "removed",
        "repeats",
        "rule_failures",
        "turned_away",
    )

    def __init__(self) -> None:
        self.registered = 0
        self.imported = 0
        """Queues that came from a dump."""
        self.removed: Counter[str] = Counter()
        """Queues that ended, by reason."""
        self.notices: Counter[str] = Counter()
        """Notices carried out, by type of their event (`State.counted_as`)."""
        self.failed: Counter[str] = Counter()
        """Those of them whose processor failed, so that not every queue got the event."""
        self.repeats: Counter[str] = Counter()
        """Notices skipped because their id was known, by type."""
        self.refused_notices: Counter[str] = Counter()
        """Notices for which a request was refused, by type."""
        self.delivered = 0
        """Events put in queues."""
        self.refused: Counter[str] = Counter()
        """Events not put in a queue, by the rule that refused (`Acceptance.refusal`)."""
        self.foreign_realm = 0
        """Queues skipped because the notice was for another realm."""
        self.broken = 0
        """Queues or notices in which delivery failed; the others went on."""
        self.rule_failures: Counter[str] = Counter()
        """How often a merge rule failed, by the type that it belongs to; the events were delivered singly."""
        self.encoded = 0
        """Bodies encoded: the distinct representations of all events."""
        self.parked = 0
        self.answered = 0
        """Polls answered after a wait."""
        self.displaced = 0
        """Waiting polls that another on the same queue took the place of."""
        self.displaced_late = 0
        """Those of them that were answered late, because it happened too often (D-14)."""
        self.lost = 0
        """Waiting polls whose connection went away."""
        self.heartbeats = 0
        self.pushes: Counter[str] = Counter()
        """Push notifications put in the outbox, by trigger (R5.8)."""
        self.emails: Counter[str] = Counter()
        """Emails put in the outbox, by trigger (R5.8)."""
        self.turned_away: Counter[str] = Counter()
        """Registrations and publications refused because of a bound, by what was asked."""
        self.gave_way: Counter[str] = Counter()
        """What was given up for want of memory before any queue ended, by what it was (`core/transitions/removal.py`)."""
        self.moved_away = 0
        """Users who became another shard's."""
        self.moved_here = 0
        """Users who came from another shard."""
        self.notifications_lost = 0
        """Notifications that the outbox had no more room for."""

    @property
    def repeated(self) -> int:
        """Notices skipped because their id was known."""
        return self.repeats.total()
