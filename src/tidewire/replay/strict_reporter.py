"""What goes wrong while replaying ends the replay: a scenario has no operator to read a log."""

from collections.abc import Mapping

from tidewire.core.delivery.dispatch import Failure
from tidewire.core.errors import BadEventQueueId, Unavailable
from tidewire.core.events.coalescing import RuleFailure
from tidewire.ports.engine import Collection


class RaisingReporter:
    """A `Reporter` that raises what it is told of, where that is an error."""

    def delivery_failed(self, failure: Failure) -> None:
        """A notice could not be delivered; that a queue to be ended is none is no fault (R4.49)."""
        if not isinstance(failure.error, BadEventQueueId):
            raise failure.error

    def rule_failed(self, failure: RuleFailure) -> None:
        """Raises: a merge rule failed."""
        raise failure.error

    def answer_failed(self, error: Exception) -> None:
        """An answer could not be taken."""
        raise error

    def journal_failed(self, error: Unavailable) -> None:
        """The journal could not be written."""
        raise error

    def journal_works(self) -> None:
        """Does nothing: the journal of a replay always works."""

    def snapshot_kept(self, *, queues: int, size: int) -> None:
        """Does nothing: a replay takes no snapshots."""

    def snapshot_failed(self, error: Exception) -> None:
        """A snapshot could not be written."""
        raise error

    def clock_skipped(self, seconds: float) -> None:
        """Does not happen to a virtual clock."""

    def notifications_lost(self, count: int) -> None:
        """Does not happen: every step's are taken before the next."""
        raise AssertionError(count)

    def queues_gave_way(self, ended: Mapping[str, int]) -> None:
        """Their owners are told, and the scenario sees it."""

    def contradictory_notice(self, message_id: int) -> None:
        """A warning in a server's log."""

    def collected(self, collection: Collection) -> None:
        """The scenario's result says so itself."""
