"""The state directory of one shard: a lock, and the snapshot of the last clean stop.

lock            held as long as a server uses the directory; a second one refuses to start
snapshot        a line with format and checksum, then the snapshot as MessagePack; mode 0600, for it holds
                messages
snapshot.last   the one that the server now running began with
"""

import fcntl
import hashlib
import os
from pathlib import Path
from typing import IO

from tidewire.core.errors import StateError
from tidewire.core.snapshot import SNAPSHOT_VERSION, Snapshot, decode_snapshot, encode_snapshot

FORMAT = b"tidewire snapshot %d" % SNAPSHOT_VERSION
"""How the first line begins; the checksum of what follows it comes after a space."""


class StateDirectory:
    """A `SnapshotStore` in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        """Makes the directory if it is not there, and takes its lock.

        Raises:
            StateError: it can't be made or written, or another server uses it.
        """
        self._snapshot = directory / "snapshot"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _lock(directory / "lock")
        except BlockingIOError:
            raise StateError(
                f"{directory} is in use by another server; give this one a --state-dir"
            ) from None
        except OSError as error:
            raise StateError(f"{directory} can't be used as the state directory: {error.strerror}") from error

    def load(self) -> Snapshot | None:
        """The newest snapshot, or None when there is none.

        Raises:
            StateError: it is damaged, or of a newer version; it stays where it is.
        """
        try:
            content = self._snapshot.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(f"{self._snapshot} can't be read: {error.strerror}") from error
        line, _, data = content.partition(b"\n")
        form, _, checksum = line.rpartition(b" ")
        if form != FORMAT:
            raise StateError(
                f"{self._snapshot} is not a snapshot that this version can read (it begins with {line[:40]!r}); "
                "start the version that wrote it, or move the file away to start without it"
            )
        if checksum != _checksum(data):
            raise StateError(f"{self._snapshot} is damaged; move it away to start without it")
        return decode_snapshot(data)

    def retire(self) -> None:
        """Renames the snapshot to `snapshot.last`; there may be none.

        Raises:
            StateError: it can't be renamed.
        """
        try:
            self._snapshot.replace(self._snapshot.with_suffix(".last"))
        except FileNotFoundError:
            return
        except OSError as error:
            raise StateError(f"{self._snapshot} can't be renamed: {error.strerror}") from error

    def save(self, snapshot: Snapshot) -> None:
        """Writes a new file, flushes it to the disk, and only then puts it in place of the old one.

        Raises:
            StateError: it can't be written; the old snapshot is still there.
        """
        draft = self._snapshot.with_suffix(".draft")
        data = encode_snapshot(snapshot)
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(b"%b %b\n" % (FORMAT, _checksum(data)))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._snapshot)
            _sync_directory(self._snapshot.parent)
        except OSError as error:
            raise StateError(f"{self._snapshot} can't be written: {error.strerror}") from error

    def close(self) -> None:
        """Gives the lock back."""
        self._lock.close()


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()


def _lock(path: Path) -> IO[bytes]:
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


def _sync_directory(directory: Path) -> None:
    """Makes the renames themselves durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
