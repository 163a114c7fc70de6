"""Responses as values: the success and error envelopes, and the lines of the head."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from tidewire.core.errors import WireError
from tidewire.core.events.encoding import encode_answer
from tidewire.core.state.state import Batch
from tidewire.http.rate_limits import Allowance

_ENCODER = msgspec.json.Encoder()


IGNORED = "ignored_parameters_unsupported"
"""Names the parameters of a successful request that had no effect (R6.11)."""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, before it is decided what else its head says (`http/responses.py`)."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: bytes = b"application/json"
    pieces: AsyncIterator[bytes] | None = None
    """A body that comes piece by piece and whose length isn't known, in place of `body`."""


def success(payload: Mapping[str, Any], *, ignored: list[str] | None = None) -> Response:
    """The success envelope around a payload; parameters that were ignored are named (R6.11)."""
    body = {"result": "success", "msg": "", **payload}
    if ignored:
        body[IGNORED] = ignored
    return Response(200, _ENCODER.encode(body) + b"\n")


def events(batch: Batch, *, ignored: list[str]) -> Response:
    """The answer to a poll, spliced from shared bytes (D2)."""
    members = {IGNORED: ignored} if ignored else None
    return Response(200, encode_answer(batch.queue_id, batch.entries, members))


def failure(error: WireError) -> Response:
    """The error envelope, with the error's code, sentence and data (R6.5)."""
    body = {"result": "error", "msg": error.message, "code": error.code, **error.data}
    headers = tuple((name.lower().encode(), value.encode()) for name, value in error.headers.items())
    return Response(error.http_status, _ENCODER.encode(body) + b"\n", headers)


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
    response: Response, *, cross_origin: Lines = (), allowance: Allowance | None = None, close: bool = False
) -> list[tuple[bytes, bytes]]:
    """Every header line of an answer but `Date`.

    Args:
        response: the answer.
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
    lines += response.headers
    if close:
        lines += CLOSE
    if response.status != NO_CONTENT:
        if response.pieces is None:
            lines.append((b"content-length", b"%d" % len(response.body)))
        lines.append((b"content-type", response.media_type))
    return lines


def written(lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header lines as they stand on the wire, without the empty line behind them."""
    return b"".join([b"%b: %b\r\n" % line for line in lines])
