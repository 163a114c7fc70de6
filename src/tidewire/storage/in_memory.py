"""The state store that keeps its state in memory: for tests, and for shards that live inside another process."""

from collections.abc import Callable

from tidewire.core.errors import Unavailable
from tidewire.core.records import Record, decode_record, encode_record
from tidewire.ports.engine import Origin
from tidewire.ports.storage import Journal, Recovery, SnapshotDraft


class MemoryStore:
    """A `StateStore` without a disk; it keeps bytes, so that nothing is shared by accident.

    What `recover` gives is everything appended, as after the end of a process.
    """

    def __init__(self) -> None:
        self.position = 0
        self.through = 0
        self.frames: list[bytes] = []
        self.tail: list[bytes] = []
        self.origins: list[tuple[int, Origin]] = []

    @property
    def reached(self) -> int:
        """The position of the newest record."""
        return self.position + len(self.tail)

    def recover(self) -> Recovery:
        """What was committed and appended."""
        return Recovery(
            position=self.position,
            through=self.through,
            reached=self.reached,
            existed=max(self.reached, self.through),
            frames=iter(list(self.frames)),
            records=(
                (number, decode_record(data))
                for number, data in enumerate(list(self.tail), self.position + 1)
            ),
            origins=tuple(self.origins) if self.tail else (),
        )

    def journal(
        self,
        *,
        origin: Origin,
        on_durable: Callable[[], None],  # noqa: ARG002 - the port's; what is appended is durable at once
        on_failed: Callable[[Exception], None],  # noqa: ARG002 - the port's; memory does not fail
    ) -> Journal:
        """A journal that goes on after everything that is there."""
        self.origins.append((self.reached + 1, origin))
        return MemoryJournal(self, origin)

    def close(self) -> None:
        """Keeps everything, for the next `recover`."""


class MemoryJournal:
    """A journal that keeps its records in memory."""

    def __init__(self, store: MemoryStore, origin: Origin) -> None:
        self._store = store
        self._origin = origin
        self.draft: MemoryDraft | None = None

    @property
    def durable(self) -> int:
        """The position of the newest record: memory needs no flush."""
        return self._store.reached

    @property
    def tail_bytes(self) -> int:
        """Bytes of the records since the snapshot."""
        return sum(map(len, self._store.tail))

    def append(self, record: Record) -> int:
        """Keeps a record, encoded."""
        self._store.tail.append(encode_record(record))
        return self._store.reached

    def begin_snapshot(self) -> SnapshotDraft:
        """A draft at the newest record."""
        if self.draft is not None:
            raise Unavailable("Another snapshot is being written")
        self.draft = MemoryDraft(self, self._store, self._origin)
        return self.draft


class MemoryDraft:
    """Frames that replace the store's when committed."""

    def __init__(self, journal: MemoryJournal, store: MemoryStore, origin: Origin) -> None:
        self.position = store.reached
        self._journal = journal
        self._store = store
        self._origin = origin
        self._frames: list[bytes] = []

    def write(self, frame: bytes) -> None:
        """Adds a frame to the draft."""
        self._refuse_when_gone()
        if not frame:
            raise ValueError("a frame of a snapshot must not be empty")
        self._frames.append(frame)

    def commit(self) -> None:
        """Replaces the snapshot and drops the records before it."""
        self._refuse_when_gone()
        store = self._store
        store.through = store.reached
        del store.tail[: self.position - store.position]
        store.position = self.position
        store.frames = self._frames
        store.origins = [(self.position + 1, self._origin)]
        self._journal.draft = None

    def abandon(self) -> None:
        """Discards the draft."""
        if self._journal.draft is self:
            self._journal.draft = None

    def _refuse_when_gone(self) -> None:
        if self._journal.draft is not self:
            raise Unavailable("The snapshot was given up before")
