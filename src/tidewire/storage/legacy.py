"""State directories of format 1, the one before there was a journal: read once, and left behind.

snapshot        a line with format and checksum, then the snapshot as MessagePack
snapshot.last   the one that the last process began with; never read
"""

import hashlib

import msgspec

from tidewire.core.errors import StateError
from tidewire.core.snapshot import SNAPSHOT_VERSION, Snapshot, decode_snapshot
from tidewire.storage.files import Files

LEGACY_NAME = "snapshot"
RETIRED = "snapshot.last"
"""What a server without a journal renames the snapshot that it began with to, to this day."""
LEGACY_NAMES = (LEGACY_NAME, RETIRED)
FORMAT = b"tidewire snapshot %d" % SNAPSHOT_VERSION
"""How the first line begins; the checksum of what follows it comes after a space."""


def read_legacy(files: Files) -> Snapshot | None:
    """The snapshot of format 1, or None when there is none.

    Raises:
        StateError: it is damaged; it stays where it is.
    """
    try:
        with files.read(LEGACY_NAME) as file:
            content = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{files.place}/{LEGACY_NAME} can't be read: {error.strerror}") from error
    line, _, data = content.partition(b"\n")
    form, _, digest = line.rpartition(b" ")
    if form != FORMAT:
        raise StateError(
            f"{files.place}/{LEGACY_NAME} is not a snapshot that this version can read (it begins with "
            f"{line[:40]!r}); start the version that wrote it, or move the file away to start without it"
        )
    try:
        if digest == checksum(data):
            return decode_snapshot(data)
    except msgspec.DecodeError:
        pass
    raise StateError(f"{files.place}/{LEGACY_NAME} is damaged; move it away to start without it")


def checksum(data: bytes) -> bytes:
    """The checksum of format 1."""
    return hashlib.blake2b(data, digest_size=16).hexdigest().encode()
