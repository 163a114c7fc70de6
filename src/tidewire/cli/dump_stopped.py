"""The dump of a stopped server, in its state directory."""

import contextlib
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from tidewire.cli.dump_server import EXISTS, Imported, Skipped
from tidewire.clock import ShardClock
from tidewire.config import Settings
from tidewire.config.rules import load_rules
from tidewire.core.dump import DumpedQueue, Unreadable, read_pair
from tidewire.core.errors import StateError, StateInUse
from tidewire.core.records import Record, Restarted
from tidewire.core.shard import Shard
from tidewire.core.wire import list_pieces
from tidewire.dumps import Dumps, Imports
from tidewire.engine import Engine, PollSlot
from tidewire.ports import Clock, StateStore
from tidewire.recovering import Comeback, recover
from tidewire.replay.reporting import RaisingReporter
from tidewire.storage.directory import Durability, open_directory
from tidewire.tuning import fingerprint_of, limits, pace, presentation

PIECE = 1024 * 1024


@contextlib.contextmanager
def open_stopped(settings: Settings) -> Iterator["Stopped"]:
    """Brings the state back as a server does, whose settings these are, and keeps others out meanwhile.

    Raises:
        StateError: it can't be read, or a server runs on it.
    """
    directory = settings.storage.directory
    # What is done here ends with a snapshot on the disk, so nothing else has to be flushed.
    durability: Durability = "none" if settings.storage.durability == "none" else "process"
    try:
        opened = open_directory(directory, durability=durability)
    except StateInUse:
        raise StateInUse(f"A server runs on {directory}: give its --url in place of the directory") from None
    with contextlib.closing(opened) as store:
        rules = load_rules(settings.queues.rules)
        shard: Shard[PollSlot] = Shard(
            limits=limits(settings), rules=rules, presentation=presentation(settings)
        )
        fingerprint = fingerprint_of(settings, rules)
        comeback = recover(store, shard, fingerprint=fingerprint)
        clock = ShardClock(wall=time.time, monotonic=time.monotonic, floor=shard.recorded_at)
        yield Stopped(settings, store, shard, comeback, fingerprint, clock)


@dataclass(slots=True)
class Stopped:
    """The state of a server that does not run."""

    settings: Settings
    store: StateStore
    shard: Shard[PollSlot]
    comeback: Comeback
    fingerprint: str
    clock: Clock
    _engine: Engine | None = field(default=None, init=False)

    def take(self, pairs: Sequence[msgspec.Raw]) -> Imported:
        """Imports queues, and writes a snapshot that has them.

        They are told of the restart when the server starts, like every queue that is there then.

        Raises:
            Unavailable: they can't be kept.
        """
        places: list[int] = []
        dumped: list[DumpedQueue] = []
        skipped: list[Skipped] = []
        shared: dict[bytes, bytes] = {}
        for place, pair in enumerate(pairs):
            try:
                most = self.shard.registration_bytes
                dumped.append(read_pair(pair, shared, registration_bytes=most))
                places.append(place)
            except Unreadable as error:
                skipped.append(Skipped(place, error.queue_id, error.message, exists=False))
        slot = _Imports()
        engine = self._begun()
        engine.dumps.take(dumped, slot)
        engine.keep()
        skipped += [
            Skipped(places[known], dumped[known].queue_id, EXISTS, exists=True) for known in slot.answer.known
        ]
        return Imported(slot.answer.imported, sorted(skipped))

    def pieces(self) -> Iterator[bytes]:
        """The dump of all queues; nothing changes on the disk."""
        return list_pieces(self.written(), PIECE)

    def written(self) -> Iterator[bytes]:
        """The queues of the dump, one by one."""
        shard, now = self.shard, self.shard.recorded_at
        if self.comeback.anything:
            # What a start would do to them, but for the time that has passed.
            shard.apply(Restarted(now=now, resumed=self.comeback.resumed))
            for record in shard.decide_upgrade(self.comeback.upgraded, now=now):
                shard.apply(record)
        dumps = Dumps(
            shard=shard,
            clock=self.clock,
            commit=_refuse,
            settle=lambda: None,
            answer=lambda slot, answer: slot.complete(answer),
        )
        return dumps.write()

    def _begun(self) -> Engine:
        """The one engine of all imports: a second journal would give positions of the first again."""
        if self._engine is None:
            engine = self._new_engine()
            if self.comeback.anything:
                engine.begin(
                    resumed=self.comeback.resumed,
                    upgraded=self.comeback.upgraded,
                    gave_way=self.comeback.gave_way,
                )
            self._engine = engine
        return self._engine

    def _new_engine(self) -> Engine:
        journal = self.store.journal(
            fingerprint=self.fingerprint, on_durable=lambda: None, on_failed=_give_up
        )
        return Engine(
            shard=self.shard,
            journal=journal,
            clock=self.clock,
            reporter=RaisingReporter(),
            new_queue_id=lambda: str(uuid.uuid4()),
            chance=lambda: 0.0,
            call_soon=lambda call: call(),
            pace=pace(self.settings),
        )


def _refuse(record: Record) -> None:
    raise AssertionError(f"an export writes no records: {record}")


def _give_up(error: Exception) -> None:
    raise StateError(f"The journal can't be written: {error}") from error


class _Imports:
    """A slot that keeps its answer, which is there at once."""

    answer: Imports

    def complete(self, answer: Imports) -> None:
        """Takes the answer."""
        self.answer = answer
