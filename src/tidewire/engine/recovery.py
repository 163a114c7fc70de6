"""Recovering: from what a state store holds to a shard (`core/persistence/recovery.py` says how it is right)."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from tidewire.core.errors import StartCancelled, StateError
from tidewire.core.ids import QueueId
from tidewire.core.persistence.recovery import KeptRecord
from tidewire.core.persistence.snapshot import Snapshot, decode_snapshot
from tidewire.core.records import Removed
from tidewire.core.shard import Shard
from tidewire.core.state.restore import Skipped
from tidewire.core.state.state_settings import Shaping, decode_shaping
from tidewire.ports.engine import Origin
from tidewire.ports.storage import Damage, Recovery, StateStore

W = TypeVar("W")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoveryReport:
    """What a shard was recovered from.

    Attributes:
        anything: whether an earlier process left anything.
        resumed: whether the queues may have been read in ways that nobody wrote down: that process crashed.
        queues: how many there are.
        records: how many were applied.
        skipped: queues that could not be made again.
        failures: how many deliveries failed.
        upgraded: queues that end, because records of other rules may have changed them.
        gave_way: ends of queues that had no room in memory, to be journalled.
        damaged: queues that end, because something of them could not be read.
        lost_queues: how many are gone, because they could not be read at all.
        damage: what could not be read.
        snapshot_size: bytes of the snapshot.
        seconds: how long it took.
    """

    anything: bool
    resumed: bool
    queues: int
    records: int
    skipped: Sequence[Skipped]
    failures: int
    upgraded: Sequence[QueueId]
    gave_way: Sequence[Removed]
    damaged: Sequence[QueueId]
    lost_queues: int
    damage: Sequence[Damage]
    snapshot_size: int
    seconds: float


def recover(
    store: StateStore, shard: Shard[W], *, fingerprint: str, is_stopping: Callable[[], bool] = lambda: False
) -> RecoveryReport:
    """Fills an empty shard with what the store holds.

    Args:
        store: where an earlier process left it.
        shard: the empty one.
        fingerprint: of our rules.
        is_stopping: asked again and again whether somebody wants the process to end.

    Raises:
        StartCancelled: somebody does.
        StateError: what is there can't be read.
    """
    began = time.monotonic()
    found = store.recover()
    frames = _Frames(found)
    recovered = shard.recover(
        _until(is_stopping, frames),
        _until(is_stopping, _records(found)),
        fingerprint=fingerprint,
        position=found.position,
        existed=found.existed,
        is_whole=found.is_whole,
    )
    return RecoveryReport(
        anything=bool(frames.parts or recovered.records),
        # A snapshot that was taken while the server ran says nothing of what was read after it. And where
        # records are missing that it knew of, the same goes as for a crash.
        resumed=bool(recovered.records) or not frames.clean or found.reached < found.existed,
        queues=shard.queues(),
        records=recovered.records,
        skipped=recovered.skipped,
        failures=len(recovered.failures),
        upgraded=recovered.upgraded,
        gave_way=recovered.gave_way,
        damaged=recovered.damaged,
        lost_queues=recovered.lost_queues,
        damage=found.damage,
        snapshot_size=frames.size,
        seconds=time.monotonic() - began,
    )


def _until(is_stopping: Callable[[], bool], things: Iterable[T]) -> Iterator[T]:
    for thing in things:
        if is_stopping():
            raise StartCancelled(
                "The server was told to stop before its state was back; no queue was changed"
            )
        yield thing


class _Frames(Iterable[Snapshot]):
    """The slices of a snapshot, decoded one at a time; `clean` says whether a clean stop left it, or nothing did."""

    def __init__(self, found: Recovery) -> None:
        self._found = found
        self.parts = 0
        self.size = 0
        self.clean = found.is_whole

    def __iter__(self) -> Iterator[Snapshot]:
        for frame in self._found.frames:
            self.parts += 1
            self.size += len(frame)
            part: Snapshot | None
            try:
                part = decode_snapshot(frame)
            except msgspec.DecodeError as error:
                raise StateError(
                    f"The snapshot is not in a form that this version can read: {error}"
                ) from error
            self.clean = part.clean and self._found.is_whole
            # So that this generator does not keep it while it is put in place.
            handed, part = [part], None
            yield handed.pop()


def _records(found: Recovery) -> Iterator[KeptRecord]:
    origins = [(first, origin.fingerprint, _shaping(origin)) for first, origin in found.origins]
    at, fingerprint, shaping = 0, "", None
    for position, record in found.records:
        while at < len(origins) and origins[at][0] <= position:
            _, fingerprint, shaping = origins[at]
            at += 1
        yield KeptRecord(position, record, fingerprint, shaping)


def _shaping(origin: Origin) -> Shaping | None:
    return decode_shaping(origin.settings) if origin.settings else None
