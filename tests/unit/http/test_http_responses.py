"""The envelopes of answers (R6.4, R6.5, R6.11, R6.39)."""

import json
from typing import Any

import pytest

from tidewire.core.errors import (
    AccessDenied,
    BadEventQueueId,
    MethodNotAllowed,
    MissingParameter,
    Unauthorized,
    Unavailable,
    WireError,
)
from tidewire.core.ids import QueueId
from tidewire.core.state.state import Batch
from tidewire.http import responses
from tidewire.http.responses import Response


def decoded(response: Response) -> dict[str, Any]:
    assert response.body.endswith(b"}\n")
    content = json.loads(response.body)
    assert isinstance(content, dict)
    return content


def test_success_puts_the_payload_beside_the_envelope() -> None:
    """R6.4."""
    response = responses.success({"queue_id": "q"})
    assert (response.status, decoded(response)) == (
        200,
        {"result": "success", "msg": "", "queue_id": "q"},
    )
    assert response.media_type == b"application/json"


@pytest.mark.parametrize("ignored", [None, []])
def test_nothing_ignored_is_not_mentioned(ignored: list[str] | None) -> None:
    """R6.11."""
    assert "ignored_parameters_unsupported" not in decoded(responses.success({}, ignored=ignored))


@pytest.mark.parametrize("ignored", [[], ["a", '"}\n', "ü"]])
@pytest.mark.parametrize(
    "entries",
    [(), ((7, b'{"type":"t"', b""),), ((7, b'{"type":"t"', b',"flags":[]'), (9, b'{"type":"}\\n"', b""))],
)
def test_a_spliced_answer_is_what_encoding_it_whole_would_give(
    entries: tuple[tuple[int, bytes, bytes], ...], ignored: list[str]
) -> None:
    """R6.39, D2."""
    events = [json.loads(body + suffix + b"}") | {"id": number} for number, body, suffix in entries]
    whole = {"result": "success", "msg": "", "events": events, "queue_id": '"}\n'}
    if ignored:
        whole["ignored_parameters_unsupported"] = ignored
    assert decoded(responses.events(Batch(QueueId('"}\n'), entries), ignored=ignored)) == whole


@pytest.mark.parametrize(
    ("error", "status", "members", "header"),
    [
        (MissingParameter("x"), 400, {"code": "REQUEST_VARIABLE_MISSING", "var_name": "x"}, None),
        (BadEventQueueId("q"), 400, {"code": "BAD_EVENT_QUEUE_ID", "queue_id": "q"}, None),
        (AccessDenied(), 403, {"code": "BAD_REQUEST", "msg": "Access denied"}, None),
        (Unauthorized("no"), 401, {"code": "UNAUTHORIZED"}, ("www-authenticate", 'Basic realm="zulip"')),
        (Unavailable("later"), 503, {"code": "SERVICE_UNAVAILABLE"}, ("retry-after", "1")),
        (MethodNotAllowed(["GET"]), 405, {"allowed_methods": ["GET"]}, ("allow", "GET")),
    ],
)
def test_failure_has_status_code_sentence_data_and_headers(
    error: WireError, status: int, members: dict[str, Any], header: tuple[str, str] | None
) -> None:
    """R6.5, R6.6."""
    response = responses.failure(error)
    content = decoded(response)
    assert (response.status, content["result"]) == (status, "error")
    assert {**content, **members} == content
    assert isinstance(content["msg"], str)
    if header is not None:
        assert (header[0].encode(), header[1].encode()) in response.headers
