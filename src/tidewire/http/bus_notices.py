"""Notices from a shard's bus queue that concern other shards too: carried out as those of a request are (R8.5)."""

from collections.abc import Sequence

import msgspec

from tidewire.cluster.peers import Peers
from tidewire.core.errors import InternalError, InvalidNotice, Unavailable, WireError
from tidewire.core.notices.notice import Notice
from tidewire.http.context import ServerContext
from tidewire.http.fanout import publish_everywhere
from tidewire.http.responses import Response
from tidewire.ports.bus import MultiShardPublish

FAULT = 500


class _Refusal(msgspec.Struct):
    msg: str = ""
    code: str = ""
    index: int | None = None


class SharedNotices(MultiShardPublish):
    """Publishes notices from the bus to the shards that serve their users."""

    def __init__(self, context: ServerContext, peers: Peers) -> None:
        self._context = context
        self._peers = peers

    def is_all_for_here(self, notices: Sequence[Notice]) -> bool:
        """Whether nobody else need hear of any of them."""
        return self._peers.serves_all(notices)

    async def carry_out(self, notices: Sequence[Notice]) -> None:
        """Has them carried out wherever their users are."""
        for notice in notices:
            # What its publisher has split counts as split by another shard: a part that goes on is one of several.
            notice.hops = 0 if notice.parted is None else 1
        refusal = await publish_everywhere(list(notices), self._context)
        if refusal is not None:
            raise _error_of(refusal)


def _error_of(refusal: Response) -> WireError:
    """What another shard said, as this one would."""
    try:
        said = msgspec.json.decode(refusal.body, type=_Refusal)
    except msgspec.DecodeError:
        return Unavailable(f"Another shard answers {refusal.status}")
    if refusal.status == FAULT:
        return InternalError()  # of this notice, perhaps; to wait for it to pass would hold up all others
    if refusal.status > FAULT:
        return Unavailable(said.msg)
    place = {} if said.index is None else {"index": said.index}
    return InvalidNotice(f"{said.msg} ({said.code})", **place)
