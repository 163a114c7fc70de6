"""What a shard takes of memory, counted so that delivering costs nothing more (D8).

- *Entries* are counted where they are added and dropped, many at once.
- *Bodies* are shared by many queues, so each is counted once, when it was encoded. Nobody tells when its last
  entry goes. Instead a list holds every body, and is looked through now and then: a body that nothing but the
  list refers to is gone. Young ones every second, since most are acknowledged at once; old ones in turns, so that
  each is looked at within some ten seconds.
- Queues and connections are a constant each. What a queue was registered with is counted once for all that were
  registered alike.
- Tables (remembered ids, tombstones, the outbox, ended queues) are looked at once a second.
- What connections hold on its way is counted where the wire is read (`core/bytes_in_transit.py`).

The constants were measured, and another machine or interpreter may differ. So what the process has grown by since
its start is compared once a second with what was counted, and the count corrected (`compare`).
"""

from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence
from sys import getrefcount
from types import MappingProxyType
from typing import Any, NamedTuple

from tidewire.core.bytes_in_transit import Transit

MARK = 160
"""Bytes of what is kept of a body so that it can be explained (`core/history/history.py`)."""

ENTRY = 110
"""Bytes of an entry without its body: a tuple, its number, and its place in a list."""

QUEUE = 1400
"""Bytes of an empty queue with its places in the indexes, beside what it was registered with."""

CONNECTION = 16_000
"""Bytes of a connection with its request, whose poll waits or was just answered."""

BODY = 33 + 8
"""Bytes of a body beyond its length: the header of the object, and its place in the list."""

SWEEP = 50_000
"""Bodies looked at each second at least: two or three milliseconds."""

HELD_MOST = 32 * 1024 * 1024
"""Bytes of bodies that may have come since the last sweep: what is gone of them is held until the next. In recovery
no second passes."""

SWEEPS_PER_ROUND = 10
"""After so many seconds every old body was looked at, however many there are."""

PIECE = 5000
"""Old bodies are kept in pieces of about this many."""

MOST_CORRECTION = 1.5
"""What a process grows by has other reasons too; the queues are not blamed for all of it."""

COMPARABLE = 32 * 1024 * 1024
"""Counted bytes below which the growth of a process says nothing about its queues."""


def _references(bodies: Iterable[bytes]) -> list[int]:
    return [getrefcount(body) for body in bodies]


(_ALONE,) = _references([bytes(bytearray(2))])
"""References that are seen to a body which nothing but the list refers to."""


def _size(bodies: Iterable[bytes]) -> int:
    return sum(len(body) + BODY for body in bodies)


def _referred(bodies: Iterable[bytes]) -> list[bytes]:
    """Those that something beside their list refers to; the loop is that of `_references`."""
    return [body for body in bodies if getrefcount(body) > _ALONE]


def others(bodies: list[bytes]) -> list[int]:
    """How many refer to each body beside this list, which has each once, and the account."""
    return [count - _ALONE - 1 for count in _references(bodies)]


FADING = 0.999
"""Of a height, each second, as far as comparing is concerned: for a tenth less it takes two minutes. What lies between
things that went and things that stay is lost to both, and grows for as long as they come and go."""


class Memory:
    """The account of one shard.

    Attributes:
        entries: how many there are in all queues.
        bodies: bytes of the bodies that they share.
        connections: how many polls wait or were just answered.
        correction: by which what is counted is multiplied.
        trails: bytes of what queues record to be explained (`core/history/history.py`).
        registrations: bytes of what queues were registered with (`core/queues/registration_size.py`).
        snapshot: bytes that a snapshot on its way takes beside the state.
        numbered: the bodies that it holds, each in one of these.
        promised: bytes of bodies whose queues gave way, and which go when it is taken.
        tables: bytes of the tables, by name, as of the last look.
        transit: what connections hold.
        marks: where bodies came from, by their `id`, for as long as they are here.
        exhausted: the budget is used up, and no queue is left that could give way.
    """

    __slots__ = (
        "_base",
        "_old",
        "_old_count",
        "_peak",
        "_sweep_at",
        "_tables",
        "_young",
        "bodies",
        "connections",
        "correction",
        "entries",
        "exhausted",
        "marks",
        "numbered",
        "promised",
        "registrations",
        "snapshot",
        "tables",
        "trails",
        "transit",
    )

    def __init__(self, transit: Transit[Any] | None = None) -> None:
        """Takes what connections report to."""
        # It is empty, and so false, to begin with.
        self.transit: Transit[Any] = Transit() if transit is None else transit
        self.registrations = 0
        self.snapshot = 0
        self.numbered: Sequence[Mapping[bytes, int]] = ()
        self.promised = 0
        self.tables: Mapping[str, int] = MappingProxyType({})
        self._tables = 0
        self.entries = 0
        self.bodies = 0
        self.connections = 0
        self.trails = 0
        self.marks: dict[int, bytes] = {}
        self.correction = 1.0
        self.exhausted = False
        self._young: list[bytes] = []
        self._old: deque[list[bytes]] = deque()
        self._old_count = 0
        self._sweep_at = HELD_MOST
        self._base: float | None = None
        self._peak = float(COMPARABLE)

    def enter(self, body: bytes) -> None:
        """Counts a body that was encoded just now; once."""
        self._young.append(body)
        self.bodies += len(body) + BODY
        if self.bodies > self._sweep_at:
            self.sweep()

    def counted(self, queues: int) -> int:
        """Bytes that all of it takes, uncorrected."""
        transit = self.transit
        held = self.bodies + self.trails + len(self.marks) * MARK + self.registrations + self._tables
        held += transit.bodies + transit.unread + transit.work + self.snapshot - self.promised
        return held + self.entries * ENTRY + queues * QUEUE + self.connections * CONNECTION

    def all_numbered(self) -> set[int]:
        """The bodies that a snapshot on its way holds, by their `id`."""
        return {id(body) for table in self.numbered for body in table}

    def end_snapshot(self) -> None:
        """There is no snapshot on its way any more."""
        self.snapshot = 0
        if self.promised:
            self.promised = 0
            self.numbered = ()
            self.sweep_all()
        self.numbered = ()

    def look_at(self, tables: Mapping[str, int]) -> None:
        """Takes what the tables take now."""
        self.tables = tables
        self._tables = sum(tables.values())

    def parts(self, queues: int) -> dict[str, int]:
        """What `counted` is the sum of."""
        return {
            "events": self.bodies - self.promised,
            "entries": self.entries * ENTRY,
            "queues": queues * QUEUE,
            "registrations": self.registrations,
            "connections": self.connections * CONNECTION,
            "explanations": self.trails + len(self.marks) * MARK,
            "snapshot": self.snapshot,
            "request_bodies": self.transit.bodies,
            "unread_answers": self.transit.unread,
            "work": self.transit.work,
            **self.tables,
        }

    def used(self, queues: int) -> float:
        """Bytes that all of it takes."""
        return self.counted(queues) * self.correction

    def sweep(self) -> None:
        """Looks through the young bodies and a share of the old ones; to be called once a second."""
        survivors = self._still(self._young)
        self._young = []
        self._look_through(max(SWEEP, self._old_count // SWEEPS_PER_ROUND))
        self._keep(survivors)
        self._sweep_at = self.bodies + HELD_MOST

    def sweep_all(self) -> None:
        """Looks through everything, before anybody has to give way."""
        self._young = self._still(self._young)
        self._look_through(self._old_count)

    def _look_through(self, count: int) -> None:
        for _ in range(len(self._old)):
            if count <= 0:
                return
            piece = self._old.popleft()
            count -= len(piece)
            self._old_count -= len(piece)
            self._keep(self._still(piece))

    def _still(self, bodies: list[bytes]) -> list[bytes]:
        referred = _referred(bodies)
        if len(referred) < len(bodies):
            self.bodies -= _size(bodies) - _size(referred)
            if self.marks:
                # Another body may get the place of one that is gone, and with it the `id`.
                for gone in set(map(id, bodies)).difference(map(id, referred)):
                    self.marks.pop(gone, None)
        return referred

    def _keep(self, bodies: list[bytes]) -> None:
        self._old_count += len(bodies)
        if self._old and len(self._old[-1]) + len(bodies) <= PIECE:
            self._old[-1] += bodies
        else:
            self._old += [bodies[first : first + PIECE] for first in range(0, len(bodies), PIECE)]

    def compare(self, resident: int, queues: int) -> None:
        """Corrects the count by what the process has grown to.

        Only at the height of late (`FADING`): memory that was freed need not have gone back to the system.
        """
        counted = self.counted(queues)
        if self._base is None:
            self._base = resident - counted
            return
        self._peak = max(self._peak * FADING, COMPARABLE)
        if resident and counted > self._peak:
            self._peak = counted
            self.correction = min(max(1.0, (resident - self._base) / counted), MOST_CORRECTION)


class Freed(NamedTuple):
    """Bytes that go with some entries: all of them, and those that stay until a snapshot on its way is taken."""

    total: int
    later: int


def freed(bodies: Iterable[bytes], left: dict[int, int], numbered: Container[int] = ()) -> Freed:
    """What goes when these entries go too; `left` is how many are left of each body, of one run.

    A body whose last entry is among them counts, one that others share doesn't. The `numbered`, by their `id`, are held
    by a snapshot too.
    """
    total = later = 0
    for body in bodies:
        key = id(body)
        is_numbered = key in numbered
        count = left.get(key)
        if count is None:
            # The list's, the loop's, the call's.
            count = getrefcount(body) - _ALONE - is_numbered
        left[key] = count = count - 1
        total += ENTRY
        if count <= 0:
            total += len(body) + BODY
            later += is_numbered * (len(body) + BODY)
    return Freed(total, later)
