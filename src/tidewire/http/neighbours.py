"""The shards beside this one: whose user somebody is, and asking the shard that has them (D7)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

from starlette.types import Receive
from structlog.typing import FilteringBoundLogger

from tidewire.core.errors import Unavailable
from tidewire.core.ids import RealmId, UserId
from tidewire.core.notice import Notice
from tidewire.core.notice_parts import parts_of, public_realm
from tidewire.core.shard_map import ShardAddress, ShardMap, among
from tidewire.core.users import Realm, User
from tidewire.http.calling import BROKEN, GONE, Call, Reply, Sibling, Unreachable
from tidewire.http.slots import AsgiSlot

Mode = Literal["proxy", "redirect"]

FORWARDED = "tidewire-forwarded"
"""The header of a request that another shard or the proxy sends on; it is never sent on again. Whoever sets it from
outside only gets an error where help was to be had."""


class Directory(Protocol):
    """Who is in which realm: as much of an `Authenticator` as it takes to find a user's shard."""

    def user(self, user_id: UserId) -> User | None:
        """A user by id."""
        ...

    def realm(self, realm_id: RealmId) -> Realm | None:
        """A realm by id."""
        ...


class Neighbours:
    """One shard's view of all of them.

    Attributes:
        generation: rises with each map that is taken over.
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
    ) -> None:
        self._map = shard_map
        self._index = index
        self.mode = mode
        self._directory = directory
        self._secret = secret
        self._log = log
        self.by_bus = by_bus
        self.generation = 0
        self._of_host: dict[str, tuple[int, ...]] = {}
        """Memory of `ShardMap.shards_of_realm`: patterns would be searched for each poll."""
        self._siblings: dict[ShardAddress, Sibling] = {}
        self._silent: set[int] = set()
        """Shards that did not answer when last asked: the log says so once, not for each request."""
        self._waiting: dict[AsgiSlot[Reply], tuple[Call, Reply]] = {}
        """Requests at other shards, each with its connection and with what ends it. By slot: as soon as the reply is
        there the connection carries the next request, which may be before whoever waited has run."""

    @property
    def map(self) -> ShardMap:
        """The map in force."""
        return self._map

    @property
    def index(self) -> int:
        """Which shard this one is."""
        return self._index

    @property
    def own_queue(self) -> str:
        """The bus queue of this shard alone: one that several consumed would give each notice to one (R8.2)."""
        return self._map.queue_name(self._index)

    def adopt(self, newer: ShardMap) -> str | None:
        """Takes over another map, unless there is a reason not to, which is returned; the map stays then."""
        old = self._map
        if newer == old:
            return None
        if newer.version <= old.version:
            return f"its version is {newer.version}; a changed map needs a version above {old.version}"
        if newer.shards[self._index : self._index + 1] != old.shards[self._index : self._index + 1]:
            return f"this shard is not in it as {old.shards[self._index].host}:{old.shards[self._index].port}"
        self._map = newer
        self._of_host.clear()
        self.generation += 1
        for address in self._siblings.keys() - set(newer.shards):
            self._siblings.pop(address).close()
        return None

    # Who is where.

    def shard_of(self, user_id: UserId, realm_id: RealmId | None) -> int:
        """The shard of a user of a realm."""
        return among(self._shards_of(realm_id), user_id)

    def serves(self, user: User) -> bool:
        """Whether a user is this shard's."""
        return self.shard_of(user.id, user.realm_id) == self._index

    def serves_all(self, notices: Sequence[Notice]) -> bool:
        """Whether nobody else need hear of any of them."""
        return all(self.parts(notice).keys() == {self._index} for notice in notices)

    def parts(self, notice: Notice, *, sent_on: bool = False) -> dict[int, bytes]:
        """A notice as each shard is to get it; `sent_on` says that another shard has seen to its realm."""
        public = None if sent_on else public_realm(notice)
        also = () if public is None else self._shards_of(public)
        given = notice.realm_id
        if given is not None or self._map.is_uniform:
            shards = self._shards_of(given)
            return parts_of(notice, shard_of=lambda user: among(shards, user), also=also, nobody=self._index)
        return parts_of(notice, shard_of=self._shard_of_known, also=also, nobody=self._index)

    def _shard_of_known(self, user_id: UserId) -> int:
        user = self._directory.user(user_id)
        return self.shard_of(user_id, None if user is None else user.realm_id)

    def _shards_of(self, realm_id: RealmId | None) -> tuple[int, ...]:
        if realm_id is None or self._map.is_uniform:
            return self._map.default
        realm = self._directory.realm(realm_id)
        if realm is None:
            return self._map.default
        known = self._of_host.get(realm.host)
        if known is None:
            known = self._of_host[realm.host] = self._map.shards_of_realm(realm.host)
        return known

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
        address = self._map.shards[shard]
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
        giving_up = asyncio.get_running_loop().call_later(within, self._end, slot)
        try:
            if receive is None:
                return await slot.wait()
            return await slot.wait_connected(receive) or GONE
        finally:
            giving_up.cancel()
            self._end(slot)
            del self._waiting[slot]

    def _end(self, slot: AsgiSlot[Reply], reply: Reply = BROKEN) -> None:
        """Waits no longer for what is still under way."""
        if slot.answer is None:
            call, _ = self._waiting[slot]
            call.end(reply)

    def _note_silent(self, shard: int, error: str) -> None:
        if shard not in self._silent:
            self._silent.add(shard)
            self._log.warning("shard does not answer", shard=self._map.shards[shard].port, error=error)

    def internal_request(self, path: str, body: bytes, kind: str) -> bytes:
        """A request to an internal route of another shard, which this one answers for."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: shard\r\nAuthorization: Bearer {self._secret}\r\n"
            f"{FORWARDED}: {self._map.version}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    # Stopping.

    def release(self) -> None:
        """Ends what waits for other shards, as polls of this one's own are ended (D5)."""
        for slot, (_, reply) in list(self._waiting.items()):
            if reply is not BROKEN:
                self._end(slot, reply)

    def close(self) -> None:
        """Lets go of the connections."""
        for sibling in self._siblings.values():
            sibling.close()


def _unavailable() -> Unavailable:
    return Unavailable("The shard that serves this user does not answer; try again")
