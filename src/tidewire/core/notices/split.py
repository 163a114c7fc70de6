"""A notice whose users are on several shards, as one notice for each of them (R8.5).

The parts depend on the map alone, not on which shard makes them: a repeat that arrives elsewhere has the same ones,
so a notice's id still tells a repeat from another notice. Where the map itself has changed in between, the parts are
others; each says by the digest of the whole what it is a part of.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from tidewire.core.ids import RealmId, UserId
from tidewire.core.notices.notice import Notice

PUBLISHED = "message"


class _Parted(Struct, omit_defaults=True):
    """A notice whose event is not looked into."""

    event: msgspec.Raw
    users: list[int | dict[str, Any]]
    id: str | None = None
    realm_id: int | None = None
    traceparent: str | None = None
    whole: str | None = None
    hearers: tuple[int, int] | None = None


_DECODER = msgspec.json.Decoder(_Parted)
_ENCODER = msgspec.json.Encoder()


def public_realm(notice: Notice) -> RealmId | None:
    """The realm all of whose shards must hear of it, because queues there may hear a public message (D7)."""
    event = notice.event
    realm_id = event.get("realm_id")
    if notice.kind != PUBLISHED or event.get("stream_name") is None or event.get("invite_only"):
        return None
    return RealmId(realm_id) if isinstance(realm_id, int) else None


def meeting(shards: Sequence[int], hearers: tuple[int, int]) -> list[int]:
    """Those of a realm's shards that have users of one part (`Notice.hearers`)."""
    index, count = hearers
    common = math.gcd(count, len(shards))
    return [shard for place, shard in enumerate(shards) if count and place % common == index % common]


def parts_of(
    notice: Notice, *, shard_of: Callable[[UserId], int], also: Iterable[int], nobody: int
) -> dict[int, bytes]:
    """The notice as each shard is to get it.

    Args:
        notice: for anybody.
        shard_of: who is where.
        also: shards that get it even without users.
        nobody: the shard of a notice that has no user at all.
    """
    places = {user_id: shard_of(user_id) for user_id in notice.users}
    wanted = dict.fromkeys([*places.values(), *also]) or {nobody: None}
    if len(wanted) == 1:
        return dict.fromkeys(wanted, notice.raw)
    whole = _DECODER.decode(notice.raw)
    if whole.id is not None:
        whole = msgspec.structs.replace(whole, whole=notice.digest.hex())
    users: dict[int, list[int | dict[str, Any]]] = {shard: [] for shard in wanted}
    for user in whole.users:
        users[places[UserId(user if isinstance(user, int) else user["id"])]].append(user)
    return {shard: _ENCODER.encode(msgspec.structs.replace(whole, users=users[shard])) for shard in wanted}
