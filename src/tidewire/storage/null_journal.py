"""The journal that keeps nothing: what was recorded survives only in the snapshot of a clean stop."""

from tidewire.core.records import Record


class NullJournal:
    """Counts records and calls each of them durable at once."""

    def __init__(self) -> None:
        self._position = 0

    @property
    def durable(self) -> int:
        """Position of the newest record that is as durable as asked."""
        return self._position

    def append(self, record: Record) -> int:  # noqa: ARG002 - the port's signature; there is nothing to keep
        """Takes a record and returns its position."""
        self._position += 1
        return self._position
