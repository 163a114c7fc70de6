"""A shard on a machine that loses its power: the real engine and the real storage over simulated files.

Publishers, clients and a worker act one at a time, chosen by chance. An answer counts only when its slot was
completed. The power goes at a random call of the file system, also while the shard comes back; what is left is
what was flushed, with any part of the rest (`simulated_files.py`). All that waits for an answer then never gets
it: publishers send again, clients poll again.
"""

from collections import Counter, deque
from collections.abc import Callable
from random import Random
from typing import Generic, TypeVar

import msgspec

from support.core_rig import SetClock
from support.events import Json
from support.fault_notices import Publisher
from support.oracle import Fault, Oracle, OutboxHistory, QueueHistory, Sent
from support.simulated_files import Killed, SimulatedFiles, killed_at
from tidewire import TidewireError
from tidewire.core.errors import BadEventQueueId
from tidewire.core.events.encoding import encode_entry
from tidewire.core.ids import QueueId, RealmId, UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.notifications.outbox import OutboxPage
from tidewire.core.notifications.worker_records import EMAIL_QUEUE, MOBILE_QUEUE, stable_id, wire_record
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.shard import Shard
from tidewire.core.state.limits import Limits
from tidewire.core.state.state import Batch
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.engine.recovery import recover
from tidewire.engine.timing import EngineTiming, run_inline
from tidewire.ports.engine import Origin
from tidewire.replay.strict_reporter import RaisingReporter
from tidewire.storage.directory import DirectoryStore
from tidewire.storage.files import Files
from tidewire.storage.fsync import Syncer

USERS = range(101, 107)
SEGMENT_BYTES = 4000
SNAPSHOT_AFTER = 6000
"""Bytes: so that segments and snapshots end every few steps."""

CALLS_MOST = 250
"""Calls of the file system after which the power is gone at the latest; a start takes some thirty."""

LIMITS = Limits(remember_ids_max=200, answer_max_bytes=4000)
PACE = EngineTiming(heartbeat_min=3, heartbeat_max=5)


class Life:
    """One process: from the recovery until the power goes."""

    def __init__(self, files: SimulatedFiles, number: int, at: float) -> None:
        self.soon: deque[Callable[[], None]] = deque()
        self.asides: deque[Callable[[], None]] = deque()
        self._syncer: Syncer | None = None
        store = DirectoryStore(
            files, durability="power", segment_bytes=SEGMENT_BYTES, new_syncer=self._new_syncer
        )
        shard: Shard[PollWaiter] = Shard(limits=LIMITS)
        report = recover(store, shard, fingerprint="rules")
        self.clock = SetClock(max(at, shard.recorded_at))
        made = iter(range(1_000_000))
        self.engine = Engine(
            shard=shard,
            journal=store.journal(origin=Origin("rules"), on_durable=lambda: None, on_failed=pass_on),
            clock=self.clock,
            reporter=RaisingReporter(),
            new_queue_id=lambda: f"life {number} queue {next(made)}",
            chance=lambda: 0.5,
            call_soon=self.soon.append,
            timing=PACE,
            background=lambda work, done: self.asides.append(lambda: run_inline(work, done)),
            snapshot_size=report.snapshot_size,
            snapshot_after=SNAPSHOT_AFTER,
        )
        self.damage = report.damage
        if report.anything:
            self.engine.begin(resumed=report.resumed, upgraded=report.upgraded, damaged=report.damaged)
            self.engine.announce_restart({"type": "restart"})

    def flush(self) -> None:
        """What the flushing thread and then the loop do."""
        assert self._syncer is not None
        self._syncer.flush()
        self.engine.durable_moved()

    def _new_syncer(
        self,
        files: Files,
        *,
        durable: int,
        on_durable: Callable[[], None],
        on_failed: Callable[[Exception], None],
    ) -> Syncer:
        self._syncer = Syncer(files, durable=durable, on_durable=on_durable, on_failed=on_failed)
        return self._syncer


def pass_on(error: Exception) -> None:
    """Nothing fails here but the power."""
    raise AssertionError from error


A = TypeVar("A")


class Answered(Generic[A]):
    """A slot that hands its answer on at once."""

    def __init__(self, take: Callable[[A], None]) -> None:
        self.complete = take


class PowerWorld:
    """Everything outside of the shard, and the shard of the moment."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.oracle = Oracle()
        self.cuts: Counter[str] = Counter()
        self._files = SimulatedFiles()
        self._at = 1_000_000.0
        self._publishers = [_Publisher(self, number) for number in (1, 2, 3)]
        self._readers: list[_Client | _Worker] = [_Client(self, user) for user in (*USERS, *USERS)]
        self._readers += [_Worker(self, queue) for queue in (MOBILE_QUEUE, EMAIL_QUEUE)]
        self._lives = 0
        self._life: Life | None = None

    @property
    def engine(self) -> Engine:
        """Of the process that runs now."""
        assert self._life is not None
        return self._life.engine

    def run(self, cuts: int) -> None:
        """Lives through so many cuts, and then one life without, in which everybody reads what is left."""
        for _ in range(cuts):
            self._files.fault = killed_at(self.chance.randrange(CALLS_MOST))
            self._files.torn = self.chance.randrange
            try:
                self._start()
                while True:
                    self._step()
            except Killed:
                self.cuts["running" if self._life is not None else "starting"] += 1
            self._files = self._files.after_power_cut(self.chance)
            self._life = None
            for publisher in self._publishers:
                publisher.cut_off()
            for reader in self._readers:
                reader.cut_off()
        self._start()
        self._read_all()

    def _start(self) -> None:
        self._lives += 1
        self._life = Life(self._files, self._lives, self._at)

    def _step(self) -> None:
        life = self._life
        assert life is not None
        actors: list[_Publisher | _Client | _Worker] = [*self._publishers, *self._readers]
        what = self.chance.random()
        if what < 0.2:
            life.flush()
        elif what < 0.3:
            life.clock.time += self.chance.choice([0.3, 1.0])
            self._at = life.clock.time
            life.engine.tick()
        elif what < 0.4 and life.soon:
            life.soon.popleft()()
        elif what < 0.5 and life.asides:
            life.asides.popleft()()
        else:
            self.chance.choice(actors).act()

    def _read_all(self) -> None:
        """Publishers have their notices confirmed; then clients and workers read until nothing more comes."""
        life = self._life
        assert life is not None
        for _ in range(3):
            for one in self._publishers:
                one.send_again()
            life.flush()
        for reader in self._readers:
            before = -2
            while before != reader.position:
                before = reader.position
                reader.read_on()
                while life.soon:
                    life.soon.popleft()()
                life.flush()
            reader.history.check_complete()


class _Publisher:
    """Sends one request at a time, again and again until it is confirmed."""

    def __init__(self, world: PowerWorld, number: int) -> None:
        self._world = world
        self._notices = Publisher(number, USERS, world.chance)
        self._batch: list[Sent] = []
        self._waits = False

    def act(self) -> None:
        """Publishes, unless an answer is waited for."""
        if self._waits:
            return
        if not self._batch:
            self._batch = self._notices.next_batch()
            for notice in self._batch:
                self._world.oracle.sends(notice)
        self.send_again()

    def send_again(self) -> None:
        """Sends what is not confirmed."""
        if self._batch and not self._waits:
            self._waits = True
            notices = [decode_notice(msgspec.json.encode(notice.body)) for notice in self._batch]
            self._world.engine.publish(notices, Answered(self._confirmed))

    def cut_off(self) -> None:
        """No answer will come."""
        self._waits = False

    def _confirmed(self, taken: int) -> None:
        assert taken == len(self._batch)
        for notice in self._batch:
            self._world.oracle.confirms(notice)
        self._batch = []
        self._waits = False


class _Client:
    """Registers one queue for good, and polls it in all the ways there are, also bad ones."""

    def __init__(self, world: PowerWorld, user: int) -> None:
        self._world = world
        self._user = user
        self._waits = 0
        """Polls without an answer."""
        self._queue_id: str | None = None
        self.history = QueueHistory(world.oracle, "", user)

    @property
    def position(self) -> int:
        """How far it has read."""
        return self.history.handled

    def act(self) -> None:
        """Registers, or polls in one of many ways; a later poll takes the place of one that waits."""
        chance = self._world.chance
        if self._queue_id is None:
            self._register()
        else:
            late = chance.random() < 0.2
            self._poll(
                chance.choice(self.history.choices()) if late else self.history.handled,
                block=chance.random() < 0.6,
                keeps=chance.random() < 0.8,
            )

    def read_on(self) -> None:
        """Acknowledges everything and reads what there is."""
        if self._queue_id is None:
            return
        self._poll(self.history.handled, block=False, keeps=True)

    def cut_off(self) -> None:
        """No answer will come."""
        self._waits = 0

    def _register(self) -> None:
        if self._waits:
            return
        self._waits = 1
        self.history = QueueHistory(self._world.oracle, "", self._user)
        spec = QueueSpec(user_id=UserId(self._user), realm_id=RealmId(1), idle_timeout=604_800)
        self._world.engine.register(spec, Answered(self._registered))

    def _registered(self, queue_id: QueueId) -> None:
        self._waits = 0
        self._queue_id = self.history.name = queue_id
        self.history.made()

    def _poll(self, acknowledged: int, *, block: bool, keeps: bool) -> None:
        assert self._queue_id is not None
        self.history.acknowledges(acknowledged)

        def answered(batch: Batch) -> None:
            if keeps:  # else the answer gets lost on its way
                events: list[Json] = [msgspec.json.decode(encode_entry(entry)) for entry in batch.entries]
                self.history.answered(events, acknowledged=acknowledged)

        try:
            self._world.engine.poll(
                self._queue_id,
                user_id=UserId(self._user),
                last_event_id=acknowledged,
                block=block,
                waiter=Answered(answered),
            )
        except TidewireError as error:
            kind: Fault = "re-registration" if isinstance(error, BadEventQueueId) else "refused"
            self._world.oracle.fault(kind, f"queue {self._queue_id} of {self._user}: {error}")
            self._queue_id = None


class _Worker:
    """Takes one queue of the outbox."""

    def __init__(self, world: PowerWorld, queue: str) -> None:
        self._world = world
        self._acknowledged = 0
        self.history = OutboxHistory(world.oracle, queue)

    @property
    def position(self) -> int:
        """How far it has read."""
        return self.history.position

    def act(self) -> None:
        """Reads, from where it is or again, or acknowledges."""
        chance = self._world.chance
        if chance.random() < 0.3:
            self._acknowledge(chance.randint(self._acknowledged, self.position))
        else:
            self._read(chance.choice([self._acknowledged, self.position]))

    def read_on(self) -> None:
        """Reads what there is."""
        self._read(self.position)

    def cut_off(self) -> None:
        """No answer will come; nobody waits for one."""

    def _read(self, after: int) -> None:
        slot: Answered[OutboxPage] = Answered(self._answered)
        self._world.engine.read_outbox(self.history.queue, after=after, limit=50, waiter=slot)

    def _answered(self, page: OutboxPage) -> None:
        self.history.answered(
            {"position": position, "id": stable_id(record), "record": wire_record(record)}
            for position, record in page.records
        )

    def _acknowledge(self, through: int) -> None:
        self._acknowledged = through
        slot: Answered[int] = Answered(lambda _: None)
        try:
            self._world.engine.acknowledge_outbox(self.history.queue, through=through, waiter=slot)
        except TidewireError as error:
            self._world.oracle.fault("refused", f"{self.history.queue} through {through}: {error}")
