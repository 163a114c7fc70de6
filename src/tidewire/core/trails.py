"""Trails: what became of a queue's events of late, in a few packed bytes for each queue (issue 8).

A queue's *trail* is a row of records of the same size, oldest first; beside it stands a shorter row of what the queue
was refused, so that a narrow that refuses much can't push out what was delivered. Both are cut at their front when
they are full.

1. A record that many queues get, of an event put in or refused, is made once for a notice and copied.
2. The record of an event does not say its id. Every event that is put in a queue leaves one, so ids follow from the
   newest, which the queue knows.
3. Trails are not journalled. Recovery begins them anew, and applying records writes what those tell of. So a trail may
   know less than happened, but what it says is true.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from tidewire.core.ids import RealmId
from tidewire.core.memory import Memory


class What(IntEnum):
    """What a record tells of."""

    REGISTERED = 0
    RECOVERED = 1
    QUEUED = 2
    REFUSED = 3
    SENT = 4
    ACKNOWLEDGED = 5
    MERGED = 6
    OFFLINE = 7
    IMPORTED = 8


_RECORD = Struct("<QIQ")
"""Milliseconds and `What`; the number of the notice, of 32 bits; and what else there is to say."""

SIZE = _RECORD.size

LEAST = 512
"""Bytes of a queue's records below which they would explain nothing."""

CHECK_EVERY = 8
"""Events after which it is looked whether a trail is full: to look costs as much as to write a record."""

OVERHEAD = 150
"""Bytes of an empty trail: the object and its place."""

MOST_NAMES = 10_000
"""Types of events and names of rules that records can name; they stay as long as the process."""

MOST_NOTICES = 10_000
"""Notices with an id of their own that can be asked for by it."""

MOST_MERGED = 32
"""Events of one merge that get a record: more would push out everything else."""

UNNAMED = 0
_KIND = 0xFFFF
_SEQ = 0xFFFF_FFFF


class Trail(bytearray):
    """The records of one queue.

    Attributes:
        refusals: what it was refused; None until there is something.
        refused_before: number of the newest notice whose refusal is no longer there; -1: nothing was dropped.
    """

    __slots__ = ("refusals", "refused_before")

    def __init__(self) -> None:
        super().__init__()
        self.refusals: bytearray | None = None
        self.refused_before = -1


class Step(NamedTuple):
    """One record, read.

    Attributes:
        notice: number of the notice that it belongs to or came after, as this process counts them.
        event_id: the event that it is about; of `SENT` and `ACKNOWLEDGED` the last of several.
        kind: the event's type; empty when it is not known.
        rule: of a refusal.
        size: bytes of the shared body.
        variant: which of the notice's representations it was, from 0.
        into: of a merge: the event that took its place.
    """

    what: What
    at: float
    notice: int
    event_id: int | None = None
    kind: str = ""
    rule: str = ""
    size: int = 0
    variant: int = 0
    into: int | None = None


class Known(NamedTuple):
    """A notice that has an id of its own."""

    number: int
    at: float
    kind: str
    realm_id: RealmId | None


class Marker:
    """Makes the records of one notice."""

    __slots__ = ("_at", "_trails", "_variants", "number", "refused")

    def __init__(self, trails: "Trails", number: int, now: float) -> None:
        self._trails = trails
        self._at = int(now * 1000) << 16
        self._variants = 0
        self.number = number
        self.refused: dict[str, bytes] = {}
        """By rule; all events of a notice have one type."""

    def queued(self, kind: str, size: int) -> bytes:
        """The record for every queue that gets these bytes."""
        if not self._trails.most:
            return b""
        variant = self._variants
        self._variants += 1
        what = self._trails.number_of(kind) | min(variant, _KIND) << 16 | min(size, _SEQ) << 32
        return _RECORD.pack(self._at | What.QUEUED, self.number & _SEQ, what)

    def refusal(self, kind: str, rule: str) -> bytes:
        """The record for every queue that this rule refuses."""
        record = b""
        if self._trails.most:
            what = self._trails.number_of(kind) | self._trails.number_of(rule) << 16
            record = _RECORD.pack(self._at | What.REFUSED, self.number & _SEQ, what)
        self.refused[rule] = record
        return record


class Trails:
    """What the trails of one shard share.

    Attributes:
        most: bytes of a queue's records, refusals apart; 0: nothing is recorded.
        notice: number of the newest notice.
    """

    __slots__ = ("_memory", "_names", "_numbers", "_refusals", "most", "notice", "notices")

    def __init__(self, memory: Memory, *, most: int) -> None:
        """Has queues record up to `most` bytes each, a quarter of it refusals; 0: nothing."""
        whole = max(most, LEAST) if most else 0
        self._refusals = whole // 4
        self.most = whole - self._refusals
        self._memory = memory
        self.notice = -1
        self.notices: dict[str, Known] = {}
        self._names = [""]
        self._numbers: dict[str, int] = {"": UNNAMED}

    def number_of(self, name: str) -> int:
        """A short number for a name; beyond the bound all are unnamed."""
        number = self._numbers.get(name)
        if number is None:
            if len(self._names) >= MOST_NAMES:
                return UNNAMED
            number = self._numbers[name] = len(self._names)
            self._names.append(name)
        return number

    def begin(self) -> Trail:
        """The trail of a queue that is new here."""
        if self.most:
            self._memory.trails += OVERHEAD
        return Trail()

    def end(self, trail: Trail) -> None:
        """Nobody needs the trail any more."""
        if self.most:
            self._memory.trails -= OVERHEAD + len(trail) + len(trail.refusals or ())

    def marker(self, now: float) -> Marker:
        """Begins a notice, or anything else that brings events to queues."""
        self.notice += 1
        return Marker(self, self.notice, now)

    def know(self, notice_id: str, known: Known) -> None:
        """Remembers a notice by the id that its publisher gave it."""
        if self.most:
            self.notices[notice_id] = known
            if len(self.notices) > MOST_NOTICES:
                del self.notices[next(iter(self.notices))]

    # Writing.

    def trim(self, trail: Trail) -> None:
        """Drops the oldest records of a trail that is nearly full."""
        if len(trail) > self.most - CHECK_EVERY * SIZE:
            cut = len(trail) - self.most + CHECK_EVERY * SIZE + self.most // 8
            cut += -cut % SIZE
            del trail[:cut]
            self._memory.trails -= cut

    def refuse(self, trail: Trail, record: bytes) -> None:
        """Notes a refusal."""
        refusals = trail.refusals
        if refusals is None:
            if not self.most:
                return
            refusals = trail.refusals = bytearray()
        refusals += record
        self._memory.trails += len(record)
        if len(refusals) <= self._refusals:
            return
        cut = self._refusals // 4
        cut += -cut % SIZE
        _, trail.refused_before, _ = _RECORD.unpack_from(refusals, cut - SIZE)
        del refusals[:cut]
        self._memory.trails -= cut

    def note(self, trail: Trail, what: What, now: float, event_id: int = 0, into: int = 0) -> None:
        """Notes what happens to one queue; `into` is not far from `event_id`, and stands in the place of the notice."""
        if not self.most:
            return
        notice = self.notice if what is not What.MERGED else into - event_id
        trail += _RECORD.pack(int(now * 1000) << 16 | what, notice & _SEQ, event_id)
        self._memory.trails += SIZE
        self.trim(trail)

    def note_merged(self, trail: Trail, merged: Iterable[tuple[int, int]], now: float) -> None:
        """Notes which events others took the place of."""
        for event_id, into in sorted(merged)[-MOST_MERGED:]:
            self.note(trail, What.MERGED, now, event_id, into)

    # Reading.

    def steps(self, trail: Trail, next_event_id: int) -> list[Step]:
        """Everything that a trail tells, oldest first."""
        queued = sum(1 for first, _, _ in _RECORD.iter_unpack(trail) if first & _KIND == What.QUEUED)
        main = list(self._read(trail, next_event_id - queued))
        # By the notice, since several things happen in one millisecond; what has none belongs to the one before.
        merged: list[Step] = []
        refusals = list(self._read(trail.refusals or b"", 0))
        position = 0
        for step in main:
            while position < len(refusals) and _is_before(refusals[position], step):
                merged.append(refusals[position])
                position += 1
            merged.append(step)
        return merged + refusals[position:]

    def _read(self, records: bytes | bytearray, event_id: int) -> Iterator[Step]:
        for first, number, more in _RECORD.iter_unpack(records):
            what, at = What(first & _KIND), (first >> 16) / 1000
            if what is What.QUEUED:
                kind = self._names[more & _KIND]
                yield Step(what, at, number, event_id, kind, size=more >> 32, variant=more >> 16 & _KIND)
                event_id += 1
            elif what is What.REFUSED:
                kind, rule = self._names[more & _KIND], self._names[more >> 16]
                yield Step(what, at, number, kind=kind, rule=rule)
            elif what is What.MERGED:
                yield Step(what, at, -1, more, into=more + number)
            else:
                told = what in {What.SENT, What.ACKNOWLEDGED}
                yield Step(what, at, number, more if told else None)


def _is_before(refusal: Step, step: Step) -> bool:
    """Whether a refusal came before another step; of one notice, what was delivered is named first."""
    if step.notice < 0:
        return False
    if step.what is What.QUEUED:
        return refusal.notice < step.notice
    return refusal.notice <= step.notice
