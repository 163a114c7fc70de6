"""Requests that repeat the one before: a poll that only acknowledges further, a publish request with another body.

What the lane remembers of the earlier request saves parsing and authentication. The answers are the same either way.
"""

import math
import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from tidewire.cluster.peers import FORWARDED
from tidewire.core.errors import WireError
from tidewire.core.ids import UserId
from tidewire.core.notices.notice import Notice
from tidewire.http import responses
from tidewire.http.context import ServerContext
from tidewire.http.fanout import is_at_once
from tidewire.http.forwarding import hops_said
from tidewire.http.lane.parsing import NUMBER, Head
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.parameters import SMALL_BYTES
from tidewire.http.request_info import Headers, RequestInfo
from tidewire.http.request_log import PUBLISH_PATH, KnownLine
from tidewire.http.responses import Response
from tidewire.http.views.publish import notices_of

DIGEST_SIZE = 16


NUMBER_BYTES = 18
"""Of an event id at most."""


class RememberedPoll(NamedTuple):
    """What is remembered of a poll that was answered or parked.

    Attributes:
        start: where in the request the number begins.
        digest: of the request without the number.
        generation: of the users that the credentials were checked against.
        line: what the log says of every such poll.
        known_until: from when on the credentials must be looked at again.
        ends_at: when the right to poll ends.
    """

    start: int
    digest: bytes
    generation: int
    queue_id: str
    user_id: UserId
    block: bool
    line: KnownLine
    known_until: float = math.inf
    ends_at: float = math.inf

    def acknowledged(self, request: bytes) -> int | None:
        """The number, if the request is the same but for it."""
        number = NUMBER.match(request, self.start)
        if number is None or _digest(request, self.start, number.end()) != self.digest:
            return None
        return int(number[0])


def digest_of(head: Head, bounds: Bounds) -> tuple[int, bytes] | None:
    """Where the number stands in a request, and the digest of the rest.

    None when it can't be told from others, or when a longer number would be beyond the bounds.
    """
    request = head.raw
    if (
        len(request) + NUMBER_BYTES > bounds.head_bytes
        or len(head.target) + NUMBER_BYTES > bounds.target_bytes
    ):
        return None
    line = request.partition(b"\r\n")[0]
    name = b"last_event_id="
    if line.count(name) != 1:
        return None
    start = line.index(name) + len(name)
    number = NUMBER.match(request, start)
    return None if number is None else (start, _digest(request, start, number.end()))


def _digest(request: bytes, start: int, end: int) -> bytes:
    digest = blake2b(request[:start], digest_size=DIGEST_SIZE)
    digest.update(request[end:])
    return digest.digest()


PATH = PUBLISH_PATH.encode()


MAX_BYTES = 128 * 1024
"""Of a body that is served here: a hundred notices, or one for some thousand users."""


MAX_OBJECTS = 400
"""In it: no more notices than take a millisecond."""


MAX_VALUES = 20_000
"""In it, by its commas: no more than take a millisecond."""


COUNTS = 64
"""Answers that are kept: publishers send single notices, or batches of the same size."""


class Confirmation:
    """The engine's slot of one request to publish."""

    __slots__ = ("_done", "_info")

    def __init__(self, info: RequestInfo, done: Callable[[RequestInfo, Response], None]) -> None:
        self._info = info
        self._done = done

    def complete(self, answer: int) -> None:
        """Takes how many notices were taken."""
        self._done(self._info, confirmation(answer))


class Repetition:
    """The engine's slot of one request to publish whose head was known."""

    __slots__ = ("_began", "_done", "_number")

    def __init__(self, began: float, number: int, done: Callable[[float, int, int], None]) -> None:
        self._began = began
        self._number = number
        self._done = done

    def complete(self, answer: int) -> None:
        """Takes how many notices were taken."""
        self._done(self._began, self._number, answer)


@lru_cache(maxsize=COUNTS)
def confirmation(accepted: int) -> Response:
    """The answer to a request whose notices were taken."""
    return responses.success({"accepted": accepted})


def body_length(head: Head) -> int | None:
    """How long the body is; None when the request is for the ordinary route: no length, too long, or asking first."""
    length = head.length
    if length is None or length > MAX_BYTES or b"expect" in head.names:
        return None
    return length if b"content-length" in head.names else None


def is_detour(head: Head) -> bool:
    """Whether it was sent on more than once.

    What it brings may be one of several parts, which only the ordinary route tells apart (`Spread`).
    """
    said = head.value(FORWARDED.encode())
    return said is not None and hops_said(said.decode("latin-1")) > 1


def is_admitted(info: RequestInfo, context: ServerContext) -> bool:
    """Whether the request comes from inside and knows the secret; one that doesn't is refused elsewhere."""
    try:
        context.access.check_address(info.peer, info.headers)
        context.access.check_secret(info.headers, None)
    except WireError:
        return False
    return True


def read_notices(body: bytes, context: ServerContext) -> list[Notice] | Exception | None:
    """The notices of a body, or what is wrong with it, to be raised once the request is taken.

    None when it is for the ordinary route: reading or carrying them out would hold the loop, so that is done there in
    slices; or some are for other shards.
    """
    if len(body) > SMALL_BYTES and (body.count(b"{") > MAX_OBJECTS or body.count(b",") > MAX_VALUES):
        return None
    try:
        taken = notices_of(body)
    except Exception as error:  # noqa: BLE001 - whatever it is, the connection gets an answer
        return error
    if not is_at_once(taken) or not (context.peers is None or context.peers.serves_all(taken)):
        return None
    return taken


_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)\r\n", re.IGNORECASE)


_MOST_DIGITS = len(str(MAX_BYTES))


class RememberedHead(NamedTuple):
    """What is remembered of a request to publish that was let in.

    Attributes:
        before: its head up to the length of the body.
        after: the rest of its head.
        headers: the head as the ordinary routes have it, for an answer that is no success.
        line: what the log says of every such request.
    """

    before: bytes
    after: bytes
    headers: Headers
    line: KnownLine

    def body_of(self, request: bytes) -> bytes | None:
        """The body of a request with the same head that has come whole, and nothing behind it; else None."""
        before, after = self.before, self.after
        if not request.startswith(before):
            return None
        start = len(before)
        end = request.find(b"\r", start, start + _MOST_DIGITS + 1)
        digits = request[start:end]
        if end < 0 or not digits.isdigit() or not request.startswith(after, end):
            return None
        length, body_at = int(digits), end + len(after)
        if length > MAX_BYTES or len(request) != body_at + length:
            return None
        return request[body_at:]


def parts_of(head: Head, bounds: Bounds) -> tuple[bytes, bytes] | None:
    """A head before and behind the length of its body.

    None when that can't be told from others, or when a longer number would be beyond the bounds.
    """
    raw = head.raw
    if len(raw) + _MOST_DIGITS > bounds.head_bytes:
        return None
    found = _LENGTH.search(raw)
    if found is None or _LENGTH.search(raw, found.start() + 1) is not None:
        return None
    return raw[: found.start(1)], raw[found.end(1) :]
