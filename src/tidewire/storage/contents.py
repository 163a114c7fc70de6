"""What a state directory holds, read as a start would read it, and changing nothing (`tidewire doctor`)."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from tidewire.core.errors import StateError
from tidewire.core.ids import RealmId, UserId
from tidewire.core.snapshot import Snapshot, decode_snapshot
from tidewire.storage.files import Files, unusable
from tidewire.storage.recovering import Found, find, records
from tidewire.storage.snapshots import snapshot_frames

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
