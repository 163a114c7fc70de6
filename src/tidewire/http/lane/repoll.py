"""A poll that differs from the one before only in the event it acknowledges.

That is what nearly every request to this server is. A connection remembers what stood before the number and behind it;
when both are the same, the parser, the parameters and the credentials would say what they said before, and need not be
asked again.
"""

import math
import re
from typing import NamedTuple

from tidewire.core.ids import UserId
from tidewire.http.request_log import KnownLine

MOST_BYTES = 4096
"""Of a request that is remembered, for as long as its connection; a longer one, full of cookies, is looked at each time."""

NUMBER = re.compile(rb"-1|0|[1-9][0-9]{0,17}")
"""An event id as clients write it, in 64 bits; others take the long way."""


class Repoll(NamedTuple):
    """What is remembered of a poll that was answered or parked.

    Attributes:
        before: the request up to the number.
        after: the rest of it.
        generation: of the users that the credentials were checked against.
        line: what the log says of every such poll.
        known_until: from when on the credentials must be looked at again.
        ends_at: when the right to poll ends.
    """

    before: bytes
    after: bytes
    generation: int
    queue_id: str
    user_id: UserId
    block: bool
    line: KnownLine
    known_until: float = math.inf
    ends_at: float = math.inf

    def acknowledged(self, request: bytes) -> int | None:
        """The number, if the request is the same but for it."""
        before, after = self.before, self.after
        if not (request.startswith(before) and request.endswith(after)):
            return None
        number = NUMBER.fullmatch(request, len(before), len(request) - len(after))
        return None if number is None else int(number[0])


def parts_around(request: bytes) -> tuple[bytes, bytes] | None:
    """A request before the number and behind it; None when that can't be told from others, or is too long to keep."""
    line = request.partition(b"\r\n")[0]
    name = b"last_event_id="
    if line.count(name) != 1 or len(request) > MOST_BYTES:
        return None
    start = line.index(name) + len(name)
    number = NUMBER.match(request, start)
    if number is None or request[number.end() : number.end() + 1].isdigit():
        return None
    return request[:start], request[number.end() :]
