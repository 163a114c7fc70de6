"""The real server does what its description says, whatever is asked; schemathesis makes the requests."""

import json
import os
import sys
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, seed, settings
from schemathesis import Case, HookContext
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from support.server_process import BEARER, ServerProcess, credentials
from tidewire.http.openapi import Access, document
from tidewire.http.openapi.parameter_rows import QUEUE_ID

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("TIDEWIRE_TEST_SEED", "20261124"))
"""Of the requests that are made up; a failure prints it."""

EXAMPLES = 8
"""Made up for each operation, beside those at the bounds of each parameter."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
    allow_header_conformance,
]
"""Not: that wrong values are refused, for one in the query string does not count beside a form's; and that right
ones are accepted, for some exclude each other."""

SCHEMA = schemathesis.openapi.from_dict(document())

schemathesis.serializer.alias("application/x-ndjson", "text/plain")
# What shards send each other is made by shards; here it is whatever it may be.
schemathesis.serializer.alias("application/msgpack", "text/plain")


@SCHEMA.hook
def map_body(_context: HookContext, body: Any) -> Any:
    """Values of a form are JSON text, as its `encoding` says; schemathesis would take lists apart."""
    if not isinstance(body, dict) or "event" in body:
        return body
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}


@pytest.fixture(scope="module")
def queue_id(shared_server: ServerProcess) -> str:
    """A queue with events in it."""
    sys.stdout.write(f"TIDEWIRE_TEST_SEED={SEED} asks the same again\n")
    queue_id = shared_server.register("ada")
    shared_server.publish_event("ada", type="t")
    return queue_id


@SCHEMA.parametrize()
@seed(SEED)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(case: Case[Any], shared_server: ServerProcess, queue_id: str) -> None:
    if case.method == "GET" and case.query.get("queue_id") == QUEUE_ID.example:
        # A queue that there is, read without a wait.
        case.query |= {"queue_id": queue_id, "dont_block": "true"}
        case.body = NOT_SET
    internal, public = ([tag] == case.operation.tags for tag in (Access.INTERNAL, Access.USER))
    case.call_and_validate(
        base_url=shared_server.url,
        headers=BEARER if internal else credentials("ada"),
        timeout=60,
        # A request without the secret is a 400 (R6.66), which schemathesis takes for none that was refused.
        checks=[*CHECKS, ignored_auth] if public else CHECKS,
    )
