"""A look at a state directory that changes nothing, also while a server uses it.

A running server appends and removes meanwhile: a file may be gone by the time it is read, and the newest segment
may end in half a record. Neither is damage, and with `running` neither is called so.
"""

import fcntl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from tidewire.core.errors import StateError
from tidewire.storage.aside import kept_aside
from tidewire.storage.files import DirectoryFiles, Files, unusable
from tidewire.storage.recovering import VERSION, find
from tidewire.storage.segments import FoundSegment, find_segment, segment_name, segment_serials
from tidewire.storage.snapshots import DRAFT, RETIRED, find_snapshot, snapshot_name, snapshot_positions

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
