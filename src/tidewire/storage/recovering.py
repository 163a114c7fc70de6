"""Finding out what an earlier process left: which snapshot is whole, which records count, what is damaged.

It reads only. `DirectoryStore` acts on what it finds, and `storage/inspect.py` shows it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from tidewire.core.errors import StateError
from tidewire.core.records import Record, decode_record
from tidewire.core.snapshot import Snapshot
from tidewire.storage.chain import Chain, Link, follow
from tidewire.storage.files import Files
from tidewire.storage.frames import FORMAT_VERSION, title
from tidewire.storage.legacy import RETIRED, read_legacy
from tidewire.storage.segments import (
    FoundSegment,
    find_segment,
    segment_name,
    segment_payloads,
    segment_serials,
)
from tidewire.storage.snapshots import FoundSnapshot, find_snapshot, snapshot_name, snapshot_positions

VERSION = "version"
"""The file that says which format the directory has, so that a version that knows none of its files refuses too."""
_VERSION_MAX = 100


class Found(NamedTuple):
    """What there is.

    Attributes:
        snapshot: None when there is none of this format.
        legacy: the snapshot of format 1 that stands in its place.
        segments: all of them, in order.
        damaged: positions of snapshots that had to be passed over.
    """

    snapshot: FoundSnapshot | None
    legacy: Snapshot | None
    segments: Sequence[FoundSegment]
    chain: Chain
    damaged: tuple[int, ...]

    @property
    def position(self) -> int:
        """Of the snapshot."""
        return 0 if self.snapshot is None else self.snapshot.position

    @property
    def through(self) -> int:
        """Up to where the snapshot may show the state."""
        return 0 if self.snapshot is None else self.snapshot.through


def find(files: Files) -> Found:
    """Looks through the directory.

    Raises:
        StateError: a newer version wrote it, or what is left of it makes no whole.
        OSError: it can't be read.
    """
    names = files.names()
    check_version(files, names)
    segments = [find_segment(files, serial) for serial in segment_serials(names)]
    positions = snapshot_positions(names)
    if not positions:
        _refuse_orphans(files, names, segments)
        return Found(None, read_legacy(files), segments, follow(segments, 0), ())
    newest = positions[0]
    passed: list[int] = []
    for position in positions:
        snapshot = find_snapshot(files, position)
        chain = follow(segments, position)
        if snapshot is not None and chain.reached >= newest:
            return Found(snapshot, None, segments, chain, tuple(passed))
        passed.append(position)
    chain = follow(segments, 0)
    if chain.reached >= newest:
        return Found(None, read_legacy(files), segments, chain, tuple(passed))
    raise StateError(
        f"{files.place}/{snapshot_name(newest)} is damaged, and what led up to it is no longer there. Bring the "
        "directory back from a copy, or move all its files away to start without them"
    )


def check_version(files: Files, names: Sequence[str]) -> None:
    """Refuses a directory of another version than this or format 1.

    Raises:
        StateError: it is of a newer version, or says nothing that can be read.
    """
    if VERSION not in names:
        return
    with files.read(VERSION) as file:
        line = file.read(_VERSION_MAX)
    if line == title("state"):
        return
    if line.startswith(b"tidewire state ") and line[15:].strip().isdigit():
        raise StateError(
            f"{files.place} was written by a newer version of Tidewire (format {int(line[15:])}; this version reads "
            f"up to {FORMAT_VERSION}). Start that version"
        )
    raise StateError(
        f"{files.place}/{VERSION} can't be understood: it should read {title('state').decode().strip()!r}"
    )


def _refuse_orphans(files: Files, names: Sequence[str], segments: Sequence[FoundSegment]) -> None:
    """Records whose snapshot is missing are no state.

    With `snapshot.last` there a server without a journal was interrupted while it gave up an earlier one's state;
    nobody wants those records.
    """
    first = segments[0] if segments else None
    if first is None or first.header is None or not first.header.base or RETIRED in names:
        return
    raise StateError(
        f"{files.place}/{segment_name(first.serial)} goes on from a snapshot (of position {first.header.base}, or "
        "later) that is missing. Bring it back, or move all files of the directory away to start without them"
    )


def records(files: Files, links: Sequence[Link], base: int) -> Iterator[tuple[int, Record]]:
    """The records after `base`, a segment at a time in memory.

    Raises:
        StateError: a record is none that this version knows.
    """
    for segment, first, last, _ in links:
        for position, payload in enumerate(segment_payloads(files, segment), first):
            if position > last:
                break
            if position > base:
                yield position, _decoded(payload, segment.name)


def _decoded(payload: bytes, name: str) -> Record:
    try:
        return decode_record(payload)
    except msgspec.DecodeError as error:
        raise StateError(
            f"{name} has a record that this version can't read ({error}); start the version that wrote it"
        ) from None
