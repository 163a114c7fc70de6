"""What a state directory holds, read without changing anything, also while a server uses it (`tidewire doctor`)."""

import fcntl
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from tidewire.core.errors import StateError
from tidewire.core.ids import RealmId, UserId
from tidewire.core.persistence.snapshot import Snapshot, decode_snapshot
from tidewire.storage.files import DirectoryFiles, Files, unusable
from tidewire.storage.quarantine import kept_aside
from tidewire.storage.recovery import VERSION, Found, find, records
from tidewire.storage.segments import FoundSegment, find_segment, segment_name, segment_serials
from tidewire.storage.snapshots import (
    DRAFT,
    RETIRED,
    find_snapshot,
    snapshot_frames,
    snapshot_name,
    snapshot_positions,
)

Kind: TypeAlias = Literal["segment", "snapshot", "draft", "damaged", "retired", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One file.

    Attributes:
        first: the position of the first record; of a snapshot, its own.
        last: the position of the last record that is whole; less than `first` when there is none. Of a snapshot,
            up to where it may show the state. None when neither can be told.
        fingerprint: of a segment.
        problem: what is wrong with it; None when nothing is.
    """

    name: str
    kind: Kind
    bytes: int
    first: int | None = None
    last: int | None = None
    fingerprint: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A whole directory.

    Attributes:
        files: by kind and age.
        position: of the snapshot that a start would begin with; None when a start would be refused.
        reached: the newest record that a start would apply; None likewise.
        refused: why a start would be refused.
    """

    files: tuple[Seen, ...]
    position: int | None
    reached: int | None
    refused: str | None

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong, as sentences."""
        found = tuple(f"{file.name}: {file.problem}" for file in self.files if file.problem is not None)
        return found if self.refused is None else (*found, self.refused)


def in_use(directory: Path) -> bool:
    """Whether a server uses the directory.

    It tries the server's lock and lets go at once. A server that starts in that moment is refused, as by another.
    """
    try:
        with (directory / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def look(directory: Path, *, running: bool) -> Look:
    """Reads a state directory; `running` says whether a server may be writing it.

    Raises:
        StateError: there is none, or it can't be read.
    """
    return look_through(DirectoryFiles(directory), running=running)


def look_through(files: Files, *, running: bool) -> Look:
    """Reads a state directory through its files.

    Raises:
        StateError: it can't be read.
    """
    try:
        names = files.names()
        seen = [*_segments(files, names, running=running), *_snapshots(files, names), *_others(files, names)]
    except OSError as error:
        raise unusable(files.place, error) from error
    try:
        found = find(files)
    except FileNotFoundError:
        # A running server removed it just now, after a snapshot; what `find` would have said is out of date.
        return Look(files=tuple(seen), position=None, reached=None, refused=None)
    except OSError as error:
        raise unusable(files.place, error) from error
    except StateError as error:
        return Look(files=tuple(seen), position=None, reached=None, refused=str(error))
    return Look(files=tuple(seen), position=found.position, reached=found.chain.reached, refused=None)


def _segments(files: Files, names: list[str], *, running: bool) -> list[Seen]:
    seen = []
    serials = segment_serials(names)
    for serial in serials:
        try:
            found = find_segment(files, serial)
        except FileNotFoundError:
            continue
        header = found.header
        seen.append(
            Seen(
                name=segment_name(serial),
                kind="segment",
                bytes=found.size,
                first=found.first,
                last=found.last,
                fingerprint=None if header is None else header.fingerprint,
                problem=_problem(found, growing=running and serial == serials[-1]),
            )
        )
    return seen


def _problem(found: FoundSegment, *, growing: bool) -> str | None:
    damaged = found.damaged - found.torn if growing and found.is_cut else found.damaged
    if not damaged:
        return None
    if found.header is None:
        return f"its header is damaged; {found.records} of its records can be read"
    lost = 0 if found.last is None or found.first is None else found.last - found.first + 1 - found.records
    where = "" if lost or not found.torn else f" behind its record number {found.records}"
    known = f"; {lost} records can't be read" if lost else ""
    return f"{damaged} bytes{where} are damaged{known}"


def _snapshots(files: Files, names: list[str]) -> list[Seen]:
    seen = []
    for position in snapshot_positions(names):
        name = snapshot_name(position)
        try:
            size = files.size(name)
            found = find_snapshot(files, position)
        except FileNotFoundError:
            continue
        through = None if found is None else found.through
        problem = None
        if found is None:
            problem = "it is damaged as a whole"
        elif not found.is_whole:
            problem = f"{found.damaged} bytes are damaged; {found.lost} of its parts can't be read, {found.frames} can"
        seen.append(
            Seen(name=name, kind="snapshot", bytes=size, first=position, last=through, problem=problem)
        )
    return seen


def _others(files: Files, names: Sequence[str]) -> list[Seen]:
    known = {segment_name(serial) for serial in segment_serials(list(names))}
    known |= {snapshot_name(position) for position in snapshot_positions(list(names))}
    aside = kept_aside(list(names))
    seen = []
    for name in sorted(set(names) - known - {"lock", VERSION}):
        kind: Kind = "other"
        if name in aside:
            kind = "damaged"
        elif name.endswith(DRAFT):
            kind = "draft"
        elif name == RETIRED:
            kind = "retired"
        try:
            seen.append(Seen(name=name, kind=kind, bytes=files.size(name)))
        except FileNotFoundError:
            continue
    return seen


ATTEMPTS = 3
"""How often a directory is read whose running server removes files meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a start would find.

    Attributes:
        queues: in the snapshot, as far as it can be read.
        lost_queues: that are known to have been in it besides.
        records: after it.
        fingerprints: how many of these were written under each.
        ignored: segments that would be set aside, because records before them are lost.
        missing: records that are known to have been there, and can't be read.
        owners: users and their realms who have queues in the snapshot, with how many.
    """

    queues: int
    lost_queues: int
    records: int
    fingerprints: dict[str, int]
    ignored: tuple[str, ...]
    missing: int
    owners: Mapping[tuple[UserId, RealmId], int]


def read_contents(files: Files) -> Contents:
    """Reads and decodes everything that a start would.

    Raises:
        StateError: a start would be refused.
    """
    for _ in range(ATTEMPTS):
        try:
            return _read(files, find(files))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise unusable(files.place, error) from error
    raise StateError(f"{files.place} changes too fast to be read; try again")


def _read(files: Files, found: Found) -> Contents:
    owners: Counter[tuple[UserId, RealmId]] = Counter()
    in_all = 0
    for frame in () if found.snapshot is None else snapshot_frames(files, found.snapshot):
        try:
            part = decode_snapshot(frame)
            owners.update(_owners(part))
            in_all = max(in_all, part.first_queue + len(part.queues), part.queues_in_all or 0)
        except msgspec.DecodeError as error:
            raise StateError(
                f"The snapshot is not in a form that this version can read ({error}); start the version that wrote it"
            ) from None
    count = sum(1 for _ in records(files, found.chain.links, found.position))
    fingerprints: dict[str, int] = {}
    for link in found.chain.links:
        written = link.last - max(link.first, found.position + 1) + 1
        header = link.segment.header
        fingerprint = "" if header is None else header.fingerprint
        fingerprints[fingerprint] = fingerprints.get(fingerprint, 0) + max(0, written)
    return Contents(
        queues=owners.total(),
        lost_queues=max(0, in_all - owners.total()),
        records=count,
        fingerprints={fingerprint: written for fingerprint, written in fingerprints.items() if written},
        ignored=tuple(segment.name for segment in found.chain.lost),
        missing=found.chain.holes + max(0, found.through - found.chain.existed),
        owners=owners,
    )


def _owners(snapshot: Snapshot) -> Iterator[tuple[UserId, RealmId]]:
    return ((queue.spec.user_id, queue.spec.realm_id) for queue in snapshot.queues)
