"""Publishing to all shards that a request's notices concern, and saying so once all of them have theirs (R8.5)."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from tidewire.core.errors import WireError
from tidewire.core.notice import Notice, decode_notice
from tidewire.http.answers import Answer
from tidewire.http.calling import Reply
from tidewire.http.neighbours import Neighbours
from tidewire.http.wrong_shard import answer_of

PATH = "/api/internal/notices"

WITHIN = 30.0
"""Seconds: a large request is carried out in well under one."""

OK = 200


class Spread:
    """The notices of one request by shard, each with its place in the request."""

    def __init__(self, notices: Sequence[Notice], neighbours: Neighbours, *, hops: int) -> None:
        """Sorts them; other shards have done so `hops` times before.

        Raises:
            UserMoving: a user is just moving; `Neighbours.hold` comes first.
        """
        self._hops = hops
        self.own: list[Notice] = []
        self._neighbours = neighbours
        self._elsewhere: defaultdict[int, list[tuple[int, bytes]]] = defaultdict(list)
        self._own_places: list[int] = []
        for place, notice in enumerate(notices):
            for shard, raw in neighbours.parts(notice, sent_on=hops > 0).items():
                if shard != neighbours.index:
                    self._elsewhere[shard].append((place, raw))
                else:
                    self._keep(notice if raw is notice.raw else decode_notice(raw))
                    self._own_places.append(place)

    def _keep(self, notice: Notice) -> None:
        # A part that was sent here because its users are here now may not be the only one of its notice.
        notice.is_detour = self._hops > 1
        notice.aside = frozenset(notice.users) if notice.is_detour else self._neighbours.movers(notice)
        self.own.append(notice)

    @property
    def goes_elsewhere(self) -> bool:
        """Whether another shard has a part in it."""
        return bool(self._elsewhere)

    def place_again(self, error: WireError) -> None:
        """Has an error about one of this shard's own name its place in the request."""
        index = error.data.get("index")
        if isinstance(index, int) and index < len(self._own_places):
            error.data["index"] = self._own_places[index]

    async def publish_elsewhere(self) -> Answer | None:
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
        neighbours = self._neighbours
        request = neighbours.internal_request(PATH, body, "application/json", hops=self._hops + 1)
        return await neighbours.ask(shard, request, within=WITHIN, may_repeat=False)

    def _placed(self, shard: int, reply: Reply) -> Reply:
        """A refusal whose `index` counts in the request as it came here."""
        try:
            refusal = msgspec.json.decode(reply.body, type=dict[str, msgspec.Raw])
            index = msgspec.json.decode(refusal["index"], type=int)
        except (msgspec.DecodeError, KeyError):
            return reply
        refusal["index"] = msgspec.Raw(b"%d" % self._elsewhere[shard][index][0])
        return Reply(reply.status, reply.headers, msgspec.json.encode(refusal) + b"\n")
