"""The head of an answer: its header lines, in one order, as bytes (R6.12).

Nothing here knows a framework: whoever serves a request, by whatever way, takes its lines from here.
"""

from collections.abc import Iterable
from typing import TypeAlias

from tidewire.http.answers import Answer
from tidewire.http.limits import Allowance

Lines: TypeAlias = tuple[tuple[bytes, bytes], ...]

COMMON: Lines = (
    (b"cache-control", b"max-age=0, no-cache, no-store, must-revalidate, private"),
    # In the past, as `max-age=0` has it; a constant costs nothing.
    (b"expires", b"Thu, 01 Jan 1970 00:00:00 GMT"),
    (b"vary", b"Accept-Language, Cookie"),
    (b"content-language", b"en"),
)
"""No answer may be kept by anybody: each is for one client at one moment."""

CLOSE: Lines = ((b"connection", b"close"),)

NO_CONTENT = 204


def head_lines(
    answer: Answer, *, cross_origin: Lines = (), allowance: Allowance | None = None, close: bool = False
) -> list[tuple[bytes, bytes]]:
    """Every header line of an answer but `Date`.

    Args:
        answer: the answer.
        cross_origin: what CORS adds.
        allowance: what is left of the rate limit that the request was counted for.
        close: whether the connection ends with this answer.
    """
    lines = [*COMMON, *cross_origin]
    if allowance is not None:
        lines += (
            (b"x-ratelimit-limit", b"%d" % allowance.limit),
            (b"x-ratelimit-remaining", b"%d" % allowance.remaining),
            (b"x-ratelimit-reset", b"%d" % allowance.reset),
        )
    lines += answer.headers
    if close:
        lines += CLOSE
    if answer.status != NO_CONTENT:
        if answer.pieces is None:
            lines.append((b"content-length", b"%d" % len(answer.body)))
        lines.append((b"content-type", answer.media_type))
    return lines


def written(lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header lines as they stand on the wire, without the empty line behind them."""
    return b"".join([b"%b: %b\r\n" % line for line in lines])
