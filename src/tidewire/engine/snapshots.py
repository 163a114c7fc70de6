"""Keeping: when a snapshot is taken, and how, without holding the loop.

A snapshot begins when the records since the last one have grown to `TAIL_PER_SNAPSHOT` times its size. So the
disk holds at most the old snapshot, the new one, and a few times as much in records: it is bounded by what
the queues hold, and not by how long the server has run. And for each byte of records at most half a byte of
snapshots is written.

The slices follow each other with a turn of the loop in between. The last step, waiting for the disk, is done
aside. There is never more than one snapshot on its way.
"""

from collections.abc import Callable

from tidewire.core.errors import Unavailable
from tidewire.core.persistence.snapshot import Capture, encode_snapshot, parts_of
from tidewire.core.shard import Shard
from tidewire.core.state.state import Batch
from tidewire.ports.engine import BackgroundRunner, Clock, Reporter, Waiter
from tidewire.ports.storage import Journal, SnapshotDraft

TAIL_AT_LEAST = 64 * 1024 * 1024
"""Bytes of records below which no snapshot is taken, if nothing else is set: they are applied in a second or two at a
start."""

TAIL_PER_SNAPSHOT = 2.0
"""Bytes of records for each byte of the newest snapshot at which the next is taken, so that its cost stays in proportion."""

SLICE = 5000.0
"""Effort of one slice (`core/persistence/snapshot.py`): some 5 ms, in which the loop does nothing else. A slice doesn't end
within a queue, so that one with ten thousand events takes a few times as long."""

RETRY = 10.0
"""Seconds after which a snapshot that could not be written is tried again."""


class SnapshotScheduler:
    """Takes the snapshots of one shard."""

    def __init__(
        self,
        *,
        shard: Shard[Waiter[Batch]],
        journal: Journal,
        clock: Clock,
        reporter: Reporter,
        call_soon: Callable[[Callable[[], None]], object],
        background: BackgroundRunner,
        settled: Callable[[], int | None],
        size: int = 0,
        tail_at_least: int = TAIL_AT_LEAST,
    ) -> None:
        """Takes everything it needs as arguments.

        Args:
            shard: what is to be kept.
            journal: where.
            clock: the shard's time.
            reporter: told when a snapshot is in place, or could not be written.
            call_soon: calls a function after other work had a turn.
            background: waits for the disk.
            settled: position of the newest record, or None while something that has happened has none.
            size: bytes of the snapshot that is there.
            tail_at_least: bytes of records below which no snapshot is taken.
        """
        self._shard = shard
        self._journal = journal
        self._clock = clock
        self._reporter = reporter
        self._call_soon = call_soon
        self._background = background
        self._settled = settled
        self._size = size
        self._tail_at_least = tail_at_least
        self._draft: SnapshotDraft | None = None
        self._capture: Capture[Waiter[Batch]] | None = None
        self._written = 0
        self._committing = False
        self._waits = False
        """Whether a slice waits for the next tick, because a merge has no record yet."""
        self._next_at = 0.0

    def tick(self) -> None:
        """Once a second: begins a snapshot if one is due, or goes on with one that had to wait."""
        if self._waits:
            self._waits = False
            self._slice()
        if self._journal.tail_bytes >= max(self._tail_at_least, TAIL_PER_SNAPSHOT * self._size):
            self.begin()

    def begin(self) -> None:
        """Begins a snapshot; whether it could be written is seen later."""
        if self._clock.now() < self._next_at or self._draft is not None or self._settled() is None:
            return
        try:
            self._draft = self._journal.begin_snapshot()
        except Unavailable as error:
            self._fail(error)
            return
        self._capture = self._shard.capture()
        self._written = 0
        self._slice()

    def keep_now(self) -> bool:
        """Takes a whole snapshot at once, for a clean stop, in place of one on its way; whether it could."""
        if self._committing:
            return False
        self._abandon()
        self._next_at = 0.0
        try:
            self._keep_now()
        except Unavailable as error:
            self._fail(error)
            return False
        return True

    def _keep_now(self) -> None:
        draft = self._journal.begin_snapshot()
        capture = self._shard.capture()
        self._written = 0
        while True:
            self._write(draft, capture, draft.position, clean=True)
            if capture.done:
                capture.end()
                break
        draft.commit()
        self._finished(None)

    def _slice(self) -> None:
        """Writes one slice and books the next."""
        draft, capture, position = self._draft, self._capture, self._settled()
        if draft is None or capture is None:
            return  # given up since
        if position is None:
            self._waits = True
            return
        try:
            self._write(draft, capture, position)
        except Unavailable as error:
            self._fail(error)
            return
        if capture.done:
            capture.end()
            self._capture = None
            self._committing = True
            self._background(draft.commit, self._finished)
        else:
            self._call_soon(self._slice)

    def _write(
        self, draft: SnapshotDraft, capture: Capture[Waiter[Batch]], position: int, *, clean: bool = False
    ) -> None:
        now = self._clock.now()
        for part in parts_of(capture.take(position=position, now=now, effort=SLICE, clean=clean)):
            frame = encode_snapshot(part)
            draft.write(frame)
            self._written += len(frame)

    def _finished(self, error: Exception | None) -> None:
        self._committing = False
        self._draft = None
        if error is not None:
            self._fail(error)
            return
        self._size = self._written
        self._reporter.snapshot_kept(queues=self._shard.queues(), size=self._size)

    def _fail(self, error: Exception) -> None:
        self._let_go()
        self._next_at = self._clock.now() + RETRY
        self._reporter.snapshot_failed(error)

    def _abandon(self) -> None:
        if self._draft is not None:
            self._draft.abandon()
        self._let_go()

    def _let_go(self) -> None:
        if self._capture is not None:
            self._capture.end()
        self._draft = self._capture = None
