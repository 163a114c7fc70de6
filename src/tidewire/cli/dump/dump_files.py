"""Dumps as files: their names, reading them, and writing one so that it is whole or not there (R10.1, R10.4)."""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from tidewire import TidewireError

_OF_A_SHARD = re.compile(r"event_queues\.(\d+)\.json")
_ONLY_SHARD = "event_queues.json"


class DumpFileError(TidewireError):
    """A dump can't be read or written, or is none."""

    code = "BAD_DUMP"


def dumps_at(path: Path) -> list[Path]:
    """The file, or of a directory the dumps that the original server's shards left there at their last stop.

    Raises:
        DumpFileError: there is none.
    """
    if not path.is_dir():
        return [path]
    found = [one for one in path.iterdir() if one.name == _ONLY_SHARD or _OF_A_SHARD.fullmatch(one.name)]
    if found:
        return sorted(found)
    used = sorted(
        one.name for one in path.glob("event_queues*") if "last" in one.suffixes or ".last" in one.name
    )
    hint = f"; {', '.join(used)} of an earlier start can be given by name" if used else ""
    raise DumpFileError(f"There is no event_queues.json or event_queues.<port>.json in {path}{hint}")


def last_path(path: Path) -> Path:
    """Where the original server puts a dump that it has loaded (R10.1, R10.7); `.last` goes to different places."""
    shard = _OF_A_SHARD.fullmatch(path.name)
    return path.with_name(f"{path.name}.last" if shard is None else f"event_queues.{shard[1]}.last.json")


def read_file(path: Path) -> bytes:
    """What is in a file.

    Raises:
        DumpFileError: it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DumpFileError(f"{path} can't be read: {error.strerror}") from None


def retire(path: Path) -> None:
    """Gives a dump that was loaded its `.last` name, in place of an older one (R10.7).

    Raises:
        DumpFileError: it can't be renamed.
    """
    try:
        path.replace(last_path(path))
    except OSError as error:
        raise DumpFileError(f"{path} was imported, but can't be renamed: {error.strerror}") from None


def write_file(path: Path, pieces: Iterable[bytes]) -> int:
    """Writes a file whole or not at all, readable by its owner only; returns its bytes (R10.4).

    Raises:
        DumpFileError: it can't be written; a file that was there still is.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    size = 0
    try:
        with open(draft, "xb", opener=_private) as file:
            for piece in pieces:
                size += file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise DumpFileError(f"{path} can't be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return size


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
