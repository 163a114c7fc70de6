"""Which records of the segments count: the chain that recovery follows. Pure, so that every case is a few numbers.

Segments are taken in the order in which they were begun. Each says which record it *follows*:

- It follows the newest record so far: the usual case.
- It follows an earlier one: what older segments hold after that never counted. An append failed and could not
  be cut off, or an earlier recovery found the rest damaged and went on without it.
- It follows a record that is not there: records were lost, and this segment can't be applied. Nothing is
  applied past a gap.

So no file has to be cut or rewritten in recovery: a new segment says where it goes on, and that is all.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tidewire.storage.segments import FoundSegment


class Link(NamedTuple):
    """A stretch of records, from `first` through `last`, and the segment that holds it."""

    segment: FoundSegment
    first: int
    last: int
    fingerprint: str


class Chain(NamedTuple):
    """What counts.

    Attributes:
        links: the stretches after the base, in order.
        reached: the newest record; the base when there is none after it.
        torn: the segment at whose end the chain stops because the rest of it is damaged.
        lost: segments behind that, which don't count for that reason.
    """

    links: tuple[Link, ...]
    reached: int
    torn: FoundSegment | None
    lost: tuple[FoundSegment, ...]


def follow(segments: Iterable[FoundSegment], base: int) -> Chain:
    """Follows the segments, by serial number, from a snapshot at position `base`."""
    links: list[Link] = []
    reached = base
    newest: FoundSegment | None = None
    lost: list[FoundSegment] = []
    for segment in segments:
        header = segment.header
        if header is None or header.follows > reached:
            lost.append(segment)
            continue
        # It was begun by a process that knew of what came before: that has been reported then.
        lost.clear()
        newest = segment
        links = _cut(links, header.follows)
        reached = max(base, header.follows)
        last = header.first + segment.records - 1
        if segment.records and last > base:
            links.append(Link(segment, header.first, last, header.fingerprint))
            reached = last
    torn = newest if newest is not None and newest.damaged else None
    return Chain(tuple(links), reached, torn, tuple(segment for segment in lost if segment.size))


def _cut(links: list[Link], end: int) -> list[Link]:
    """The links up to a position."""
    return [link._replace(last=min(link.last, end)) for link in links if link.first <= end]
