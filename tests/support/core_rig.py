"""An engine with everything around it under the test's control: time, ids, chance, journal, and what comes soon."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from support.events import Json, decode, notice
from tidewire.core.delivery.dispatch import Failure
from tidewire.core.errors import BadEventQueueId, Unavailable
from tidewire.core.events.coalescing import MergeRule, RuleFailure
from tidewire.core.events.encoding import encode_entry
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.persistence.snapshot import Snapshot
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.records import Record, decode_record, encode_record
from tidewire.core.shard import Shard
from tidewire.core.state.limits import Limits
from tidewire.core.state.state import Batch
from tidewire.core.state.state_settings import encode_shaping
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.engine.recovery import RecoveryReport, recover
from tidewire.engine.snapshots import TAIL_AT_LEAST
from tidewire.engine.timing import EngineTiming, run_inline
from tidewire.ports.engine import Collection, Origin
from tidewire.ports.storage import Recovery
from tidewire.tracing.traced_engine import kind_for

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


RULES = "the rules"
"""The fingerprint of all that the tests do, unless they say otherwise."""


class KeepingJournal:
    """A state store and its journal; keeps every record ever, can lag behind, fail, and run out of room.

    Attributes:
        frames: of the newest snapshot, which was begun at `position` and shows no record after `through`.
    """

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.lags = False
        self.fails = False
        self.room: int | None = None
        self.fingerprint = RULES
        self.settings = b""
        self.frames: list[bytes] = []
        self.position = 0
        self.through = 0
        self._origins: list[Origin] = []
        self._durable = 0

    @property
    def durable(self) -> int:
        """Position of the newest durable record."""
        return self._durable

    @property
    def tail_bytes(self) -> int:
        """Bytes of the records after the snapshot."""
        return sum(map(len, self.written[self.position :]))

    def check_room(self) -> None:
        """Raises what a full disk raises, when it is full."""
        if self.fails or self.room == 0:
            raise Unavailable("The disk is full")

    def append(self, record: Record) -> int:
        """Takes a record, which must survive being encoded."""
        self.check_room()
        if self.room is not None:
            self.room -= 1
        data = encode_record(record)
        assert decode_record(data) == record
        self.written.append(data)
        self._origins.append(Origin(self.fingerprint, self.settings))
        if not self.lags:
            self.sync()
        return len(self.written)

    def begin_snapshot(self) -> "KeepingDraft":
        """A draft at the newest record."""
        self.check_room()
        return KeepingDraft(self)

    def sync(self, count: int | None = None) -> None:
        """Makes everything durable, or `count` records more."""
        newest = len(self.written)
        self._durable = newest if count is None else min(newest, self._durable + count)

    def lose_tail(self) -> None:
        """What a power failure does."""
        del self.written[self._durable :]
        del self._origins[self._durable :]

    def records(self, start: int = 0) -> list[Record]:
        """The records from a position on."""
        return [decode_record(data) for data in self.written[start:]]

    def recover(self) -> Recovery:
        """The snapshot and the records after it."""
        return Recovery(
            position=self.position,
            through=self.through,
            reached=len(self.written),
            existed=max(self.through, len(self.written)),
            frames=iter(list(self.frames)),
            records=iter(list(enumerate(self.records(self.position), self.position + 1))),
            origins=tuple(enumerate(self._origins, 1)),
        )

    def journal(
        self, *, origin: Origin, on_durable: Callable[[], None], on_failed: Callable[[Exception], None]
    ) -> "KeepingJournal":
        """Itself; the test says when `durable` moves."""
        del on_durable, on_failed
        self.fingerprint, self.settings = origin
        return self

    def close(self) -> None:
        """Keeps everything."""


class KeepingDraft:
    """A snapshot on its way into a `KeepingJournal`."""

    def __init__(self, journal: KeepingJournal) -> None:
        self._journal = journal
        self.frames: list[bytes] = []
        self.position = len(journal.written)

    def write(self, frame: bytes) -> None:
        """Keeps a frame."""
        self._journal.check_room()
        assert frame
        self.frames.append(frame)

    def commit(self) -> None:
        """Replaces the snapshot; the records that it shows are durable first."""
        journal = self._journal
        journal.check_room()
        journal.sync()
        journal.frames, journal.position, journal.through = self.frames, self.position, len(journal.written)

    def abandon(self) -> None:
        """Forgets it."""
        self.frames.clear()


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
        self.rule_failures: list[RuleFailure] = []
        self.unknown_queues: list[Failure] = []
        self.answer_errors: list[Exception] = []
        self.journal_errors: list[Unavailable] = []
        self.journal_works_again = 0
        self.snapshots: list[tuple[int, int]] = []
        self.snapshot_errors: list[Exception] = []
        self.skips: list[float] = []
        self.collections: list[tuple[int, int]] = []
        self.lost: list[int] = []
        self.contradictions: list[int] = []
        self.gave_way: list[dict[str, int]] = []

    def delivery_failed(self, failure: Failure) -> None:
        """Keeps it; a queue that was to be ended and is none stands apart."""
        unknown = isinstance(failure.error, BadEventQueueId)
        (self.unknown_queues if unknown else self.failures).append(failure)

    def rule_failed(self, failure: RuleFailure) -> None:
        """Keeps it."""
        self.rule_failures.append(failure)

    def answer_failed(self, error: Exception) -> None:
        """Keeps it."""
        self.answer_errors.append(error)

    def journal_failed(self, error: Unavailable) -> None:
        """Keeps it."""
        self.journal_errors.append(error)

    def journal_works(self) -> None:
        """Keeps it."""
        self.journal_works_again += 1

    def snapshot_kept(self, *, queues: int, size: int) -> None:
        """Keeps it."""
        self.snapshots.append((queues, size))

    def snapshot_failed(self, error: Exception) -> None:
        """Keeps it."""
        self.snapshot_errors.append(error)

    def clock_skipped(self, seconds: float) -> None:
        """Keeps it."""
        self.skips.append(seconds)

    def notifications_lost(self, count: int) -> None:
        """Keeps it."""
        self.lost.append(count)

    def queues_gave_way(self, ended: Mapping[str, int]) -> None:
        """Keeps it."""
        self.gave_way.append(dict(ended))

    def contradictory_notice(self, message_id: int) -> None:
        """Keeps it."""
        self.contradictions.append(message_id)

    def collected(self, collection: Collection) -> None:
        """Keeps it."""
        self.collections.append((collection.expired, collection.queues))


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


class Aside:
    """Work for another thread, done when the test says so; at once unless it is told to wait."""

    def __init__(self) -> None:
        self.waits = False
        self.calls: deque[Callable[[], None]] = deque()

    def __call__(self, work: Callable[[], None], done: Callable[[Exception | None], None]) -> None:
        """Books a piece of work."""
        self.calls.append(lambda: run_inline(work, done))
        if not self.waits:
            self.run()

    def run(self) -> None:
        """Does everything that is booked."""
        while self.calls:
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
        self,
        *,
        limits: Limits | None = None,
        timing: EngineTiming | None = None,
        shard: Shard[PollWaiter] | None = None,
        rules: Mapping[str, MergeRule] = MappingProxyType({}),
        snapshot_after: int = TAIL_AT_LEAST,
    ) -> None:
        self.snapshot_after = snapshot_after
        self.limits = limits or Limits()
        self.rules = rules
        self.timing = timing or EngineTiming()
        self.clock = SetClock()
        self.journal = KeepingJournal()
        self.reporter = KeepingReporter()
        self.soon = Soon()
        self.aside = Aside()
        self.failing: list[bool] = []
        self.chances: deque[float] = deque()
        self._made = 0
        self.engine = self._engine(shard or Shard(limits=self.limits, rules=rules))

    def _engine(self, shard: Shard[PollWaiter]) -> Engine:
        return kind_for(shard)(
            shard=shard,
            journal=self.journal,
            clock=self.clock,
            reporter=self.reporter,
            new_queue_id=self._new_queue_id,
            chance=lambda: self.chances.popleft() if self.chances else 0.5,
            call_soon=self.soon,
            timing=self.timing,
            background=self.aside,
            on_failing=self.failing.append,
            snapshot_after=self.snapshot_after,
        )

    def _new_queue_id(self) -> str:
        self._made += 1
        return f"queue-{self._made}"

    def restart(self, image: Snapshot | None, records: Iterable[Record], *, resumed: bool) -> None:
        """Goes on with a new engine, made from a snapshot and the records since."""
        shard: Shard[PollWaiter] = Shard(limits=self.limits, rules=self.rules)
        if image is not None:
            shard.restore(image)
        for record in records:
            shard.apply(record)
        self._go_on(shard)
        self.engine.begin(resumed=resumed)

    def recover(
        self, fingerprint: str = RULES, *, rights: Callable[[UserId], bytes] | None = None
    ) -> RecoveryReport:
        """Goes on with a new engine, made from what the journal keeps."""
        shard: Shard[PollWaiter] = Shard(limits=self.limits, rules=self.rules)
        report = recover(self.journal, shard, fingerprint=fingerprint)
        # As a store does: what this process writes, its `Restarted` too, stands under its own settings.
        self.journal.fingerprint, self.journal.settings = fingerprint, encode_shaping(shard._state.shaping)
        self.found = {
            queue.queue_id: (queue.offline, queue.queue.newest_pruned_id) for queue in shard._state.directory
        }
        self._go_on(shard)
        if report.anything:
            self.engine.begin(
                resumed=report.resumed,
                upgraded=report.upgraded,
                gave_way=report.gave_way,
                damaged=report.damaged,
                rights=rights,
            )
        return report

    def _go_on(self, shard: Shard[PollWaiter]) -> None:
        self.soon.calls.clear()
        self.aside.calls.clear()
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

    def publish_as(self, notice_id: str, event: Json) -> None:
        """Publishes an event to user 1 under a notice id."""
        self.engine.publish(decode_notices(notice(event, id=notice_id)), KeepingSlot[int]())

    def poll(self, queue_id: str, last: int = -1, *, user: int = 1, block: bool = False) -> Poll:
        """Polls; the slot has the answer, or waits."""
        slot = Poll()
        self.engine.poll(queue_id, user_id=UserId(user), last_event_id=last, block=block, waiter=slot)
        return slot

    def delete(self, queue_id: str, *, user: int = 1) -> KeepingSlot[QueueId]:
        """Deletes a queue."""
        slot: KeepingSlot[QueueId] = KeepingSlot()
        self.engine.delete(queue_id, user_id=UserId(user), waiter=slot)
        return slot

    def wait(self, seconds: int) -> None:
        """Lets time pass, with a tick each second."""
        for _ in range(seconds):
            self.clock.time += 1
            self.engine.tick()
            self.soon.run()
