"""Which records of the segments count: the chain that recovery follows. Pure, so that every case is a few numbers.

Segments are taken in the order in which they were begun. Each says which record it *follows*:

- It follows the newest record so far: the usual case.
- It follows an earlier one: what older segments hold after that never counted. An append failed and could not
  be cut off, or an earlier recovery found the rest damaged and went on without it.
- It follows a record that is not there: records were lost.

So no file has to be cut or rewritten in recovery: a new segment says where it goes on, and that is all.

Lost records are of two kinds, and what is right for one is wrong for the other:

- *Damaged*: somebody was told of them, and the disk has lost them since. What comes after them counts, and recovery ends
  every queue that one of them may have concerned (`core/recovery.py`).
- *Unpromised*: the machine lost its power before they were flushed, and may have kept later ones. Nobody relies on any of
  them, or knows that the last seconds may be missing. Recovery stops there, and nobody is told anything.

They are damaged for certain if the machine has not been started again since, because then whatever was written is there;
if a later record says that they had been flushed; or if an earlier start came to that conclusion and its segment goes on
behind them. Otherwise they count as unpromised. A record that a file ends in the middle of was never written whole.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tidewire.storage.segments import FoundSegment


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
