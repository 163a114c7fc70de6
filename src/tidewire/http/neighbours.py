"""The shards beside this one: whose user somebody is, and asking the shard that has them (D7)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from starlette.types import Receive
from structlog.typing import FilteringBoundLogger

from tidewire.core.errors import Unavailable
from tidewire.core.moves import Moves
from tidewire.core.shard_map import ShardAddress, ShardMap
from tidewire.http.calling import BROKEN, GONE, Call, Reply, Sibling, Unreachable
from tidewire.http.slots import AsgiSlot
from tidewire.http.whereabouts import Directory, Whereabouts

Mode = Literal["proxy", "redirect"]

FORWARDED = "tidewire-forwarded"
"""The header of a request that another shard or the proxy sends on: the version of the sender's map, and how often it
has been sent on, once if that is not said; of notices that came by different ways, a digit for each. Whoever sets it from outside only gets an error where help was to be had."""

MOST_HOPS = 3
"""How often a request is sent on. While users move a shard may be wrong by one step; then there is a way back and
forth. More than that is a disagreement, in which it would go round for ever."""


class Neighbours(Whereabouts):
    """The other shards, and how to ask them.

    Attributes:
        by_bus: hands a notice to another shard's bus queue, where there is a bus that all shards share; for what must
            reach a shard that does not answer.
    """

    def __init__(
        self,
        shard_map: ShardMap,
        *,
        index: int,
        mode: Mode,
        directory: Directory,
        secret: str,
        log: FilteringBoundLogger,
        by_bus: Callable[[int, bytes], Awaitable[None]] | None = None,
        moves: Moves | None = None,
    ) -> None:
        super().__init__(shard_map, index=index, directory=directory, moves=moves)
        self.mode = mode
        self._secret = secret
        self._log = log
        self.by_bus = by_bus
        self._siblings: dict[ShardAddress, Sibling] = {}
        self._silent: set[int] = set()
        """Shards that did not answer when last asked: the log says so once, not for each request."""
        self._waiting: dict[AsgiSlot[Reply], tuple[Call, Reply]] = {}
        """Requests at other shards, each with its connection and with what ends it. By slot: as soon as the reply is
        there the connection carries the next request, which may be before whoever waited has run."""

    def live_under(self, shard_map: ShardMap, before: ShardMap | None) -> None:
        """See `Whereabouts`; connections to shards that are in none of the maps are closed."""
        super().live_under(shard_map, before)
        for address in self._siblings.keys() - {self.address(shard) for shard in self.others()}:
            self._siblings.pop(address).close()

    # Asking.

    async def ask(
        self,
        shard: int,
        request: bytes,
        *,
        within: float,
        may_repeat: bool,
        receive: Receive | None = None,
        if_stopping: Reply = BROKEN,
    ) -> Reply:
        """The reply of another shard to a whole request.

        Args:
            shard: whom to ask.
            request: all of it.
            within: seconds.
            may_repeat: whether it does no harm to ask again, on a new connection, when an old one turns out closed.
            receive: where to learn that whoever waits has gone; then it is `GONE`.
            if_stopping: what `release` ends it with.

        Raises:
            Unavailable: the shard does not answer.
        """
        address = self.address(shard)
        try:
            reply = await self._ask(address, request, within, receive, if_stopping, fresh=False)
            if reply is BROKEN and may_repeat:
                reply = await self._ask(address, request, within, receive, if_stopping, fresh=True)
        except Unreachable as error:
            self._note_silent(shard, str(error))
            raise _unavailable() from None
        if reply is BROKEN:
            self._note_silent(shard, "no answer")
            raise _unavailable()
        if shard in self._silent:
            self._silent.discard(shard)
            self._log.info("shard answers again", shard=address.port)
        return reply

    async def _ask(
        self,
        address: ShardAddress,
        request: bytes,
        within: float,
        receive: Receive | None,
        if_stopping: Reply,
        *,
        fresh: bool,
    ) -> Reply:
        sibling = self._siblings.setdefault(address, Sibling(address.host, address.port))
        slot: AsgiSlot[Reply] = AsgiSlot()
        call = await sibling.begin(request, slot, fresh=fresh)
        self._waiting[slot] = (call, if_stopping)
        giving_up = asyncio.get_running_loop().call_later(within, call.give_up, slot)
        try:
            if receive is None:
                return await slot.wait()
            return await slot.wait_connected(receive) or GONE
        finally:
            giving_up.cancel()
            del self._waiting[slot]
            call.give_up(slot)

    def _note_silent(self, shard: int, error: str) -> None:
        if shard not in self._silent:
            self._silent.add(shard)
            self._log.warning("shard does not answer", shard=self.address(shard).port, error=error)

    def internal_request(
        self, path: str, body: bytes, kind: str, *, method: str = "POST", hops: int | str = 1
    ) -> bytes:
        """A request to an internal route of another shard, which this one answers for; `hops` counts this one."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: shard\r\nAuthorization: Bearer {self._secret}\r\n"
            f"{FORWARDED}: {self._map.version} {hops}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    # Stopping.

    def release(self) -> None:
        """Ends what waits for other shards, as polls of this one's own are ended (D5)."""
        for slot, (call, reply) in list(self._waiting.items()):
            if reply is not BROKEN:
                call.give_up(slot, reply)

    def close(self) -> None:
        """Lets go of the connections."""
        for sibling in self._siblings.values():
            sibling.close()


def _unavailable() -> Unavailable:
    return Unavailable("The shard that serves this user does not answer; try again")
