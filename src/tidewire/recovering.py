"""Recovering: from what a state store holds to a shard (`core/recovery.py` says how it is right)."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from tidewire.core.errors import StateError
from tidewire.core.ids import QueueId
from tidewire.core.records import Removed
from tidewire.core.recovery import KeptRecord
from tidewire.core.restoring import Skipped
from tidewire.core.shard import Shard
from tidewire.core.snapshot import Snapshot, decode_snapshot
from tidewire.ports import Damage, Recovery, StateStore

W = TypeVar("W")


@dataclass(frozen=True, kw_only=True, slots=True)
class Comeback:
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
    damage: Sequence[Damage]
    snapshot_size: int
    seconds: float


def recover(store: StateStore, shard: Shard[W], *, fingerprint: str) -> Comeback:
    """Fills an empty shard with what the store holds.

    Raises:
        StateError: what is there can't be read.
    """
    began = time.monotonic()
    found = store.recover()
    frames = _Frames(found)
    recovered = shard.recover(frames, _records(found), fingerprint=fingerprint)
    return Comeback(
        anything=bool(frames.parts or recovered.records),
        # A snapshot that was taken while the server ran says nothing of what was read after it. And where
        # records are missing that it knew of, the same goes as for a crash.
        resumed=bool(recovered.records) or not frames.clean or found.reached < found.through,
        queues=shard.queues(),
        records=recovered.records,
        skipped=recovered.skipped,
        failures=len(recovered.failures),
        upgraded=recovered.upgraded,
        gave_way=recovered.gave_way,
        damage=found.damage,
        snapshot_size=frames.size,
        seconds=time.monotonic() - began,
    )


class _Frames(Iterable[Snapshot]):
    """The slices of a snapshot, decoded one at a time; `clean` says whether a clean stop left it, or nothing did."""

    def __init__(self, found: Recovery) -> None:
        self._found = found
        self.parts = 0
        self.size = 0
        self.clean = True

    def __iter__(self) -> Iterator[Snapshot]:
        if self._found.legacy is not None:
            self.parts += 1
            yield self._found.legacy
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
            self.clean = part.clean
            # So that this generator does not keep it while it is put in place.
            handed, part = [part], None
            yield handed.pop()


def _records(found: Recovery) -> Iterator[KeptRecord]:
    for position, record in found.records:
        yield KeptRecord(position, record, found.fingerprint_of(position) or "")
