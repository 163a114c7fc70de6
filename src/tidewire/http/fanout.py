"""Publishing to all shards that a request's notices concern, and saying so once all of them have theirs (R8.5)."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from tidewire.cluster.awaitable import AwaitableWaiter
from tidewire.cluster.peers import Peers, Reply
from tidewire.core.errors import WireError
from tidewire.core.notices.notice import Notice, decode_notice
from tidewire.core.slices import Work
from tidewire.http.context import ServerContext
from tidewire.http.forwarding import answer_of, check_hop, hops_text
from tidewire.http.responses import Response
from tidewire.ports.engine import Waiter

PATH = "/api/internal/notices"

AT_ONCE = 100
"""What notices may weigh (`weight_of`) that become one record: a millisecond or two to decide, write and apply."""

FIRST_PART = 10
"""What the notices of a first batch may weigh, before it is known how many queues they reach."""

DELIVERED_AT_ONCE = 500
"""Deliveries of one part of a batch, or of one notice: each takes a microsecond or two."""

USERS_OF_ONE = 20
"""Users that weigh as much as a notice."""

BYTES_OF_ONE = 2000
"""Bytes that do."""

WITHIN = 30.0
"""Seconds: a large request is carried out in well under one."""

OK = 200


class NoticeFanOut:
    """The notices of one request by shard, each with its place in the request."""

    def __init__(self, notices: Sequence[Notice], peers: Peers) -> None:
        """Sorts them; other shards have done so as often as `Notice.hops` says.

        Raises:
            UserMoving: a user is just moving; `Peers.hold` comes first.
        """
        self._hops = [notice.hops for notice in notices]
        self.own: list[Notice] = []
        self._peers = peers
        self._elsewhere: defaultdict[int, list[tuple[int, bytes]]] = defaultdict(list)
        self._own_places: list[int] = []
        for place, notice in enumerate(notices):
            for shard, raw in peers.parts(notice, sent_on=notice.hops > 0).items():
                if shard != peers.index:
                    self._elsewhere[shard].append((place, raw))
                else:
                    self._keep(notice if raw is notice.raw else decode_notice(raw), notice.hops)
                    self._own_places.append(place)

    def _keep(self, notice: Notice, hops: int) -> None:
        # A part that was sent here because its users are here now may not be the only one of its notice.
        notice.is_detour = hops > 1
        notice.aside = (
            frozenset(notice.users) if notice.is_detour else self._peers.relocating_recipients(notice)
        )
        self.own.append(notice)

    @property
    def next_hop(self) -> int:
        """How often the part of another shard will have been sent on at most; 0 when none has a part in it."""
        return max((hop for shard in self._elsewhere for hop in self._next_hops(shard)), default=0)

    def _next_hops(self, shard: int) -> list[int]:
        return [self._hops[place] + 1 for place, _ in self._elsewhere[shard]]

    def restore_index(self, error: WireError) -> None:
        """Has an error about one of this shard's own name its place in the request."""
        index = error.data.get("index")
        if isinstance(index, int) and index < len(self._own_places):
            error.data["index"] = self._own_places[index]

    async def publish_elsewhere(self) -> Response | None:
        """Sends the parts of the others; None when all took theirs, else the answer of one that did not.

        Raises:
            Unavailable: one does not answer.
        """
        shards = list(self._elsewhere)
        # One that fails must not keep the others from getting theirs: what is confirmed in part is repeated as a whole.
        outcomes = await asyncio.gather(*map(self._publish, shards), return_exceptions=True)
        for shard, outcome in zip(shards, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome.status != OK:
                return answer_of(self._placed(shard, outcome))
        return None

    async def _publish(self, shard: int) -> Reply:
        body = b"[%b]" % b",".join(raw for _, raw in self._elsewhere[shard])
        peers = self._peers
        request = peers.internal_request(
            PATH, body, "application/json", hops=hops_text(self._next_hops(shard))
        )
        return await peers.ask(shard, request, within=WITHIN, may_repeat=False)

    def _placed(self, shard: int, reply: Reply) -> Reply:
        """A refusal whose `index` counts in the request as it came here."""
        body = _placed(reply.body, lambda index: self._elsewhere[shard][index][0])
        return Reply(reply.status, reply.headers, body)


def shifted(refusal: Response, begin: int) -> Response:
    """Another shard's refusal of a part of a request that begins so far in it, with its `index` counted there."""
    return replace(refusal, body=_placed(refusal.body, lambda index: index + begin))


def _placed(body: bytes, place: Callable[[int], int]) -> bytes:
    try:
        refusal = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        index = msgspec.json.decode(refusal["index"], type=int)
    except (msgspec.DecodeError, KeyError):
        return body
    refusal["index"] = msgspec.Raw(b"%d" % place(index))
    return msgspec.json.encode(refusal) + b"\n"


async def publish_batch(taken: list[Notice], context: ServerContext) -> Response | None:
    """Has the notices of a request carried out, as one or, when they are many, in parts; as `publish_everywhere`."""
    if is_at_once(taken):
        return await publish_everywhere(taken, context)
    return await Batch(taken, context).carry_out()


async def publish_everywhere(taken: list[Notice], context: ServerContext) -> Response | None:
    """Has notices carried out; None when they were, else another shard's refusal.

    Raises:
        WireError: they can't be taken; with an `index` it is that one, and none of this shard's was.
    """
    slot: AwaitableWaiter[int] = AwaitableWaiter()
    peers = context.peers
    if peers is None:
        publish(taken, context, slot)
        await slot.wait()
        return None
    await peers.wait_until_settled(taken)
    # From here to the publication nothing waits: who is where stays as it is.
    with peers.splitting():
        spread = NoticeFanOut(taken, peers)
        check_hop(spread.next_hop, peers)
        context.lifecycle.check_serving()
        if spread.own:
            # First: what is refused here is sent to nobody.
            try:
                publish(spread.own, context, slot)
            except WireError as error:
                spread.restore_index(error)
                raise
        refusal = await spread.publish_elsewhere()
        if spread.own:
            await slot.wait()
    return refusal


def publish(taken: list[Notice], context: ServerContext, waiter: Waiter[int]) -> None:
    """Hands notices to the engine, which answers the slot with how many there were.

    Raises:
        WireError: they can't be taken; none was.
    """
    context.lifecycle.check_serving()
    _hand_over(taken, context, waiter)


def _hand_over(taken: list[Notice], context: ServerContext, waiter: Waiter[int]) -> None:
    began = context.timer()
    context.engine.publish(taken, waiter)
    if context.log.is_enabled_for(logging.DEBUG):
        _log_notices(taken, context, context.timer() - began)


class Batch:
    """Many notices of one request, carried out in parts so that others are served in between.

    All of them are checked before the first is taken, so one that is wrong still refuses them all. A part is a record of
    its own. What breaks off between two, a crash or a full disk, leaves the first of them taken; nothing was confirmed
    then, and a repetition with the same ids takes the others.
    """

    def __init__(self, notices: list[Notice], context: ServerContext) -> None:
        self._notices = notices
        self._context = context
        self._room = FIRST_PART
        """How much the next part may weigh."""

    async def carry_out(self) -> Response | None:
        """Publishes the batch here and on the other shards; returns how many notices were accepted."""
        context, shard = self._context, self._context.engine.shard
        context.lifecycle.check_serving()
        with shard.promising() as ids:
            await context.turns.do(shard.check_batch(self._notices, ids))
            if context.peers is not None:
                return await self._everywhere()
            slots: list[AwaitableWaiter[int]] = []
            await context.turns.do(self._here(slots))
            # Answers leave in the order of their records.
            await slots[-1].wait()
        return None

    def _here(self, slots: list[AwaitableWaiter[int]]) -> Work[None]:
        statistics = self._context.engine.shard.statistics
        begin = 0
        while begin < len(self._notices):
            part = self._part(begin)
            delivered = statistics.delivered
            slots.append(AwaitableWaiter())
            try:
                _hand_over(part, self._context, slots[-1])
            except WireError as error:
                _shift(error, begin)
                raise
            begin = self._let_go(begin, part)
            self._fit(statistics.delivered - delivered)
            yield

    async def _everywhere(self) -> Response | None:
        begin = 0
        while begin < len(self._notices):
            part = self._part(begin)
            try:
                refusal = await publish_everywhere(part, self._context)
            except WireError as error:
                _shift(error, begin)
                raise
            if refusal is not None:
                return shifted(refusal, begin)
            begin = self._let_go(begin, part)
            await asyncio.sleep(0)
        return None

    def _let_go(self, begin: int, part: list[Notice]) -> int:
        """Drops a part that was carried out, because dropping all in the end would hold the loop; where the next begins."""
        end = begin + len(part)
        self._notices[begin:end] = [part[-1]] * len(part)
        return end

    def _part(self, begin: int) -> list[Notice]:
        weight = 0
        end = begin
        while end < len(self._notices) and weight < self._room:
            weight += weight_of(self._notices[end])
            end += 1
        return self._notices[begin:end]

    def _fit(self, delivered: int) -> None:
        """Has the next part take as long as it should, going by this one: what a notice reaches is known afterwards."""
        if delivered > DELIVERED_AT_ONCE:
            self._room = max(1, self._room * DELIVERED_AT_ONCE // delivered)
        else:
            self._room = min(AT_ONCE, 2 * self._room)


def is_at_once(notices: list[Notice]) -> bool:
    """Whether notices are carried out as one: they are few and short, or one, which is never parted."""
    return len(notices) == 1 or (len(notices) <= AT_ONCE and sum(map(weight_of, notices)) <= AT_ONCE)


def weight_of(notice: Notice) -> int:
    """What it takes to carry a notice out, as far as that is known before: 1 for a short one."""
    return 1 + len(notice.users) // USERS_OF_ONE + len(notice.raw) // BYTES_OF_ONE


def _shift(error: WireError, begin: int) -> None:
    index = error.data.get("index")
    if isinstance(index, int):
        error.data["index"] = index + begin


def _log_notices(taken: list[Notice], context: ServerContext, seconds: float) -> None:
    """R11.12; the time is that of the whole request, whose notices are carried out as one."""
    for notice in taken:
        context.log.debug(
            "notice", type=notice.kind, users=len(notice.users), duration_ms=round(seconds * 1000, 3)
        )
