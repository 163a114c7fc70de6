"""The recent history of each queue, in a few packed bytes, and the steps that it is read back as.

Every delivery, merge, refusal and removal leaves a step. `explain` answers from them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from operator import itemgetter
from struct import Struct
from typing import NamedTuple

from tidewire.core.events.encoding import Entry
from tidewire.core.ids import RealmId
from tidewire.core.memory import Memory


class StepKind(IntEnum):
    """What a record tells of."""

    REGISTERED = 0
    RECOVERED = 1
    IMPORTED = 2
    OFFLINE = 3
    HELD = 4
    ACKNOWLEDGED = 5
    MERGED = 6
    DROPPED = 7
    REFUSED = 8


LIFE = frozenset({StepKind.REGISTERED, StepKind.RECOVERED, StepKind.IMPORTED, StepKind.OFFLINE})
"""What happens to a queue and not to an event."""


class Step(NamedTuple):
    """One record, read; times in UNIX seconds.

    Attributes:
        notice: number of the notice that it belongs to or came after, as this process counts them; -1: not known.
        at: when it began: an event was queued or refused; None when that is not known.
        kind: the event's type; empty when it is not known.
        rule: of a refusal.
        size: bytes of the shared body.
        variant: which of the notice's representations it was, from 0.
        done_at: when it ended: was acknowledged, merged or dropped.
        into: of a merge: the event that took its place; its own id, when it took the place of others.
    """

    what: StepKind
    notice: int
    at: float | None = None
    event_id: int | None = None
    kind: str = ""
    rule: str = ""
    size: int = 0
    variant: int = 0
    sent_at: float | None = None
    done_at: float | None = None
    into: int | None = None


class Known(NamedTuple):
    """A notice that has an id of its own."""

    number: int
    at: float
    kind: str
    realm_id: RealmId | None


_MARK = Struct("<QIQ")
"""Milliseconds and `StepKind`; the number of the notice; and the type's number, the variant and the size."""


_RECORD = Struct("<20sQdd")
"""The mark; the event's id; when it was last sent, or what took its place; and when it left the queue; 0: not known."""


SIZE = _RECORD.size


_record = _RECORD.pack


_event_id = itemgetter(0)


LEAST = 512
"""Bytes of a queue's records below which they would explain nothing."""


OVERHEAD = 150
"""Bytes of an empty trail: the object and its place."""


MOST_NAMES = 10_000
"""Types of events and names of rules that records can name; they stay as long as the process."""


MOST_NOTICES = 10_000
"""Notices with an id of their own that can be asked for by it."""


UNNAMED = 0


_16, _32 = 0xFFFF, 0xFFFF_FFFF


UNMARKED = _16
"""In place of a variant: nothing is known of where the event came from."""


class QueueHistory(bytearray):
    """The records of one queue.

    Attributes:
        refusals: what it was refused; None until there is something.
        began: number of the newest notice when the trail began.
        is_whole: the queue was made then, and not taken over from elsewhere.
        forgotten: number of the newest notice that a dropped record was about; -1: nothing was dropped.
        joined: the newest event that took the place of others, recorded or not.
    """

    __slots__ = ("began", "forgotten", "is_whole", "joined", "refusals")

    def __init__(self, began: int) -> None:
        super().__init__()
        self.refusals: bytearray | None = None
        self.began = began
        self.is_whole = False
        self.forgotten = -1
        self.joined = -1


class Marker:
    """Makes the marks of one notice."""

    __slots__ = ("_at", "_histories", "_variants", "number", "refused")

    def __init__(self, histories: "HistoryStore", number: int, now: float) -> None:
        self._histories = histories
        self._at = int(now * 1000)
        self._variants = 0
        self.number = number
        self.refused: dict[str, bytes] = {}
        """By rule; all events of a notice have one type."""

    def mark(self, kind: str, size: int) -> bytes:
        """The mark of a body, which most records of its events begin with."""
        variant = min(self._variants, UNMARKED - 1)
        self._variants += 1
        what = self._histories.number_of(kind) | variant << 16 | min(size, _32) << 32
        return _MARK.pack(self._at << 16 | StepKind.ACKNOWLEDGED, self.number & _32, what)

    def refusal(self, kind: str, rule: str) -> bytes:
        """The record for every queue that this rule refuses."""
        what = self._histories.number_of(kind) | self._histories.number_of(rule) << 16
        record = self.refused[rule] = _MARK.pack(self._at << 16 | StepKind.REFUSED, self.number & _32, what)
        return record


class HistoryStore:
    """What the trails of one shard share.

    Attributes:
        most: bytes of a queue's records, refusals apart; 0: nothing is recorded.
        notice: number of the newest notice.
        notices: those that have an id of their own, by that.
    """

    __slots__ = (
        "_marks",
        "_memory",
        "_names",
        "_numbers",
        "_records",
        "_refusals",
        "most",
        "notice",
        "notices",
    )

    def __init__(self, memory: Memory, *, most: int) -> None:
        """Has queues record up to `most` bytes each, a quarter of it refusals; 0: nothing."""
        whole = max(most, LEAST) if most else 0
        self._memory = memory
        self._marks = memory.marks
        self._refusals = whole // 4
        self.most = whole - self._refusals
        self._records = self.most // SIZE
        self.notice = 0
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

    def begin(self) -> QueueHistory:
        """The trail of a queue that is new here."""
        if self.most:
            self._memory.trails += OVERHEAD
        return QueueHistory(self.notice)

    def end(self, history: QueueHistory) -> None:
        """Nobody needs the trail any more."""
        if self.most:
            self._memory.trails -= OVERHEAD + len(history) + len(history.refusals or b"")

    def end_all(self, trails: Iterable[QueueHistory]) -> None:
        """Ends the histories of several queues."""
        for history in trails:
            self.end(history)

    def marker(self, now: float) -> Marker:
        """Begins a notice, or anything else that brings events to queues."""
        self.notice += 1
        return Marker(self, self.notice, now)

    def remember_notice(self, notice_id: str, known: Known) -> None:
        """Remembers a notice by the id that its publisher gave it."""
        if self.most:
            self.notices[notice_id] = known
            if len(self.notices) > MOST_NOTICES:
                del self.notices[next(iter(self.notices))]

    # Writing.

    def note(self, history: QueueHistory, what: StepKind, now: float) -> None:
        """Notes what happens to a queue."""
        if self.most:
            head = _MARK.pack(int(now * 1000) << 16 | what, self.notice & _32, 0)
            history += _record(head, 0, 0.0, 0.0)
            self._grown(history, SIZE)

    def record_acknowledged(
        self, history: QueueHistory, entries: Sequence[Entry], through: int, now: float, sent_at: float = 0.0
    ) -> None:
        """Notes that an acknowledgement covers the events up to `through`, which is at least the first."""
        if not self.most:
            return
        if len(entries) > 1:
            taken = entries[: bisect_right(entries, through, key=_event_id)]
            self.note_gone(history, taken, StepKind.ACKNOWLEDGED, now, sent_at)
            return
        # Nearly every poll comes by here: no calls that can be done without.
        event_id, body, _ = entries[0]
        mark = self._marks.get(id(body)) or self._head(body, StepKind.ACKNOWLEDGED, now)
        history += _record(mark, event_id, sent_at, now)
        self._memory.trails += SIZE
        if len(history) > self.most:
            self._cut(history, history, SIZE, self.most // 4)

    def note_gone(
        self,
        history: QueueHistory,
        entries: Sequence[Entry],
        what: StepKind,
        now: float,
        sent_at: float = 0.0,
    ) -> None:
        """Notes that events left the queue, the last of them if there are more than a trail can hold."""
        if len(entries) > self._records:
            self._pass_over(history, entries[-self._records - 1])
            entries = entries[-self._records :]
        for event_id, body, _ in entries:
            history += _record(self._head(body, what, now), event_id, sent_at, now)
        self._grown(history, SIZE * len(entries))

    def note_merged(
        self, history: QueueHistory, merged: Sequence[tuple[Entry, int]], now: float | None
    ) -> None:
        """Notes which events others took the place of, and when, if that is known."""
        history.joined = max(history.joined, *(into for _, into in merged), -1)
        if not self.most:
            return
        before = len(history)
        if len(merged) > self._records:
            history.forgotten = self.notice
        for (event_id, body, _), into in merged[-self._records :]:
            history += _record(self._head(body, StepKind.MERGED, now or 0.0), event_id, into, now or 0.0)
        self._grown(history, len(history) - before)

    def refuse(self, history: QueueHistory, record: bytes) -> None:
        """Adds a refusal to the queue's history."""
        refusals = history.refusals
        if refusals is None:
            refusals = history.refusals = bytearray()
        refusals += record
        self._memory.trails += len(record)
        if len(refusals) > self._refusals:
            self._cut(history, refusals, _MARK.size, self._refusals // 4)

    def _head(self, body: bytes, what: StepKind, now: float) -> bytes:
        mark = self._marks.get(id(body))
        if mark is None:
            return _MARK.pack(int(now * 1000) << 16 | what, self.notice & _32, UNMARKED << 16)
        # The lowest bytes come first, and are `StepKind`.
        return what.to_bytes(2, "little") + mark[2:]

    def _pass_over(self, history: QueueHistory, entry: Entry) -> None:
        """Notes that events up to this one get no record."""
        mark = self._marks.get(id(entry[1]))
        number = self.notice if mark is None else _MARK.unpack(mark)[1]
        history.forgotten = max(history.forgotten, number)

    def _grown(self, history: QueueHistory, by: int) -> None:
        self._memory.trails += by
        if len(history) > self.most:
            self._cut(history, history, SIZE, len(history) - self.most + self.most // 4)

    def _cut(self, history: QueueHistory, records: bytearray, size: int, cut: int) -> None:
        """Drops the oldest records, `cut` bytes or somewhat more."""
        cut += -cut % size
        # The records are in the order of the notices, unless events were merged.
        first = 0 if history.joined >= 0 else cut - size
        numbers = (_MARK.unpack_from(records, place)[1] for place in range(first, cut, size))
        history.forgotten = max(history.forgotten, *numbers)
        del records[:cut]
        self._memory.trails -= cut

    # Reading.

    def steps(self, history: QueueHistory) -> list[Step]:
        """Everything that a trail tells, in no order that means anything."""
        return [*self._refused(history.refusals or b""), *self._gone(history)]

    def held(self, entry: Entry, *, sent_at: float | None) -> Step:
        """What is known of an event that a queue still has."""
        mark = self._marks.get(id(entry[1]))
        if mark is None:
            return Step(StepKind.HELD, -1, event_id=entry[0], sent_at=sent_at)
        first, number, more = _MARK.unpack(mark)
        step = Step(StepKind.HELD, number, (first >> 16) / 1000, entry[0], self._names[more & _16])
        return step._replace(size=more >> 32, variant=more >> 16 & _16, sent_at=sent_at)

    def _refused(self, records: bytes | bytearray) -> Iterator[Step]:
        for first, number, more in _MARK.iter_unpack(records):
            kind, rule = self._names[more & _16], self._names[more >> 16]
            yield Step(StepKind.REFUSED, number, (first >> 16) / 1000, kind=kind, rule=rule)

    def _gone(self, history: QueueHistory) -> Iterator[Step]:
        for place in range(0, len(history), SIZE):
            first, number, more = _MARK.unpack_from(history, place)
            _, event_id, between, done_at = _RECORD.unpack_from(history, place)
            what, began = StepKind(first & _16), (first >> 16) / 1000
            if what in LIFE:
                yield Step(what, number, began)
                continue
            is_marked = more >> 16 & _16 != UNMARKED
            is_merge = what is StepKind.MERGED
            yield Step(
                what,
                number if is_marked else -1,
                began if is_marked else None,
                event_id,
                self._names[more & _16],
                size=more >> 32,
                variant=more >> 16 & _16 if is_marked else 0,
                sent_at=None if is_merge else between or None,
                done_at=done_at or None,
                into=int(between) if is_merge else None,
            )
