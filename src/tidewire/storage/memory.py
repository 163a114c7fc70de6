"""The snapshot store that keeps its snapshot in memory: for tests, and for shards that live inside another."""

from tidewire.core.snapshot import Snapshot, decode_snapshot, encode_snapshot


class MemoryStore:
    """A `SnapshotStore` without a disk; it stores bytes, so that nothing is shared by accident."""

    def __init__(self) -> None:
        self._data: bytes | None = None

    def load(self) -> Snapshot | None:
        """The newest snapshot, or None when there is none."""
        return None if self._data is None else decode_snapshot(self._data)

    def retire(self) -> None:
        """Forgets the snapshot."""
        self._data = None

    def save(self, snapshot: Snapshot) -> None:
        """Replaces the snapshot."""
        self._data = encode_snapshot(snapshot)
