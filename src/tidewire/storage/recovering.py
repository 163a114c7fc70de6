"""Finding out what an earlier process left: which snapshot is whole, which records count, what is damaged.

It reads only. `DirectoryStore` acts on what it finds, and `storage/inspect.py` shows it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from tidewire.core.errors import StateError
from tidewire.core.records import Record, decode_record
from tidewire.storage.chain import Chain, Link, follow
from tidewire.storage.files import Files
from tidewire.storage.frames import FORMAT_VERSION, title
from tidewire.storage.segments import (
    FoundSegment,
    find_segment,
    segment_name,
    segment_records,
    segment_serials,
)
from tidewire.storage.snapshots import (
    RETIRED,
    FoundSnapshot,
    find_snapshot,
    snapshot_name,
    snapshot_positions,
)

VERSION = "version"
"""The file that says which format the directory has, so that a version that knows none of its files refuses too."""
_VERSION_MAX = 100


class Found(NamedTuple):
    """What there is.

    Attributes:
        snapshot: None when there is none. It may have damaged frames if there is nothing better.
        segments: all of them, in order.
        damaged: positions of snapshots that had to be passed over.
    """

    snapshot: FoundSnapshot | None
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
        orphans = _orphans(files, names, segments)
        rest = [segment for segment in segments if segment not in orphans]
        chain = follow(rest, 0, files.boot)
        return Found(None, segments, chain._replace(lost=(*chain.lost, *orphans)), ())
    newest = positions[0]
    damaged: list[FoundSnapshot] = []
    passed: list[int] = []
    for position in positions:
        snapshot = find_snapshot(files, position)
        chain = follow(segments, position, files.boot)
        if snapshot is not None and snapshot.is_whole and _leads_up_to(chain, newest):
            return Found(snapshot, segments, chain, tuple(passed))
        if snapshot is not None:
            damaged.append(snapshot)
        passed.append(position)
    chain = follow(segments, 0, files.boot)
    if _leads_up_to(chain, newest):
        return Found(None, segments, chain, tuple(passed))
    if damaged:
        best = damaged[0]
        chain = follow(segments, best.position, files.boot)
        return Found(best, segments, chain, tuple(one for one in passed if one != best.position))
    raise StateError(
        f"{files.place}/{snapshot_name(newest)} is damaged, and what led up to it is no longer there. Bring the "
        "directory back from a copy, or move all its files away to start without them"
    )


def _leads_up_to(chain: Chain, position: int) -> bool:
    """Whether every record from the chain's base up to a position is there, so that a snapshot there can be replaced."""
    return chain.reached >= position and not chain.holes


def check_version(files: Files, names: Sequence[str]) -> None:
    """Refuses a directory of another format than this.

    Raises:
        StateError: it is of another version, or says nothing that can be read.
    """
    if VERSION not in names:
        return
    with files.read(VERSION) as file:
        line = file.read(_VERSION_MAX)
    if line == title("state"):
        return
    if line.startswith(b"tidewire state ") and line[15:].strip().isdigit():
        form = int(line[15:])
        age = "a newer" if form > FORMAT_VERSION else "an older"
        raise StateError(
            f"{files.place} was written by {age} version of Tidewire (format {form}; this version reads "
            f"{FORMAT_VERSION}). Start that version"
        )
    raise StateError(
        f"{files.place}/{VERSION} can't be understood: it should read {title('state').decode().strip()!r}"
    )


def _orphans(files: Files, names: Sequence[str], segments: Sequence[FoundSegment]) -> Sequence[FoundSegment]:
    """Segments whose snapshot is missing: they are no state.

    With `snapshot.last` there a server without a journal was interrupted while it gave up an earlier one's state;
    nobody wants those records.

    Raises:
        StateError: the snapshot was taken away otherwise.
    """
    first = segments[0] if segments else None
    if first is None or first.header is None or not first.header.base:
        return ()
    if RETIRED in names:
        return segments
    raise StateError(
        f"{files.place}/{segment_name(first.serial)} goes on from a snapshot (of position {first.header.base}, or "
        "later) that is missing. Bring it back, or move all files of the directory away to start without them"
    )


def records(files: Files, links: Sequence[Link], base: int) -> Iterator[tuple[int, Record]]:
    """The records after `base`, a segment at a time in memory.

    Raises:
        StateError: a record is none that this version knows.
    """
    parts: dict[int, list[Link]] = {}
    for link in links:
        parts.setdefault(link.segment.serial, []).append(link)
    for of_one in parts.values():
        segment = of_one[0].segment
        wanted = [range(link.first, link.last + 1) for link in of_one]
        for position, payload in segment_records(files, segment):
            if position > base and any(position in part for part in wanted):
                yield position, _decoded(payload, segment.name)


def _decoded(payload: bytes, name: str) -> Record:
    try:
        return decode_record(payload)
    except msgspec.DecodeError as error:
        raise StateError(
            f"{name} has a record that this version can't read ({error}); start the version that wrote it"
        ) from None
