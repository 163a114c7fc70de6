"""What the engine asks of storage: a journal, snapshots, and what an earlier process left."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tidewire.core.records import Record
from tidewire.ports.engine import Origin


class Journal(Protocol):
    """Where records are kept, in the order in which they are appended (D4)."""

    @property
    def durable(self) -> int:
        """Position of the newest record that survives what was asked for; never falls.

        Positions count records: the first is 1, and `durable` is 0 before it.
        """
        ...

    def append(self, record: Record) -> int:
        """Takes a record, whole or not at all, and returns its position.

        Raises:
            Unavailable: it can't be written now; nothing was.
        """
        ...

    @property
    def tail_bytes(self) -> int:
        """What recovery would have to apply: bytes appended since the newest snapshot's position.

        So the journal's share of the disk, and of the time to start; when to take the next snapshot.
        """
        ...

    def begin_snapshot(self) -> "SnapshotDraft":
        """Begins a snapshot at the position reached now; what is appended from here on stays when it commits.

        Raises:
            Unavailable: it can't be written now, or another draft is still open.
        """
        ...


class SnapshotDraft(Protocol):
    """A snapshot that is being written, while records go on being appended.

    What a frame holds is the writer's own affair: a frame may show the state at `position` or any later one.
    One thread at a time uses a draft, and it need not be the one that appends: `commit` waits for the disk.
    """

    @property
    def position(self) -> int:
        """The newest record that every frame must show; recovery applies those after it."""
        ...

    def write(self, frame: bytes) -> None:
        """Adds a frame, which must not be empty.

        Raises:
            Unavailable: it can't be written; the draft is gone.
        """
        ...

    def commit(self) -> None:
        """Makes it the newest snapshot, and removes what it replaces: older snapshots, records before it.

        It waits until the draft is on the disk, and with it every record that a frame can show. A frame that is
        ahead of the records would let recovery skip new records under the positions of lost ones.

        Raises:
            Unavailable: it can't be written; the draft is gone, and recovery is as good as before.
        """
        ...

    def abandon(self) -> None:
        """Removes it; nothing happens when it was committed or is gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Something on the disk that could not be used.

    Attributes:
        what: a sentence for a person.
        file: the file's name in the state directory; empty when it is missing.
        kept_as: under which name it is kept for inspection; None when nothing could be kept.
        records: how many records are known to be lost; those of a torn tail can't be counted.
        bytes: how much of the file was not used.
    """

    what: str
    file: str
    kept_as: str | None
    records: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What an earlier process left; `frames` and `records` read as they go, once, before `StateStore.journal`.

    Attributes:
        position: of the snapshot; 0 without one.
        through: up to where a frame may show the state. Recovery fell short of it if `reached` is less.
        reached: the newest record that is there; `position` when there is none after it.
        existed: the newest record that is known to have been there.
        frames: of the snapshot, as they were written; without those that are damaged, but always with the first.
        records: those after `position`, with their positions; those that are left out are lost. Reading one that
            another version wrote raises StateError.
        origins: the first position of each stretch of records, and under what it was written.
        is_whole: no frame of the snapshot is damaged.
        damage: what could not be used.
    """

    position: int
    through: int
    reached: int
    existed: int
    frames: Iterator[bytes]
    records: Iterator[tuple[int, Record]]
    origins: tuple[tuple[int, Origin], ...]
    is_whole: bool = True
    damage: tuple[Damage, ...] = ()


class StateStore(Protocol):
    """Keeps one shard's state over a stop: opened once at the start, with `recover`, then `journal`."""

    def recover(self) -> Recovery:
        """What an earlier process left, checked; damage is in the answer.

        Raises:
            StateError: a newer version wrote it, or it can't be read, or only a part that makes no whole is left.
        """
        ...

    def journal(
        self,
        *,
        origin: Origin,
        on_durable: Callable[[], None],
        on_failed: Callable[[Exception], None],
    ) -> Journal:
        """The journal that goes on after what was recovered.

        A disk that is full is no reason to fail here: `append` raises until there is room.

        Args:
            origin: under what its records are decided, for the next start (D4).
            on_durable: called when `durable` has moved by itself. From another thread: hand it to the loop.
            on_failed: called, once, when what was written can't be made durable. What the disk holds is unknown
                from then on, and the process must end. From another thread too.

        Raises:
            StateError: the directory can't be used.
        """
        ...

    def close(self) -> None:
        """Makes durable what is not yet, and lets go of the place; the journal is not used afterwards."""
        ...
