"""An engine with everything around it under the test's control: time, ids, chance, journal, and what comes soon."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from support.events import Json, decode, notice
from tidewire.core.descriptor import QueueSpec
from tidewire.core.dispatch import Failure
from tidewire.core.errors import Unavailable
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.notice import decode_notices
from tidewire.core.records import Record, decode_record, encode_record
from tidewire.core.shard import Shard
from tidewire.core.snapshot import Snapshot
from tidewire.core.state import Batch, Limits
from tidewire.core.wire import encode_entry
from tidewire.engine import Engine, Pace, PollSlot
from tidewire.storage.null_journal import NullDraft

A = TypeVar("A")

START = 1_000_000.0


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self, time: float = START) -> None:
        self.time = time
        self.skipped = 0.0

    def now(self) -> float:
        """The time."""
        return self.time

    def tick(self) -> float:
        """The time."""
        return self.time


class KeepingJournal:
    """Keeps encoded records; can lag behind, fail, and run out of room."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.lags = False
        self.fails = False
        self.room: int | None = None
        self._durable = 0

    @property
    def durable(self) -> int:
        """Position of the newest durable record."""
        return self._durable

    def append(self, record: Record) -> int:
        """Takes a record, which must survive being encoded."""
        if self.fails or self.room == 0:
            raise Unavailable("The disk is full")
        if self.room is not None:
            self.room -= 1
        data = encode_record(record)
        assert decode_record(data) == record
        self.written.append(data)
        if not self.lags:
            self.sync()
        return len(self.written)

    @property
    def tail_bytes(self) -> int:
        """Bytes of everything."""
        return sum(map(len, self.written))

    def begin_snapshot(self) -> NullDraft:
        """A draft that goes nowhere."""
        return NullDraft(len(self.written))

    def sync(self, count: int | None = None) -> None:
        """Makes everything durable, or `count` records more."""
        newest = len(self.written)
        self._durable = newest if count is None else min(newest, self._durable + count)

    def lose_tail(self) -> None:
        """What a power failure does."""
        del self.written[self._durable :]

    def records(self, start: int = 0) -> list[Record]:
        """The records from a position on."""
        return [decode_record(data) for data in self.written[start:]]


class KeepingSlot(Generic[A]):
    """A slot that keeps its answers."""

    def __init__(self) -> None:
        self.answers: list[A] = []

    def complete(self, answer: A) -> None:
        """Takes an answer."""
        self.answers.append(answer)

    @property
    def answered(self) -> bool:
        """Whether it was completed."""
        return bool(self.answers)

    @property
    def answer(self) -> A:
        """The one answer."""
        (answer,) = self.answers
        return answer


class Poll(KeepingSlot[Batch]):
    """The slot of a poll."""

    @property
    def events(self) -> list[Json]:
        """The events of the answer, as a client decodes them."""
        return [decode(encode_entry(entry)) for entry in self.answer.entries]

    @property
    def ids(self) -> list[int]:
        """The ids of the answer."""
        return [entry[0] for entry in self.answer.entries]


class KeepingReporter:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.answer_errors: list[Exception] = []
        self.journal_errors: list[Unavailable] = []
        self.skips: list[float] = []
        self.collections: list[tuple[int, int]] = []

    def delivery_failed(self, failure: Failure) -> None:
        """Keeps it."""
        self.failures.append(failure)

    def answer_failed(self, error: Exception) -> None:
        """Keeps it."""
        self.answer_errors.append(error)

    def journal_failed(self, error: Unavailable) -> None:
        """Keeps it."""
        self.journal_errors.append(error)

    def clock_skipped(self, seconds: float) -> None:
        """Keeps it."""
        self.skips.append(seconds)

    def collected(self, *, expired: int, queues: int) -> None:
        """Keeps it."""
        self.collections.append((expired, queues))


class Soon:
    """What was to be called soon, to be called when the test says so."""

    def __init__(self) -> None:
        self.calls: deque[Callable[[], None]] = deque()

    def __call__(self, call: Callable[[], None]) -> object:
        """Books a call."""
        self.calls.append(call)
        return None

    def run(self) -> None:
        """Calls everything that is booked now."""
        for _ in range(len(self.calls)):
            self.calls.popleft()()


def spec(user: int = 1, realm: int = 1, types: Iterable[str] | None = None, idle: int = 600) -> QueueSpec:
    """What a plain client registers with."""
    return QueueSpec(
        user_id=UserId(user),
        realm_id=RealmId(realm),
        event_types=None if types is None else tuple(types),
        idle_timeout=idle,
    )


class Rig:
    """One engine and its surroundings; a restart keeps clock, journal and reporter."""

    def __init__(
        self, *, limits: Limits | None = None, pace: Pace | None = None, shard: Shard[PollSlot] | None = None
    ) -> None:
        self.limits = limits or Limits()
        self.pace = pace or Pace()
        self.clock = SetClock()
        self.journal = KeepingJournal()
        self.reporter = KeepingReporter()
        self.soon = Soon()
        self.chances: deque[float] = deque()
        self._made = 0
        self.engine = self._engine(shard or Shard(limits=self.limits))

    def _engine(self, shard: Shard[PollSlot]) -> Engine:
        return Engine(
            shard=shard,
            journal=self.journal,
            clock=self.clock,
            reporter=self.reporter,
            new_queue_id=self._new_queue_id,
            chance=lambda: self.chances.popleft() if self.chances else 0.5,
            call_soon=self.soon,
            pace=self.pace,
        )

    def _new_queue_id(self) -> str:
        self._made += 1
        return f"queue-{self._made}"

    def restart(self, image: Snapshot | None, records: Iterable[Record], *, resumed: bool) -> None:
        """Goes on with a new engine, made from a snapshot and the records since."""
        shard: Shard[PollSlot] = Shard(limits=self.limits)
        if image is not None:
            shard.restore(image)
        for record in records:
            shard.apply(record)
        shard.begin(now=self.clock.now(), resumed=resumed)
        self.soon.calls.clear()
        self.engine = self._engine(shard)

    # Shorthand for requests.

    def register(self, wanted: QueueSpec | None = None) -> QueueId:
        """Registers a queue and returns its id."""
        slot: KeepingSlot[QueueId] = KeepingSlot()
        self.engine.register(wanted or spec(), slot)
        return slot.answer

    def publish(self, *events: Json, users: Iterable[int] = (1,)) -> None:
        """Publishes each event as a notice, all in one batch."""
        wanted = list(users)
        body = b"\n".join(notice(event, wanted) for event in events)
        self.engine.publish(decode_notices(body), KeepingSlot[int]())

    def poll(self, queue_id: str, last: int = -1, *, user: int = 1, block: bool = False) -> Poll:
        """Polls; the slot has the answer, or waits."""
        slot = Poll()
        self.engine.poll(queue_id, user_id=UserId(user), last_event_id=last, block=block, slot=slot)
        return slot

    def delete(self, queue_id: str, *, user: int = 1) -> KeepingSlot[QueueId]:
        """Deletes a queue."""
        slot: KeepingSlot[QueueId] = KeepingSlot()
        self.engine.delete(queue_id, user_id=UserId(user), slot=slot)
        return slot

    def wait(self, seconds: int) -> None:
        """Lets time pass, with a tick each second."""
        for _ in range(seconds):
            self.clock.time += 1
            self.engine.tick()
            self.soon.run()
