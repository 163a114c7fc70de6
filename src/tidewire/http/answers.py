"""Answers: the success and error envelopes (R6.4-R6.6), as values that any way of serving can send."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tidewire.core.errors import WireError
from tidewire.core.state import Batch
from tidewire.core.wire import encode_answer

_ENCODER = msgspec.json.Encoder()

IGNORED = "ignored_parameters_unsupported"
"""Names the parameters of a successful request that had no effect (R6.11)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, before it is decided what else its head says (`http/head.py`)."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: bytes = b"application/json"
    pieces: AsyncIterator[bytes] | None = None
    """A body that comes piece by piece and whose length isn't known, in place of `body`."""


def success(payload: Mapping[str, Any], *, ignored: list[str] | None = None) -> Answer:
    """The success envelope around a payload; parameters that were ignored are named (R6.11)."""
    body = {"result": "success", "msg": "", **payload}
    if ignored:
        body[IGNORED] = ignored
    return Answer(200, _ENCODER.encode(body) + b"\n")


def events(batch: Batch, *, ignored: list[str]) -> Answer:
    """The answer to a poll, spliced from shared bytes (D2)."""
    members = {IGNORED: ignored} if ignored else None
    return Answer(200, encode_answer(batch.queue_id, batch.entries, members))


def failure(error: WireError) -> Answer:
    """The error envelope, with the error's code, sentence and data (R6.5)."""
    body = {"result": "error", "msg": error.message, "code": error.code, **error.data}
    headers = tuple((name.lower().encode(), value.encode()) for name, value in error.headers.items())
    return Answer(error.http_status, _ENCODER.encode(body) + b"\n", headers)
