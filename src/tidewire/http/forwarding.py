"""Requests of users whom another shard serves: sent on, in the way of `shards.wrong_shard` (D7, R9.10-R9.13, D-10)."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.requests import Request

from tidewire.cluster.peers import BROKEN, FORWARDED, GONE, MOST_HOPS, Peers, Reply
from tidewire.core.errors import Unavailable
from tidewire.core.events.encoding import encode_answer
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import User
from tidewire.http import responses
from tidewire.http.context import ServerContext
from tidewire.http.parameters import MAX_FORM_BYTES, query_parameters, read_body
from tidewire.http.request_info import note_of
from tidewire.http.responses import Response

POLL_WITHIN = 120.0
"""Seconds: a poll is answered after 85 at the latest, with a heartbeat."""

ANSWER_WITHIN = 10.0

DELETE_WITHIN = 3.0
"""Short, because there may be another way (D-10)."""

FORM = "application/x-www-form-urlencoded"

NOT_PASSED_ON = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-for",
        # Whether a page may read the answer is said here, by the shard that gives it.
        b"origin",
        FORWARDED.encode(),
    }
)
"""Headers of the one connection, and those that are written anew."""

PASSED_BACK = frozenset({b"allow", b"retry-after", b"www-authenticate"})


async def answer_from_elsewhere(request: Request, context: ServerContext, user: User) -> Response | None:
    """The answer to the request of a user who is another shard's; None when the user is this shard's.

    To be asked once it is known who asks, and before the body is read.

    Raises:
        Unavailable: the other shard does not answer, or the request has been sent on too often.
    """
    peers = context.peers
    if peers is None or peers.serves(user):
        return None
    shard = await peers.locate(user.id, user.realm_id)
    if shard == peers.index:
        return None
    hops = next_hop(request, peers)
    if peers.mode == "redirect" and hops == 1 and peers.before is None:
        return _redirect(request, peers.map.shards[shard].port)
    body = await read_body(request, MAX_FORM_BYTES)
    sending = _SendingOn(request, body, context, peers, shard, hops)
    if request.method == "DELETE":
        return await sending.delete(user.id)
    if request.method == "GET":
        ending = query_parameters(request).get("queue_id")
        return await sending.ask(
            within=POLL_WITHIN, may_repeat=True, if_stopping=BROKEN if ending is None else _empty(ending)
        )
    return await sending.ask(within=ANSWER_WITHIN)


def hops_of(request: Request) -> int:
    """How often a request has been sent on."""
    return hops_said(request.headers.get(FORWARDED))


def hops_said(said: str | None) -> int:
    """How many shards a request has passed, from the value of its header."""
    if said is None:
        return 0
    return max(map(int, _digits(said)), default=1)


def hops_of_each(request: Request, count: int) -> Sequence[int]:
    """How many shards each of the notices in a request has passed; they may have come by different ways."""
    said = _digits(request.headers.get(FORWARDED, ""))
    if len(said) == count > 1:
        return [int(digit) for digit in said]
    return [hops_of(request)] * count


def hops_text(hops: Sequence[int]) -> str:
    """What the header says of notices that are sent on: a digit for each, or one if they are alike."""
    return f"{hops[0]}" if len(set(hops)) == 1 else "".join(map(str, hops))


def _digits(said: str) -> str:
    digits = said.partition(" ")[2].strip()
    return digits if digits.isascii() and digits.isdigit() else ""


def next_hop(request: Request, peers: Peers) -> int:
    """How often it will have been, when it is sent on once more.

    Raises:
        Unavailable: that would be too often.
    """
    return check_hop(hops_of(request) + 1, peers)


def check_hop(hops: int, peers: Peers) -> int:
    """The number, if it is not too high.

    Raises:
        Unavailable: it is: shards disagree, and it would go round for ever.
    """
    if hops > MOST_HOPS:
        version = peers.map.version
        raise Unavailable(f"This user is not this shard's by its map, version {version}; try again")
    return hops


def _redirect(request: Request, port: int) -> Response:
    """The proxy repeats the request there; only a path can carry a query, and only a name keeps method and body."""
    place = b"@tidewire_%d" % port
    if request.method == "GET":
        place = b"/internal/tornado/%d%b" % (port, _target(request))
    return Response(200, headers=((b"x-accel-redirect", place),))


@dataclass(frozen=True, slots=True)
class _SendingOn:
    """A request on its way to another shard."""

    request: Request
    body: bytes
    site: ServerContext
    neighbours: Peers
    shard: int
    hops: int

    async def ask(self, *, within: float, may_repeat: bool = False, if_stopping: Reply = BROKEN) -> Response:
        """What the other shard says."""
        request = _passed_on(self.request, self.body, self.neighbours.map.version, self.hops)
        return await _asked(
            self.request,
            self.site,
            self.neighbours.ask(
                self.shard,
                request,
                within=within,
                may_repeat=may_repeat,
                receive=self.request.receive,
                if_stopping=if_stopping,
            ),
        )

    async def delete(self, user_id: UserId) -> Response:
        """Forwards a DELETE (D-10). If the other shard does not answer, the bus is told instead, where there is one."""
        try:
            return await self.ask(within=DELETE_WITHIN)
        except Unavailable as away:
            form = dict(parse_qsl(self.body.decode("latin-1")))
            queue_id = (query_parameters(self.request) | form).get("queue_id")
            by_bus = self.neighbours.by_bus
            if by_bus is None or queue_id is None:
                raise
            event = {"queue_id": queue_id, "type": "cleanup_queue"}
            try:
                async with asyncio.timeout(DELETE_WITHIN):
                    await by_bus(self.shard, msgspec.json.encode({"users": [user_id], "event": event}))
            except TimeoutError:
                raise away from None
        return responses.success({})


async def _asked(request: Request, context: ServerContext, asking: Awaitable[Reply]) -> Response:
    """Another shard's reply as this one's answer, with the wait for it noted: it is no work of this one's."""
    info = note_of(request)
    began = context.timer()
    reply = await asking
    info.waited = context.timer() - began
    info.gone = reply is GONE
    return answer_of(reply)


async def internal_from_elsewhere(
    request: Request, context: ServerContext, form: dict[str, str], user_id: UserId, realm_id: RealmId | None
) -> Response | None:
    """Forwards an internal request on a user's behalf; its form, without the secret, has been read.

    Raises:
        Unavailable: the other shard does not answer, or the request has been sent on too often.
    """
    peers = context.peers
    if peers is None:
        return None
    shard = await peers.locate(user_id, realm_id)
    if shard == peers.index:
        return None
    hops = next_hop(request, peers)
    queue_id = form.get("queue_id")
    return await _asked(
        request,
        context,
        peers.ask(
            shard,
            peers.internal_request(request.scope["path"], urlencode(form).encode(), FORM, hops=hops),
            within=POLL_WITHIN,
            may_repeat=queue_id is not None,
            receive=request.receive,
            if_stopping=BROKEN if queue_id is None else _empty(queue_id),
        ),
    )


def answer_of(reply: Reply) -> Response:
    """Another shard's reply as this one's answer."""
    headers = tuple(line for line in reply.headers if line[0] in PASSED_BACK)
    return Response(reply.status, reply.body, headers, reply.header(b"content-type") or b"application/json")


def _target(request: Request) -> bytes:
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return b"%b?%b" % (path, query) if query else path


def _passed_on(request: Request, body: bytes, version: int, hops: int) -> bytes:
    """The request as the other shard gets it: the same, and where it has been."""
    lines = [line for line in request.scope["headers"] if line[0] not in NOT_PASSED_ON]
    info = note_of(request)
    addresses = [*info.headers.getlist("x-forwarded-for"), *([info.peer] if info.peer else [])]
    lines += [
        (b"x-forwarded-for", ", ".join(addresses).encode("latin-1")),
        (FORWARDED.encode(), b"%d %d" % (version, hops)),
    ]
    if "host" not in request.headers:
        lines.append((b"host", b"shard"))
    if body or request.method == "POST":
        lines.append((b"content-length", b"%d" % len(body)))
    head = b"".join(b"%b: %b\r\n" % line for line in lines)
    return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (request.method.encode(), _target(request), head, body)


def _empty(queue_id: str) -> Reply:
    """What ends a poll that waits elsewhere when this server stops: no events, which every client understands (D5)."""
    return Reply(200, (), encode_answer(queue_id, ()))
