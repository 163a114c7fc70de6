"""The dump of stopped shards, in their state directories: one shard, or each queue in the directory of its user's shard."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import msgspec

from tidewire.app.from_settings import limits, origin_of, pace, presentation
from tidewire.auth.authenticator import UsersFileAuthenticator
from tidewire.cli.dump.running_server import EXISTS, Imported, Skipped
from tidewire.config import Settings
from tidewire.config.plugins import load_rules
from tidewire.config.shards import shard_directory
from tidewire.core.dump import DumpedQueue, Unreadable, read_pair
from tidewire.core.errors import StateError, StateInUse
from tidewire.core.events.encoding import list_pieces
from tidewire.core.ids import RealmId
from tidewire.core.records import Record, Restarted
from tidewire.core.shard import Shard
from tidewire.engine.clock import ShardClock
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.engine.recovery import RecoveryReport, recover
from tidewire.engine.transfer import DumpTransfer, Imports
from tidewire.ports.engine import Clock, Origin
from tidewire.ports.storage import StateStore
from tidewire.replay.strict_reporter import RaisingReporter
from tidewire.sharding.shard_map import LOOPBACK, ShardMap
from tidewire.storage.directory import Durability, open_directory

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
        shard: Shard[PollWaiter] = Shard(
            limits=limits(settings), rules=rules, presentation=presentation(settings)
        )
        origin = origin_of(settings, rules)
        report = recover(store, shard, fingerprint=origin.fingerprint)
        clock = ShardClock(wall=time.time, monotonic=time.monotonic, floor=shard.recorded_at)
        yield Stopped(settings, store, shard, report, origin, clock)


@dataclass(slots=True)
class Stopped:
    """The state of a server that does not run."""

    settings: Settings
    store: StateStore
    shard: Shard[PollWaiter]
    report: RecoveryReport
    origin: Origin
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
        engine.final_snapshot()
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
        if self.report.anything:
            # What a start would do to them, but for the time that has passed.
            shard.apply(Restarted(now=now, resumed=self.report.resumed))
            ended = shard.decide_upgrade(self.report.upgraded, now=now)
            for record in [*ended, *shard.decide_damaged(self.report.damaged, now=now)]:
                shard.apply(record)
        dumps = DumpTransfer(
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
            if self.report.anything:
                found = self.report
                engine.begin(
                    resumed=found.resumed,
                    upgraded=found.upgraded,
                    gave_way=found.gave_way,
                    damaged=found.damaged,
                )
            self._engine = engine
        return self._engine

    def _new_engine(self) -> Engine:
        journal = self.store.journal(origin=self.origin, on_durable=lambda: None, on_failed=_give_up)
        return Engine(
            shard=self.shard,
            journal=journal,
            clock=self.clock,
            reporter=RaisingReporter(),
            new_queue_id=lambda: str(uuid.uuid4()),
            chance=lambda: 0.0,
            call_soon=lambda call: call(),
            timing=pace(self.settings),
        )


def _refuse(record: Record) -> None:
    raise AssertionError(f"an export writes no records: {record}")


def _give_up(error: Exception) -> None:
    raise StateError(f"The journal can't be written: {error}") from error


class _Imports:
    """A slot that keeps its answer, which is there at once."""

    answer: Imports

    def complete(self, answer: Imports) -> None:
        """Keeps the answer for the command."""
        self.answer = answer


class _Owner(msgspec.Struct):
    """Whose a dumped queue is."""

    user_profile_id: int
    realm_id: int


_PAIR = msgspec.json.Decoder(tuple[str, _Owner])


def finder(settings: Settings, shard_map: ShardMap) -> Callable[[int, int], int]:
    """What says which shard serves a user, by id and realm.

    Raises:
        UsersFileError: the users file, which has the hosts of realms, can't be read.
    """
    if shard_map.is_uniform:
        return lambda user, _: shard_map.shard_of(user, None)
    known = UsersFileAuthenticator(path=settings.auth.users_file)

    def shard_of(user: int, realm_id: int) -> int:
        realm = known.realm(RealmId(realm_id))
        return shard_map.shard_of(user, None if realm is None else realm.host)

    return shard_of


@contextlib.contextmanager
def open_group(settings: Settings, shard_map: ShardMap, *, must_exist: bool) -> Iterator["StoppedGroup"]:
    """Brings back the states of all shards whose directories are here; if none is yet, of all of this machine.

    Raises:
        StateError: one can't be read, or its server runs; or there is none, and there must be.
    """
    places = {index: _directory(settings, shard.port) for index, shard in enumerate(shard_map.shards)}
    here = [index for index, place in places.items() if place.is_dir()]
    if not here and must_exist:
        raise StateError(f"There are no state directories of shards in {settings.storage.directory}")
    if not here:
        here = [index for index, shard in enumerate(shard_map.shards) if shard.host == LOOPBACK]
    with contextlib.ExitStack() as stack:
        members = {
            index: stack.enter_context(
                open_stopped(replace(settings, storage=replace(settings.storage, directory=places[index])))
            )
            for index in here
        }
        yield StoppedGroup(members, shard_map, finder(settings, shard_map))


def _directory(settings: Settings, port: int) -> Path:
    return settings.storage.directory / shard_directory(port)


class StoppedGroup:
    """The states of the shards that are here.

    Attributes:
        missing: ports of the shards that are not.
    """

    def __init__(
        self, members: Mapping[int, Stopped], shard_map: ShardMap, shard_of: Callable[[int, int], int]
    ) -> None:
        self.members = members
        self._ports = [shard.port for shard in shard_map.shards]
        self._shard_of = shard_of
        self.missing = [port for index, port in enumerate(self._ports) if index not in members]

    def take(self, pairs: Sequence[msgspec.Raw]) -> Imported:
        """Imports each queue into the state of its user's shard, where that is here.

        Raises:
            Unavailable: they can't be kept.
        """
        places: dict[int, list[int]] = {}
        skipped: list[Skipped] = []
        for place, pair in enumerate(pairs):
            try:
                queue_id, owner = _PAIR.decode(pair)
            except msgspec.DecodeError:
                places.setdefault(next(iter(self.members)), []).append(
                    place
                )  # which says what is wrong with it
                continue
            shard = self._shard_of(owner.user_profile_id, owner.realm_id)
            if shard in self.members:
                places.setdefault(shard, []).append(place)
                continue
            reason = f"its user is the shard's on port {self._ports[shard]}, whose directory is not here"
            skipped.append(Skipped(place, queue_id, reason, exists=False))
        imported = 0
        for shard, own in places.items():
            outcome = self.members[shard].take([pairs[place] for place in own])
            imported += outcome.queues
            skipped += [each._replace(place=own[each.place]) for each in outcome.skipped]
        return Imported(imported, sorted(skipped))

    def pieces(self) -> Iterator[bytes]:
        """The dump of all queues; nothing changes on the disk."""
        return list_pieces(chain.from_iterable(each.written() for each in self.members.values()), PIECE)
