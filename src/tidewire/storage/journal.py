"""The journal: each record is written with one system call before `append` returns. `NullJournal` keeps nothing."""

from collections.abc import Callable
from time import perf_counter

from tidewire.core.errors import Unavailable
from tidewire.core.records import Record, encode_record
from tidewire.observability.counters import JournalStatistics
from tidewire.ports.storage import SnapshotDraft
from tidewire.storage.files import Files, unavailable
from tidewire.storage.format import HEAD, LAG_MOST, MARK, checksum
from tidewire.storage.fsync import Syncer
from tidewire.storage.segments import Segment, SegmentHeader
from tidewire.storage.snapshots import Draft

SEGMENT_BYTES = 16 * 1024 * 1024
"""A segment that has grown to this is followed by another. Recovery reads a whole segment into memory."""


FAILED = "The journal can't be written"


LOST = f"{FAILED}: the disk failed to keep what was written, and the server ends"


class SegmentJournal:
    """A `Journal` that survives the end of the process, and with a syncer the loss of power."""

    def __init__(
        self,
        files: Files,
        *,
        position: int,
        follows: int,
        base: int,
        serial: int,
        fingerprint: str,
        settings: bytes,
        tail_bytes: int,
        syncer: Syncer | None,
        segment_bytes: int = SEGMENT_BYTES,
        statistics: JournalStatistics | None = None,
    ) -> None:
        """Goes on after what was recovered.

        Args:
            files: where segments are made.
            position: the newest position that was ever given.
            follows: the newest record that was recovered, at most `position`.
            base: the position of the newest snapshot.
            serial: of the first segment that is made.
            fingerprint: for the segments' headers.
            settings: likewise.
            tail_bytes: of the records that were recovered.
            syncer: makes records durable; None when writing them is enough.
            segment_bytes: how large a segment grows.
            statistics: where what happens is counted.
        """
        self._files = files
        self._position = self._began_at = position
        self._follows = follows
        self._base = base
        self._next_serial = serial
        self._fingerprint = fingerprint
        self._settings = settings
        self._boot = files.boot
        self._bytes = tail_bytes
        self._snapshot_bytes = 0
        self._syncer = syncer
        self._segment_bytes = segment_bytes
        self._statistics = statistics or JournalStatistics()
        self._segment: Segment | None = None
        self._has_begun = False
        self._drafting = False

    @property
    def durable(self) -> int:
        """Position of the newest record that is as durable as asked."""
        return self._position if self._syncer is None else self._syncer.durable

    @property
    def tail_bytes(self) -> int:
        """Bytes appended since the newest snapshot's position."""
        return self._bytes - self._snapshot_bytes

    def append(self, record: Record) -> int:
        """Writes a record; when it can't be written whole, what was written of it is cut off again."""
        began = perf_counter()
        try:
            size = self._append(record)
        except Unavailable:
            self._statistics.failures += 1
            raise
        statistics = self._statistics
        statistics.bytes += size
        statistics.appends.add(perf_counter() - began)
        return self._position

    def _append(self, record: Record) -> int:
        """Appends a record and returns how many bytes were written."""
        syncer = self._syncer
        if syncer is not None and syncer.failed:
            raise Unavailable(LOST)
        segment = self._segment
        if segment is None or segment.size >= self._segment_bytes:
            segment = self._roll_over()
        position = self._position + 1
        payload = encode_record(record)
        # As `format.pack` has it; its call costs 0.1 us of some 1.5.
        lag = LAG_MOST if syncer is None else position - syncer.durable
        check = checksum(payload, position, lag, segment.seed)
        frame = HEAD.pack(MARK | position, lag, len(payload), check) + payload
        size = len(frame)
        try:
            written = segment.file.append(frame)
        except OSError as error:
            self._cut_back(segment)
            raise unavailable(FAILED, error) from error
        if written != size:
            self._cut_back(segment)
            raise Unavailable(
                f"{FAILED}: make room on the disk of the state directory, and it goes on by itself"
            )
        segment.size += size
        self._bytes += size
        self._position = position
        if syncer is not None:
            syncer.wrote(position)
        return size

    def begin_snapshot(self) -> Draft:
        """Begins a segment, unless the present one is empty, and a draft beside it."""
        if self._drafting:
            raise Unavailable("Another snapshot is being written")
        if self._syncer is not None and self._syncer.failed:
            raise Unavailable(LOST)
        segment = self._segment
        if segment is None or segment.first <= self._position:
            segment = self._begin_segment()
        draft = Draft(
            self._files,
            position=self._position,
            serial=segment.serial,
            reached=lambda: self._position,
            ended=self._draft_ended(self._position, self._bytes),
        )
        self._drafting = True
        return draft

    def begin(self) -> None:
        """Makes the first segment.

        Raises:
            Unavailable: it can't be made now; `append` tries again.
        """
        self._begin_segment()

    def close(self) -> None:
        """Makes durable what is not yet, and closes the segments."""
        if self._syncer is not None:
            self._syncer.close()
        elif self._segment is not None:
            self._segment.file.close()
        self._segment = None

    def _draft_ended(self, position: int, appended: int) -> Callable[[bool], None]:
        def ended(committed: bool) -> None:
            self._drafting = False
            if committed:
                self._base = position
                self._snapshot_bytes = appended

        return ended

    def _roll_over(self) -> Segment:
        """The segment for the next record: a new one, or when there can be none the present one."""
        present = self._segment
        try:
            return self._begin_segment()
        except Unavailable:
            # It may be only that too many files are open.
            if present is None:
                raise
            return present

    def _begin_segment(self) -> Segment:
        fresh = self._position == self._began_at
        header = SegmentHeader(
            follows=self._follows if fresh else self._position,
            first=self._position + 1,
            base=self._base,
            fingerprint=self._fingerprint,
            settings=self._settings,
            boot=self._boot,
            begins=not self._has_begun,
        )
        serial = self._next_serial
        self._next_serial += 1  # even if it fails, for something of the file may be left
        try:
            segment = Segment(self._files, serial, header)
        except OSError as error:
            raise unavailable(FAILED, error) from error
        self._has_begun = True
        present, self._segment = self._segment, segment
        if self._syncer is not None:
            self._syncer.begin(segment.file)
        elif present is not None:
            present.file.close()
        return segment

    def _cut_back(self, segment: Segment) -> None:
        """Cuts off what a failed append left, so that no record ever follows it."""
        try:
            segment.file.truncate(segment.size)
        except OSError:
            # A new segment will say that it follows the last whole record. The syncer still holds this one.
            self._segment = None
            if self._syncer is None:
                segment.file.close()


class NullDraft:
    """A snapshot that goes nowhere."""

    def __init__(self, position: int) -> None:
        self.position = position

    def write(self, frame: bytes) -> None:
        """Discards the frame."""

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
