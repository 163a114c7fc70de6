"""A `Reporter` that counts what it is told, and passes it on."""

from collections.abc import Mapping

from tidewire.core.delivery.dispatch import Failure
from tidewire.core.errors import Unavailable
from tidewire.core.events.coalescing import RuleFailure
from tidewire.ports.engine import Collection, Reporter


class CountingReporter:
    """Counts what the engine reports, for the metrics.

    Attributes:
        answers_failed: answers that could not be handed to their connections.
        snapshots_kept: how many are or were in place.
        snapshots_failed: how many could not be written.
        snapshot_bytes: of the newest; 0 before there is one.
        skipped: seconds in which the process did not run.
        collections: how often the collector ran.
        collecting: seconds that took.
    """

    def __init__(self, told: Reporter, *, snapshot_bytes: int = 0) -> None:
        """Takes whom to tell, and the size of the snapshot that is there."""
        self._told = told
        self.answers_failed = 0
        self.snapshots_kept = 0
        self.snapshots_failed = 0
        self.snapshot_bytes = snapshot_bytes
        self.skipped = 0.0
        self.collections = 0
        self.collecting = 0.0

    def snapshot_kept(self, *, queues: int, size: int) -> None:
        """A snapshot is in place."""
        self.snapshots_kept += 1
        self.snapshot_bytes = size
        self._told.snapshot_kept(queues=queues, size=size)

    def delivery_failed(self, failure: Failure) -> None:
        """A notice could not be delivered to one queue, or not at all."""
        self._told.delivery_failed(failure)

    def rule_failed(self, failure: RuleFailure) -> None:
        """A merge rule of the application's failed."""
        self._told.rule_failed(failure)

    def answer_failed(self, error: Exception) -> None:
        """An answer could not be handed to its connection."""
        self.answers_failed += 1
        self._told.answer_failed(error)

    def journal_failed(self, error: Unavailable) -> None:
        """The journal can't be written any more."""
        self._told.journal_failed(error)

    def journal_works(self) -> None:
        """The journal can be written again."""
        self._told.journal_works()

    def snapshot_failed(self, error: Exception) -> None:
        """A snapshot could not be written."""
        self.snapshots_failed += 1
        self._told.snapshot_failed(error)

    def clock_skipped(self, seconds: float) -> None:
        """The process did not run for a while."""
        self.skipped += seconds
        self._told.clock_skipped(seconds)

    def notifications_lost(self, count: int) -> None:
        """The outbox had no room."""
        self._told.notifications_lost(count)

    def queues_gave_way(self, ended: Mapping[str, int]) -> None:
        """Queues ended because of a bound."""
        self._told.queues_gave_way(ended)

    def contradictory_notice(self, message_id: int) -> None:
        """Counts a notice with contradictory notification inputs."""
        self._told.contradictory_notice(message_id)

    def collected(self, collection: Collection) -> None:
        """Counts a run of the collector."""
        self.collections += 1
        self.collecting += collection.seconds
        self._told.collected(collection)
