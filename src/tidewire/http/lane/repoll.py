"""A poll that differs from the one before only in the event it acknowledges.

That is what nearly every request to this server is. A connection remembers where the number stood and a
digest of everything around it; when both agree, the parser, the parameters and the credentials would say
what they said before, and need not be asked again. Not the bytes themselves are kept: they hold a key.
"""

import math
import re
from hashlib import blake2b
from typing import NamedTuple

from tidewire.core.ids import UserId
from tidewire.http.lane.bounds import Bounds
from tidewire.http.lane.head import Head
from tidewire.http.request_log import KnownLine

DIGEST_SIZE = 16

NUMBER = re.compile(rb"-1|0|[1-9][0-9]{0,17}")
"""An event id as clients write it, in 64 bits; others take the long way."""

NUMBER_BYTES = 18
"""Of an event id at most."""


class Repoll(NamedTuple):
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
