"""Finds out what an earlier process left: the newest whole snapshot, the records that count, and the damage.

`follow` decides which segments form the chain of records. It is pure, so that each case is a few numbers.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from tidewire.core.errors import StateError
from tidewire.core.records import Record, decode_record
from tidewire.storage.files import Files
from tidewire.storage.format import FORMAT_VERSION, title
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


class Link(NamedTuple):
    """Whole records, from `first` through `last`, and the segment that holds them."""

    segment: FoundSegment
    first: int
    last: int


class Gap(NamedTuple):
    """Records from `first` through `last` that are lost; `segment` is where reading goes on."""

    segment: FoundSegment
    first: int
    last: int


class Chain(NamedTuple):
    """What counts.

    Attributes:
        links: the whole records after the base, in order.
        reached: the newest record; the base when there is none after it.
        existed: the newest record that is known to have been promised; more than `reached` if the last ones are lost.
        gaps: damaged records between those that count, and that no earlier start has told of.
        holes: all damaged records between those that count, and behind them.
        torn: the segment at whose end the chain stops because the rest of it can't be read.
        lost: segments behind that, which don't count for that reason, and those of which nothing can be read.
    """

    links: tuple[Link, ...]
    reached: int
    existed: int
    gaps: tuple[Gap, ...]
    holes: int
    torn: FoundSegment | None
    lost: tuple[FoundSegment, ...]


def follow(segments: Iterable[FoundSegment], base: int, boot: str = "") -> Chain:
    """Follows the segments, by serial number, from a snapshot at position `base`; `boot` is this run of the machine."""
    links: list[Link] = []
    newest: FoundSegment | None = None
    unreadable: list[FoundSegment] = []
    concluded = base
    for segment in segments:
        follows = segment.follows
        if follows is None:
            unreadable.append(segment)
            continue
        if segment.begins:
            # Whoever began it knew of what came before, and has told of it then.
            concluded = max(base, (segment.first or 1) - 1)
            unreadable.clear()
        links = [link._replace(last=min(link.last, follows)) for link in links if link.first <= follows]
        links += [
            Link(segment, max(run.first, base + 1), run.last) for run in segment.runs if run.last > base
        ]
        newest = segment
    chain = _counted(links, base, boot, concluded)
    if chain.torn is not None:
        behind = {link.segment.serial: link.segment for link in links[len(chain.links) :]}
        behind.pop(chain.torn.serial, None)
        return chain._replace(lost=(*behind.values(), *_sized(unreadable)))
    return _ended(chain._replace(lost=_sized(unreadable)), newest, boot, concluded)


def _sized(segments: Sequence[FoundSegment]) -> tuple[FoundSegment, ...]:
    return tuple(segment for segment in segments if segment.size)


def _counted(links: Sequence[Link], base: int, boot: str, concluded: int) -> Chain:
    """The links up to the first gap whose records were promised to nobody."""
    flushed = max((link.segment.flushed for link in links), default=-1)
    gaps: list[Gap] = []
    reached, holes = base, 0
    for place, link in enumerate(links):
        if link.first > reached + 1:
            gap = Gap(link.segment, reached + 1, link.first - 1)
            is_known = gap.last <= concluded
            if not (is_known or flushed >= gap.first or link.segment.is_of(boot)):
                torn = links[place - 1].segment if place else link.segment
                return Chain(tuple(links[:place]), reached, reached, tuple(gaps), holes, torn, ())
            holes += gap.last - reached
            if not is_known:
                gaps.append(gap)
        reached = link.last
    return Chain(tuple(links), reached, reached, tuple(gaps), holes, None, ())


def _ended(chain: Chain, newest: FoundSegment | None, boot: str, concluded: int) -> Chain:
    """With what can be told of records behind the last whole one."""
    existed = max(chain.reached, concluded)
    if newest is None:
        return chain._replace(existed=existed)
    if newest.is_of(boot):
        existed = max(existed, (newest.first or 1) - 1)
        if newest.torn and not newest.is_cut:
            existed = max(existed, chain.reached + 1)
    elif newest.flushed > existed:
        existed = newest.flushed
    return chain._replace(
        existed=existed,
        holes=chain.holes + existed - chain.reached,
        torn=newest if newest.torn else None,
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
        """The position of the snapshot; 0 without one."""
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
