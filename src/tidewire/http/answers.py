"""Answers: the success and error envelopes, and the headers that every answer carries (R6.4-R6.6, R6.12)."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from tidewire.core.errors import WireError
from tidewire.core.state import Batch
from tidewire.core.wire import encode_answer

_ENCODER = msgspec.json.Encoder()

IGNORED = "ignored_parameters_unsupported"
"""Names the parameters of a successful request that had no effect (R6.11)."""

NO_CACHE = "max-age=0, no-cache, no-store, must-revalidate, private"
"""No answer may be kept by anybody: each is for one client at one moment (R6.12)."""


def success(payload: Mapping[str, Any], *, ignored: list[str] | None = None) -> Response:
    """The success envelope around a payload; parameters that were ignored are named (R6.11)."""
    body = {"result": "success", "msg": "", **payload}
    if ignored:
        body[IGNORED] = ignored
    return json_answer(_ENCODER.encode(body) + b"\n")


def events(batch: Batch, *, ignored: list[str]) -> Response:
    """The answer to a poll, spliced from shared bytes (D2)."""
    members = {IGNORED: ignored} if ignored else None
    return json_answer(encode_answer(batch.queue_id, batch.entries, members))


def failure(error: WireError) -> Response:
    """The error envelope, with the error's code, sentence and data (R6.5)."""
    body = {"result": "error", "msg": error.message, "code": error.code, **error.data}
    return json_answer(_ENCODER.encode(body) + b"\n", status=error.http_status, headers=error.headers)


def json_answer(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that is encoded already."""
    return Response(
        body,
        status_code=status,
        headers={"Cache-Control": NO_CACHE, **(headers or {})},
        media_type="application/json",
    )
