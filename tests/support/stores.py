"""State stores over simulated files: opened, filled with numbered records, recovered."""

from collections.abc import Callable
from dataclasses import dataclass, field

from support.simulated_files import SimulatedFiles
from tidewire.core.records import Published, Record
from tidewire.ports.engine import Origin
from tidewire.ports.storage import Damage, Journal, Recovery, StateStore
from tidewire.storage.directory import DirectoryStore, Durability
from tidewire.storage.files import Files
from tidewire.storage.fsync import Syncer


def numbered(number: int, size: int = 20) -> Record:
    """A record that can be told from others."""
    return Published(float(number), (b"%d" % number + b"." * size,))


def number_of(record: Record) -> int:
    """Which record it is."""
    assert isinstance(record, Published)
    return int(record.now)


@dataclass
class Left:
    """What a recovery gave, read to the end."""

    position: int
    through: int
    reached: int
    frames: list[bytes]
    records: list[tuple[int, int]]
    existed: int
    origins: tuple[tuple[int, Origin], ...]
    damage: tuple[Damage, ...]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the records after the snapshot."""
        return [number for _, number in self.records]


def read(recovery: Recovery) -> Left:
    """Reads a recovery."""
    return Left(
        position=recovery.position,
        through=recovery.through,
        reached=recovery.reached,
        frames=list(recovery.frames),
        records=[(position, number_of(record)) for position, record in recovery.records],
        existed=recovery.existed,
        origins=recovery.origins,
        damage=recovery.damage,
    )


@dataclass
class Running:
    """One process's use of a directory; with `power` it flushes when told to."""

    files: SimulatedFiles
    durability: Durability = "process"
    segment_bytes: int = 2000
    fingerprint: str = "rules 1"
    failures: list[Exception] = field(default_factory=list)
    syncers: list[Syncer] = field(default_factory=list)
    durable_calls: int = 0

    def __post_init__(self) -> None:
        self.store: StateStore = DirectoryStore(
            self.files,
            durability=self.durability,
            segment_bytes=self.segment_bytes,
            new_syncer=self._new_syncer,
        )
        self.left = read(self.store.recover())
        self.journal: Journal = begin(self.store, self.fingerprint, self._durable, self.failures.append)

    def append(self, *numbers: int) -> None:
        """Appends numbered records."""
        for number in numbers:
            self.journal.append(numbered(number))

    def flush(self) -> None:
        """What the syncer's thread does."""
        self.syncers[0].flush()

    def snapshot(self, *frames: bytes) -> None:
        """A whole snapshot."""
        draft = self.journal.begin_snapshot()
        for frame in frames:
            draft.write(frame)
        draft.commit()

    def _durable(self) -> None:
        self.durable_calls += 1

    def _new_syncer(
        self,
        files: Files,
        *,
        durable: int,
        on_durable: Callable[[], None],
        on_failed: Callable[[Exception], None],
    ) -> Syncer:
        self.syncers.append(Syncer(files, durable=durable, on_durable=on_durable, on_failed=on_failed))
        return self.syncers[-1]


def begin(
    store: StateStore,
    fingerprint: str = "rules 1",
    on_durable: Callable[[], None] = lambda: None,
    on_failed: Callable[[Exception], None] = lambda _error: None,
) -> Journal:
    """The journal of a store that was recovered."""
    return store.journal(origin=Origin(fingerprint), on_durable=on_durable, on_failed=on_failed)


def restarted(files: SimulatedFiles, durability: Durability = "process") -> Running:
    """The next process, after the end of the one before."""
    return Running(files.after_kill(), durability)


def committed(*, remove: bool) -> SimulatedFiles:
    """Two snapshots, of which the older went with its segments or not."""
    running = Running(SimulatedFiles())
    running.append(1, 2)
    running.snapshot(b"first")
    running.append(3, 4)
    before = {} if remove else dict(running.files.nodes)
    running.snapshot(b"second")
    running.append(5)
    files = running.files.after_kill()
    for name, node in before.items():
        files.nodes.setdefault(name, node)
    return files
