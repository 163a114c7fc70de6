"""What goes wrong while replaying ends the replay: a scenario has no operator to read a log."""

from tidewire.core.dispatch import Failure
from tidewire.core.errors import Unavailable


class RaisingReporter:
    """A `Reporter` that raises what it is told of, where that is an error."""

    def delivery_failed(self, failure: Failure) -> None:
        """A notice could not be delivered."""
        raise failure.error

    def answer_failed(self, error: Exception) -> None:
        """An answer could not be taken."""
        raise error

    def journal_failed(self, error: Unavailable) -> None:
        """The journal could not be written."""
        raise error

    def journal_works(self) -> None:
        """It always does here."""

    def snapshot_kept(self, *, queues: int, size: int) -> None:
        """None is ever due."""

    def snapshot_failed(self, error: Exception) -> None:
        """A snapshot could not be written."""
        raise error

    def clock_skipped(self, seconds: float) -> None:
        """Does not happen to a virtual clock."""

    def collected(self, *, expired: int, queues: int) -> None:
        """The scenario's result says so itself."""
