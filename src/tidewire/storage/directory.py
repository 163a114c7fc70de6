"""The state directory of one shard: which files there are, and in which order they come and go.

    lock                        held as long as a server uses the directory
    version                     the format of the directory
    segment-<serial>            records, in the order in which they were appended (`storage/segments.py`)
    snapshot-<position>         the state after that many records (`storage/snapshots.py`)
    *.draft                     unfinished; removed at the next start
    *.damaged-<n>               kept for inspection (`storage/quarantine.py`)

All files are of mode 0600 in a directory of mode 0700, for they hold messages.

What must hold at every moment, whatever stops the process or the machine: the newest snapshot is whole, and the
segments from its position on hold every record that was called durable. The steps are in an order that keeps it:

1. *A start* changes nothing that recovery needs. Damaged ends stay where they are, under a second name; files
   that don't count are renamed. What was read is flushed, for the process before may not have come to it. Then a
   new segment is begun, which says which record it follows (`storage/recovery.py`), and only then do segments go
   that hold nothing.
2. *A segment begins* whenever it likes: until it holds a durable record it is of no consequence. A record is
   called durable (`power`) after its segment is flushed and then the directory, so the name is there too.
3. *A snapshot* begins with a segment, so that no segment lies on both sides of its position. It is written under
   a draft's name. To commit: its end is written; the segments since its position are flushed, for a frame may
   show any of their records; the draft is flushed; the directory is flushed, for those segments' names; the
   draft is renamed; the directory is flushed. From here on it counts, also after a loss of power. Then it is read
   back; if the disk gives something else than it was given, it is kept aside, and what was there before counts.
4. *Removal* comes after that, oldest first: segments before the position, older snapshots.
   A crash in between, or a loss of power that undoes some of it, leaves files that recovery passes over and the
   next commit removes.

With a durability of `none` there are no segments. At the start the snapshot is renamed to `snapshot.last`: it
must not come back after a crash, for the queues have moved on since (R10.7).
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from tidewire.core.errors import StateInUse, Unavailable
from tidewire.observability.counters import JournalStatistics
from tidewire.ports.engine import Origin
from tidewire.ports.storage import Damage, Journal, Recovery
from tidewire.storage.files import DirectoryFiles, Files, unlink_quietly, unusable, write_whole
from tidewire.storage.format import title
from tidewire.storage.fsync import NewSyncer, ThreadedSyncer
from tidewire.storage.journal import SEGMENT_BYTES, NullJournal, SegmentJournal
from tidewire.storage.permissions import check_directory
from tidewire.storage.quarantine import link_aside, make_room_aside, move_aside
from tidewire.storage.recovery import VERSION, Chain, Found, Gap, Link, find, records
from tidewire.storage.segments import FoundSegment, segment_name, segment_serials
from tidewire.storage.snapshots import (
    DRAFT,
    RETIRED,
    Draft,
    FoundSnapshot,
    snapshot_frames,
    snapshot_name,
    snapshot_positions,
)

Durability: TypeAlias = Literal["none", "process", "power"]
"""What a confirmed notice survives: only a clean stop, the end of the process, or the loss of power."""

_SERIAL = re.compile(r"segment-(\d+)")
NO_SEGMENT = 2**63
"""A serial number above all: a snapshot without a journal replaces every segment."""


class DirectoryStore:
    """A `StateStore` in a directory of its own."""

    def __init__(
        self,
        files: Files,
        *,
        durability: Durability,
        segment_bytes: int = SEGMENT_BYTES,
        new_syncer: NewSyncer = ThreadedSyncer,
    ) -> None:
        """Takes the directory for this process.

        Raises:
            StateError: it can't be made or written, or another server uses it.
        """
        self._files = files
        self._durability = durability
        self._segment_bytes = segment_bytes
        self._new_syncer = new_syncer
        self.statistics = JournalStatistics()
        self._found: Found | None = None
        self._goes_on = False
        self._journal: SegmentJournal | None = None
        try:
            files.lock()
        except BlockingIOError:
            raise StateInUse(
                f"{files.place} is in use by another server; give this one a --state-dir"
            ) from None
        except OSError as error:
            raise unusable(files.place, error) from error

    def recover(self) -> Recovery:
        """Reads and checks what is there, and sets damaged files aside."""
        try:
            found = find(self._files)
            damage = self._set_aside(found)
            for name in self._files.names():
                if name.endswith(DRAFT):
                    self._files.unlink(name)
        except OSError as error:
            raise unusable(self._files.place, error) from error
        self._found = found
        links = found.chain.links
        return Recovery(
            position=found.position,
            through=found.through,
            reached=found.chain.reached,
            existed=max(found.chain.existed, found.through),
            frames=iter(()) if found.snapshot is None else snapshot_frames(self._files, found.snapshot),
            records=records(self._files, links, found.position),
            origins=tuple((link.first, origin(link.segment)) for link in links),
            is_whole=found.snapshot is None or found.snapshot.is_whole,
            damage=damage,
        )

    def journal(
        self,
        *,
        origin: Origin,
        on_durable: Callable[[], None],
        on_failed: Callable[[Exception], None],
    ) -> Journal:
        """The journal after what `recover` gave, which must have been read by now."""
        found = self._found
        if found is None:
            raise RuntimeError("recover before you go on")
        if self._goes_on:
            raise RuntimeError("what was recovered was gone on from already")
        self._goes_on = True
        position = max(found.chain.existed, found.through)
        try:
            self._write_version()
            if self._durability == "none":
                self._retire(found)
                return NullJournal(position, new_draft=self._draft_of_a_clean_stop)
            for segment in _once(found.chain.links):
                self._files.sync(segment.name)
            self._files.sync_directory()
            serial = self._next_serial()
        except OSError as error:
            raise unusable(self._files.place, error) from error
        syncer = None
        if self._durability == "power":
            syncer = self._new_syncer(
                self._files, durable=position, on_durable=on_durable, on_failed=on_failed
            )
            syncer.statistics = self.statistics
        journal = SegmentJournal(
            self._files,
            position=position,
            follows=found.chain.reached,
            base=found.position,
            serial=serial,
            fingerprint=origin.fingerprint,
            settings=origin.settings,
            tail_bytes=sum(segment.size for segment in _once(found.chain.links)),
            syncer=syncer,
            segment_bytes=self._segment_bytes,
            statistics=self.statistics,
        )
        self._journal = journal
        try:
            journal.begin()
        except Unavailable:
            return journal  # a full disk: `append` tries again, and until then whoever has state can't begin
        self._remove_empty(found)
        return journal

    def close(self) -> None:
        """Ends the journal and gives the directory back."""
        if self._journal is not None:
            self._journal.close()
        self._files.unlock()

    # What recovery found damaged.

    def _set_aside(self, found: Found) -> tuple[Damage, ...]:
        chain, snapshot = found.chain, found.snapshot
        is_damaged = snapshot is not None and not snapshot.is_whole
        if found.damaged or is_damaged or chain.gaps or chain.torn or chain.lost:
            make_room_aside(self._files)
        damage = [self._damaged_snapshot(position) for position in found.damaged]
        if snapshot is not None and is_damaged:
            damage.append(self._partly(snapshot))
        damage += [self._gap(gap, chain) for gap in chain.gaps]
        if chain.torn is not None:
            damage.append(self._torn(chain.torn, chain.existed - chain.reached))
        damage += [self._lost(segment) for segment in chain.lost]
        missing = found.through - chain.existed
        if missing > 0:
            what = f"records {chain.existed + 1} to {found.through}, parts of which the snapshot shows, are not there"
            damage.append(Damage(what=what, file="", kept_as=None, records=missing, bytes=0))
        return tuple(damage)

    def _damaged_snapshot(self, position: int) -> Damage:
        name = snapshot_name(position)
        size = self._files.size(name)
        kept_as = move_aside(self._files, name)
        what = f"{name} is damaged; what else tells of the state was read instead"
        return Damage(what=what, file=name, kept_as=kept_as, records=0, bytes=size)

    def _partly(self, snapshot: FoundSnapshot) -> Damage:
        name = snapshot_name(snapshot.position)
        kept_as = link_aside(self._files, name)
        what = f"{name} is damaged: {snapshot.lost} of its parts can't be read, and {snapshot.frames} were"
        return Damage(what=what, file=name, kept_as=kept_as, records=0, bytes=snapshot.damaged)

    def _gap(self, gap: Gap, chain: Chain) -> Damage:
        holding = next((link.segment for link in reversed(chain.links) if link.last < gap.first), gap.segment)
        lost = gap.last - gap.first + 1
        what = f"records {gap.first} to {gap.last} can't be read; those behind them were applied"
        for segment in (gap.segment, holding):
            if segment.damaged:
                kept_as = link_aside(self._files, segment.name)
                return Damage(
                    what=what, file=segment.name, kept_as=kept_as, records=lost, bytes=segment.damaged
                )
        return Damage(what=what, file="", kept_as=None, records=lost, bytes=0)

    def _torn(self, segment: FoundSegment, lost: int) -> Damage:
        kept_as = link_aside(self._files, segment.name)
        what = f"{segment.name} is damaged behind its record number {segment.records}; all before it was kept"
        return Damage(what=what, file=segment.name, kept_as=kept_as, records=lost, bytes=segment.torn)

    def _lost(self, segment: FoundSegment) -> Damage:
        kept_as = move_aside(self._files, segment.name)
        why = "has nothing that can be read" if not segment.runs else "follows records that are lost"
        what = f"{segment.name} {why}; nothing of it was applied"
        return Damage(
            what=what, file=segment.name, kept_as=kept_as, records=segment.records, bytes=segment.size
        )

    # What a start changes.

    def _write_version(self) -> None:
        if VERSION in self._files.names():
            return
        draft = VERSION + DRAFT
        file = self._files.create(draft)
        try:
            write_whole(file, title("state"))
            file.sync()
        finally:
            file.close()
        self._files.rename(draft, VERSION)
        self._files.sync_directory()

    def _next_serial(self) -> int:
        """Above every segment that there is or was kept aside."""
        serials = (int(match[1]) for name in self._files.names() if (match := _SERIAL.match(name)))
        return max(serials, default=0) + 1

    def _remove_empty(self, found: Found) -> None:
        """Removes segments that hold nothing which counts; there would be one more with each start."""
        counts = {link.segment.serial for link in found.chain.links}
        for segment in found.segments:
            if segment.serial not in counts:
                unlink_quietly(self._files, segment.name)

    def _retire(self, found: Found) -> None:
        """Gives up the state that was recovered: the running server's moves on without being written (R10.7).

        What the newest snapshot superseded goes first: were it there without that one, a start would go back to it.
        The records that follow go last: without them, it would be the snapshot that a start goes back to.
        """
        names = self._files.names()
        positions = snapshot_positions(names)
        segments = [segment_name(serial) for serial in segment_serials(names)]
        following = [segment.name for segment in _once(found.chain.links)]
        superseded = [snapshot_name(position) for position in reversed(positions[1:])]
        self._unlink([*superseded, *(name for name in segments if name not in following)])
        if positions:
            self._files.rename(snapshot_name(positions[0]), RETIRED)
            self._files.sync_directory()
        self._unlink(following)

    def _unlink(self, names: Iterable[str]) -> None:
        for name in names:
            self._files.unlink(name)
        self._files.sync_directory()

    def _draft_of_a_clean_stop(self, position: int) -> Draft:
        return Draft(
            self._files,
            position=position,
            serial=NO_SEGMENT,
            reached=lambda: position,
            ended=lambda _committed: None,
        )


def origin(segment: FoundSegment) -> Origin:
    """Under what the records of a segment were written; without its header, nobody knows."""
    header = segment.header
    return Origin("", b"") if header is None else Origin(header.fingerprint, header.settings)


def _once(links: Iterable[Link]) -> list[FoundSegment]:
    """Each segment of the links, once."""
    return list({link.segment.serial: link.segment for link in links}.values())


def open_directory(directory: Path, *, durability: Durability) -> DirectoryStore:
    """The store in a real directory, made if it is not there.

    Raises:
        StateError: it can't be made or written, others than its owner can write it, or another server uses it.
    """
    check_directory(directory)
    return DirectoryStore(DirectoryFiles(directory), durability=durability)
