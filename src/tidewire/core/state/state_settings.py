"""The settings that records are applied under, as the journal keeps them beside its records (D4).

What a record does to the state rests on a few settings: how people are shown, who hears public channels, how much the
tables hold and for how long. A record means the same only under those it was decided under. So they are kept with it;
recovery applies it under them, and takes up those that are in force now when the process that has them begins.

Settings that only decide which records are made (bounds of queues and of users, idle times, sizes of answers) are none of
these: what was decided under them stands in the records. Of the memory budget only the shares count that bound a table.
"""

import msgspec
from msgspec import Struct

from tidewire.core.errors import StateError
from tidewire.core.events.presentation import Presentation
from tidewire.core.notifications.outbox import NOTIFICATION
from tidewire.core.state.limits import Limits


class Shaping(Struct, frozen=True):
    """The settings that `apply` rests on; `Limits` and `Presentation` say what they mean.

    Attributes:
        outbox_max: notifications that may wait, the outbox's share of the memory budget considered.
    """

    remember_ids_for: float
    outbox_max: int
    mobile_shards: int
    tombstones_max: int
    tombstone_bytes: float
    tombstones_for: float
    realm_host: str
    avatar_salt: str
    narrow_hears_public_channels: bool


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Shaping)


def shaping_of(limits: Limits, presentation: Presentation) -> Shaping:
    """The settings of a shard that shape queues."""
    return Shaping(
        remember_ids_for=limits.remember_ids_for,
        outbox_max=limits.outbox_most(NOTIFICATION),
        mobile_shards=limits.mobile_shards,
        tombstones_max=limits.tombstones_max,
        tombstone_bytes=limits.tombstone_bytes,
        tombstones_for=limits.tombstones_for,
        realm_host=presentation.realm_host,
        avatar_salt=presentation.avatar_salt,
        narrow_hears_public_channels=presentation.narrow_hears_public_channels,
    )


def encode_shaping(shaping: Shaping) -> bytes:
    """The settings as MessagePack."""
    return _ENCODER.encode(shaping)


def decode_shaping(data: bytes) -> Shaping:
    """The settings that `encode_shaping` encoded.

    Raises:
        StateError: another version wrote them, with others.
    """
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(
            f"The journal's settings are not in a form that this version can read ({error}); start the version that "
            "wrote it"
        ) from None
