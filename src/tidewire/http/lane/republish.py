"""A request to publish that differs from the one before only in its body.

A publisher sends one after the other on a connection, with the same head but for the length. Where the head is the
same, its parser, its bounds, the address and the secret would say what they said before. A head with anything unusual
in it was never served on the lane, so none is remembered.
"""

import re
from typing import NamedTuple

from tidewire.http.access import Headers
from tidewire.http.lane.bounds import Bounds
from tidewire.http.lane.head import Head
from tidewire.http.lane.publishing import MAX_BYTES
from tidewire.http.request_log import KnownLine

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)\r\n", re.IGNORECASE)
_MOST_DIGITS = len(str(MAX_BYTES))


class Republish(NamedTuple):
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
