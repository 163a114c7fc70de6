"""The journal that keeps nothing: what was recorded survives only in the snapshot of a clean stop."""

from collections.abc import Callable

from tidewire.core.records import Record
from tidewire.ports import SnapshotDraft


class NullDraft:
    """A snapshot that goes nowhere."""

    def __init__(self, position: int) -> None:
        self.position = position

    def write(self, frame: bytes) -> None:
        """Drops a frame."""

    def commit(self) -> None:
        """Does nothing."""

    def abandon(self) -> None:
        """Does nothing."""


class NullJournal:
    """Counts records and calls each of them durable at once."""

    def __init__(self, position: int = 0, *, new_draft: Callable[[int], SnapshotDraft] = NullDraft) -> None:
        """Goes on from a position; without a directory, snapshots go nowhere either."""
        self._position = position
        self._new_draft = new_draft

    @property
    def durable(self) -> int:
        """Position of the newest record that is as durable as asked."""
        return self._position

    @property
    def tail_bytes(self) -> int:
        """Nothing is kept, so no snapshot is ever due."""
        return 0

    def append(self, record: Record) -> int:  # noqa: ARG002 - the port's signature; there is nothing to keep
        """Takes a record and returns its position."""
        self._position += 1
        return self._position

    def begin_snapshot(self) -> SnapshotDraft:
        """A draft at the position reached now."""
        return self._new_draft(self._position)
