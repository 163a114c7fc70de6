"""Records: what the journal keeps, and the only way in which the state changes (D4).

A record holds the raw input and every outcome that recovery can't work out again. `decide` makes it, the
journal keeps it, `apply` carries it out, live and in recovery alike.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from tidewire.core.notices.deduplication import RememberedId, UserNoticeLogImage
from tidewire.core.notifications.worker_records import NotificationDecision
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.queues.ended import Tombstone
from tidewire.core.queues.image import QueueImage
from tidewire.core.queues.merge_group import Joined
from tidewire.core.relocation.relocations import Key

Reason: TypeAlias = Literal[
    "damaged", "deleted", "expired", "limit", "memory", "overflow", "revoked", "upgraded"
]
"""Why a queue ended."""

REASONS: tuple[Reason, ...] = (
    "damaged",
    "deleted",
    "expired",
    "limit",
    "memory",
    "overflow",
    "revoked",
    "upgraded",
)

NOTIFYING: Mapping[Reason, bool] = MappingProxyType({reason: reason != "revoked" for reason in REASONS})
"""Whether the owner of a queue that ends is notified of what it held (R5.30).

Not after `revoked`: who has lost the right to a message is told nothing of it.
"""


class Registered(Struct, frozen=True, tag="registered"):
    """A queue was made."""

    now: float
    queue_id: str
    spec: QueueSpec


class Imported(Struct, frozen=True, tag="imported"):
    """Queues came from a dump.

    Attributes:
        bodies: those of the queues, which name them by number.
    """

    now: float
    bodies: tuple[bytes, ...]
    queues: tuple[QueueImage, ...]


class Outcome(Struct, frozen=True, array_like=True):
    """Whom one notice of a record notifies; `notice` is its place in there."""

    notice: int
    notified: tuple[NotificationDecision, ...]


class PartialDelivery(Struct, frozen=True, array_like=True):
    """Whom one notice of a record passes by, and who is remembered by name; `notice` is its place in there.

    With `is_detour` it says nothing of anybody who is not named.
    """

    notice: int
    passed: tuple[int, ...]
    named: tuple[int, ...]
    is_detour: bool = False


class Published(Struct, frozen=True, tag="published", omit_defaults=True):
    """Notices were taken: the raw JSON of each that was not known before, in order.

    Attributes:
        outcomes: of the notices that notify anybody.
        asides: of the notices that concern users on their way between shards.
    """

    now: float
    notices: tuple[bytes, ...]
    outcomes: tuple[Outcome, ...] = ()
    asides: tuple[PartialDelivery, ...] = ()


class Removed(Struct, frozen=True, tag="removed", omit_defaults=True):
    """A queue was ended; `Reason` says why."""

    now: float
    queue_id: str
    reason: Reason
    notified: tuple[NotificationDecision, ...] = ()


class Sealed(Struct, frozen=True, tag="sealed", omit_defaults=True):
    """A poll's answer merged several events into one; written before the answer leaves (`core/queues/event_queue.py`).

    Attributes:
        pruned: what was acknowledged by then; None when unknown (R2.30).
        placed: up to which earlier answers had placed events, each on its own if no record says otherwise.
        through: the boundary up to which waiting events were merged.
        joined: what applications' rules made of theirs.
    """

    queue_id: str
    pruned: int | None
    placed: int
    through: int
    joined: tuple[Joined, ...] = ()


class QueuePolled(Struct, frozen=True, array_like=True):
    """What polls changed in one queue since the last tick; `pruned` is None when unknown (R2.30)."""

    queue_id: str
    pruned: int | None
    last_active: float


class Ticked(Struct, frozen=True, tag="ticked", omit_defaults=True):
    """A second has passed: acknowledgements and activity, heartbeats, and what the collector decided.

    Attributes:
        seen: per queue that was polled.
        heartbeats: queues whose waiting poll gets one (R2.12).
        expired: queues that end (R2.22).
        offline: queues whose owner now counts as gone (R2.23).
        forget: remembered notice ids with a number below this are dropped (`core/notices/deduplication.py`).
        notified: what the owners of those that end or go offline are told (R5.30).
    """

    now: float
    seen: tuple[QueuePolled, ...] = ()
    heartbeats: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    offline: tuple[str, ...] = ()
    forget: int = 0
    notified: tuple[NotificationDecision, ...] = ()


class Announced(Struct, frozen=True, tag="announced"):
    """The shard itself made an event for these queues (R1.23-R1.26); each still has to accept it."""

    now: float
    event: dict[str, Any]
    queue_ids: tuple[str, ...]


class Acknowledged(Struct, frozen=True, tag="acknowledged"):
    """A worker has taken the records of one queue of the outbox up to a position."""

    now: float
    queue: str
    through: int


class Restarted(Struct, frozen=True, tag="restarted"):
    """A process took over what an earlier one left; the first record that it writes.

    Attributes:
        resumed: records were applied on top of a snapshot, or without one, so that the queues may have been
            read in ways nobody wrote down.
    """

    now: float
    resumed: bool


class Remapped(Struct, frozen=True, tag="remapped"):
    """The shard lives under another map from here on (`core/relocation/relocations.py`).

    Attributes:
        before: the map before, whose movers are handed over; empty when there is nobody to be.
        index: which shard of the maps this one is.
        others: the other shards of both maps.
    """

    now: float
    version: int
    before: bytes
    after: bytes
    index: int
    others: tuple[int, ...]


class Agreed(Struct, frozen=True, tag="agreed"):
    """All other shards know of the hand-over, and users begin to move."""

    now: float


class Moving(Struct, frozen=True, tag="moving"):
    """Users are about to be another shard's: what is here of them doesn't change any more."""

    now: float
    to: int
    users: tuple[int, ...]


class Moved(Struct, frozen=True, tag="moved"):
    """They are the other shard's, which has said so."""

    now: float
    users: tuple[int, ...]


class Arrived(Struct, frozen=True, tag="arrived", omit_defaults=True):
    """Queues came from another shard; their owners are still that one's.

    Attributes:
        users: the owners.
        bodies: those of the queues, which name them by number.
        rules: what the application's merge rules are called there.
    """

    now: float
    source: int
    users: tuple[int, ...]
    bodies: tuple[bytes, ...]
    queues: tuple[QueueImage, ...]
    tombstones: tuple[Tombstone, ...] = ()
    revoked: tuple[int, ...] = ()
    rules: dict[str, str] = msgspec.field(default_factory=dict)


class Brought(Struct, frozen=True, tag="brought"):
    """A piece of a table of ids that another shard remembers; the first has the number `first`."""

    now: float
    table: str
    first: int
    ids: tuple[RememberedId, ...]


class Adopted(Struct, frozen=True, tag="adopted"):
    """Users are this shard's from here on: everything of them has arrived.

    Attributes:
        users: with the tables that hold for them.
        given: what they were given by name.
    """

    now: float
    users: tuple[tuple[int, tuple[Key, ...]], ...]
    given: tuple[UserNoticeLogImage, ...]


class Closed(Struct, frozen=True, tag="closed"):
    """Nobody is left here who has to move."""

    now: float


class Settled(Struct, frozen=True, tag="settled"):
    """Another shard has closed, and sends notices by the new map alone."""

    now: float
    shard: int


Record: TypeAlias = (
    Registered
    | Imported
    | Published
    | Removed
    | Sealed
    | Ticked
    | Announced
    | Acknowledged
    | Restarted
    | Remapped
    | Agreed
    | Moving
    | Moved
    | Arrived
    | Brought
    | Adopted
    | Closed
    | Settled
)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """The record as MessagePack; notices stand in it as the raw JSON they came in."""
    return _ENCODER.encode(record)


def decode_record(data: bytes) -> Record:
    """The record that `encode_record` encoded.

    Raises:
        msgspec.DecodeError: `data` is no record.
    """
    try:
        return _DECODER.decode(data)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None
