"""Whatever a request holds, it is answered below 500 and nothing is logged as a failure (R6.6)."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import asgi
from support.server_process import SECRET, credentials
from support.site import local_site
from tidewire.http.app import all_routes

PARAMETERS = [
    "queue_id",
    "last_event_id",
    "dont_block",
    "event_types",
    "narrow",
    "client_capabilities",
    "idle_queue_timeout",
    "lifespan_secs",
    "all_public_streams",
    "client_gravatar",
    "client",
    "user_client",
    "user_profile_id",
    "realm_id",
    "secret",
    "data",
    "fetch_event_types",
]

odd_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
values = st.one_of(
    odd_json.map(json.dumps),
    st.text(max_size=20).filter(
        lambda text: not any(0xD800 <= ord(character) < 0xE000 for character in text)
    ),
    st.sampled_from(
        ["-1", "0", "null", "true", "mobile", "queue-0", "queue-1", '[["is","unread"]]', "website"]
    ),
)
parameters = st.dictionaries(st.sampled_from(PARAMETERS) | st.text("abc", max_size=3), values, max_size=6)
header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)
headers = st.fixed_dictionaries(
    {},
    optional={
        "user-agent": header_text | st.sampled_from(["ZulipMobile/27.1", "ZulipTerminal/0.7"]),
        "host": header_text,
        "content-type": header_text
        | st.sampled_from(
            [
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=B",
                "multipart/form-data; boundary=B; charset=unicode_escape",
            ]
        ),
        "x-forwarded-for": header_text,
        "origin": header_text,
    },
)
authorizations = (
    st.sampled_from(
        [credentials("ada")["Authorization"], credentials("gil")["Authorization"], f"Bearer {SECRET}"]
    )
    | header_text
)
bodies = st.binary(max_size=60) | values.map(
    lambda text: b'--B\r\nContent-Disposition: form-data; name="data"\r\n\r\n%b\r\n--B--\r\n' % text.encode()
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "OPTIONS", "HEAD"]),
    path=st.sampled_from(sorted(all_routes())) | st.text(max_size=10).map(lambda text: f"/{text}"),
    query=parameters | st.binary(max_size=30),
    form=st.none() | parameters,
    body=bodies,
    headers=headers,
    authorization=authorizations,
)
def test_no_request_is_a_failure(authorization: str, headers: dict[str, str], **request: Any) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(ask(Path(directory), {**headers, "authorization": authorization}, **request))


async def ask(directory: Path, headers: dict[str, str], *, method: str, path: str, **request: Any) -> None:
    local = local_site(directory)
    for name in ("ada", "gil"):
        await local.register(name)
    if request["form"] is not None:
        del request["body"]
    exchange = asgi.begin(local.app, method, path, headers=headers, **request)
    await asgi.settle()
    if not exchange.is_answered:
        # A poll that waits, which is right too.
        assert local.engine.waiting() == 1
        exchange.disconnect()
    answer = await exchange.answer()
    assert answer.status < 500
    body = json.loads(answer.body or b"[]")
    if isinstance(body, dict) and "openapi" not in body:  # that, and a dump, stand without the envelope
        assert body["result"] == ("success" if answer.status == 200 else "error")
    assert [entry for entry in local.log if entry["level"] == "error"] == []
