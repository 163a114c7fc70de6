"""Routes, methods and errors: every answer is JSON of the one form (R6.4-R6.6, R6.12)."""

from collections.abc import Mapping
from typing import Literal

import pytest

from support.site import LocalSite
from tidewire.http.app import all_routes
from tidewire.http.context import Compat

ROUTES = sorted(all_routes().items())


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/v1", "/api/v1/nope", "/json/nope", "/api/v1/events/stream"]
)
async def test_an_unknown_path_is_a_404_in_json(local: LocalSite, path: str) -> None:
    """R6.6."""
    answer = await local.ask(None, "GET", path)
    assert (answer.status, answer.json) == (
        404,
        {"result": "error", "msg": "Not Found", "code": "NOT_FOUND"},
    )


@pytest.mark.parametrize("path", ["/api/v1/events/", "/health/live/", "/json/events/", "//health/live"])
@pytest.mark.parametrize("query", [b"", b"a=%ff", b"\xff"])
async def test_a_path_with_a_slash_too_many_is_unknown_too(local: LocalSite, path: str, query: bytes) -> None:
    """R6.6: no redirect, which would send a form and its secret to wherever `Host` says."""
    answer = await local.ask(None, "GET", path, query=query)
    assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(("path", "methods"), ROUTES)
async def test_a_wrong_method_is_told_the_right_ones(
    local: LocalSite, path: str, methods: Mapping[str, object]
) -> None:
    """R6.6, R6.45."""
    allowed = sorted({*methods, "OPTIONS"})
    for method in ("HEAD", "PUT", "PATCH", "TRACE", "PROPFIND", "get"):
        answer = await local.ask("ada", method, path)
        assert (answer.status, answer.headers["allow"]) == (405, ", ".join(allowed))
        assert answer.json == {
            "result": "error",
            "msg": "Method Not Allowed",
            "code": "METHOD_NOT_ALLOWED",
            "allowed_methods": allowed,
        }


@pytest.mark.parametrize(("path", "methods"), ROUTES)
async def test_options_lists_the_methods_without_asking_who(
    local: LocalSite, path: str, methods: Mapping[str, object]
) -> None:
    """R6.6."""
    answer = await local.ask(None, "OPTIONS", path)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["allow"] == ", ".join(sorted({*methods, "OPTIONS"}))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/json/register"),
        ("GET", "/json/events"),
        ("DELETE", "/json/v1/events"),
        ("GET", "/json/users/me"),
        ("GET", "/json/v1/server_settings"),
    ],
)
async def test_json_routes_ask_for_a_session_and_never_take_basic(
    local: LocalSite, method: str, path: str
) -> None:
    """R6.2, R6.3."""
    answer = await local.ask("ada", method, path)
    assert (answer.status, answer.json["code"]) == (401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"] == 'Session realm="zulip"'


async def test_api_routes_ask_for_basic(local: LocalSite) -> None:
    """R6.3."""
    answer = await local.ask(None, "GET", "/api/v1/users/me")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="zulip"')
    assert answer.json["msg"] == "Not logged in: API authentication or user session required"


async def test_answers_end_with_a_newline(local: LocalSite) -> None:
    """R6.4."""
    queue_id = await local.register("ada")
    query = {"queue_id": queue_id, "last_event_id": -1, "dont_block": True, "odd": 1}
    for path, parameters in (("/nope", {}), ("/health/live", {}), ("/api/v1/events", query)):
        answer = await local.ask("ada", "GET", path, query=parameters)
        assert answer.body.endswith(b"}\n")
        assert answer.headers["content-type"] == "application/json"
        assert int(answer.headers["content-length"]) == len(answer.body)


async def test_ignored_parameters_are_named_on_success_only_and_sorted(local: LocalSite) -> None:
    """R6.11, C29."""
    queue_id = await local.register("ada")
    known = {"queue_id": queue_id, "last_event_id": -1, "dont_block": True, "client": "me"}
    answer = await local.ask("ada", "GET", "/api/v1/events", query=known)
    assert "ignored_parameters_unsupported" not in answer.json
    answer = await local.ask("ada", "GET", "/api/v1/events", query={**known, "z": "1", "ü": "1", "a": "1"})
    assert answer.json["ignored_parameters_unsupported"] == ["a", "z", "ü"]
    assert answer.json["events"] == []
    answer = await local.ask("ada", "GET", "/api/v1/events", query={**known, "queue_id": "no", "z": "1"})
    assert (answer.status, "ignored_parameters_unsupported" in answer.json) == (400, False)


async def test_answer_with_events_and_ignored_parameters_is_whole(local: LocalSite) -> None:
    queue_id = await local.register("ada")
    await local.publish("ada", type="t", text='"}\n{')
    query = {"queue_id": queue_id, "last_event_id": -1, "odd": 1}
    answer = await local.ask("ada", "GET", "/api/v1/events", query=query)
    assert answer.json == {
        "result": "success",
        "msg": "",
        "events": [{"type": "t", "text": '"}\n{', "id": 0}],
        "queue_id": queue_id,
        "ignored_parameters_unsupported": ["odd"],
    }


@pytest.mark.parametrize(
    ("setting", "user_agent", "text"),
    [
        ("zulip-term", "ZulipTerminal/0.7.0 (Linux)", "Bad event queue id: no"),
        ("zulip-term", "zulip-term", "Bad event queue id: no"),
        ("zulip-term", "ZulipPython/0.9.1", "Bad event queue ID: no"),
        ("zulip-term", "", "Bad event queue ID: no"),
        ("always", "ZulipPython/0.9.1", "Bad event queue id: no"),
        ("never", "ZulipTerminal/0.7.0", "Bad event queue ID: no"),
    ],
)
async def test_the_older_sentence_is_for_clients_that_read_it(
    local: LocalSite, setting: Literal["always", "never", "zulip-term"], user_agent: str, text: str
) -> None:
    """R6.44, R6.95."""
    local = local.changed(compat=Compat(version="12.0", feature_level=491, bad_queue_text=setting))
    for method in ("GET", "DELETE"):
        query = {"queue_id": "no", "last_event_id": -1}
        answer = await local.ask(
            "ada", method, "/api/v1/events", query=query, headers={"user-agent": user_agent}
        )
        assert (answer.status, answer.json["msg"]) == (400, text)
        assert (answer.json["code"], answer.json["queue_id"]) == ("BAD_EVENT_QUEUE_ID", "no")


async def test_a_foreign_queue_looks_unknown_and_is_logged_with_its_owner(local: LocalSite) -> None:
    """R2.10, R11.9, C9."""
    queue_id = await local.register("bob")
    foreign = {"queue_id": queue_id, "last_event_id": -1}
    for method in ("GET", "DELETE"):
        answer = await local.ask("ada", method, "/api/v1/events", query=foreign)
        unknown = await local.ask("ada", method, "/api/v1/events", query={**foreign, "queue_id": "no"})
        assert answer.body.replace(queue_id.encode(), b"no") == unknown.body
    assert [(entry["level"], entry["queue_id"], entry["owner"]) for entry in local.log] == [
        ("warning", queue_id, 2)
    ] * 2
    assert await local.events("bob", queue_id) == []


async def test_what_should_not_fail_and_does_is_a_500_without_details_and_is_logged(
    local: LocalSite,
) -> None:
    """R6.6."""

    class Broken:
        """An authenticator with a bug."""

        def authenticate(self, *_: str | None) -> object:
            """Fails."""
            raise RuntimeError("details")

        user = realm = authenticate

    answer = await local.changed(authenticator=Broken()).ask("ada", "GET", "/api/v1/users/me", query=b"\xff")
    assert (answer.status, answer.json) == (
        500,
        {"result": "error", "msg": "Internal server error", "code": "INTERNAL_ERROR"},
    )
    assert [(entry["event"], entry["path"]) for entry in local.log] == [
        ("request failed", "/api/v1/users/me")
    ]


async def test_before_and_after_serving_new_work_is_refused_for_now(local: LocalSite) -> None:
    """R9.14, R9.15: reading a queue and ending it stay possible."""
    queue_id = await local.register("ada")
    status = local.context.lifecycle
    for status.ready, status.stopping in ((False, False), (True, True), (False, True)):
        create = {"dont_block": True}
        for answer in (
            await local.ask("ada", "POST", "/api/v1/register"),
            await local.ask("ada", "GET", "/api/v1/events", query=create),
            await local.ask(None, "GET", "/health/ready"),
            await local.internal("/api/internal/notices", body=b'{"event":{"type":"t"},"users":[]}'),
            await local.internal(
                "/api/internal/notify_tornado", form={"data": '{"event":{"type":"t"},"users":[]}'}
            ),
        ):
            assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) >= 1
            assert (answer.headers.get("connection") == "close") is status.stopping
        assert (await local.ask(None, "GET", "/health/live")).status == 200
        assert await local.events("ada", queue_id) == []
    assert local.engine.shard.queues() == 1


async def test_while_stopping_a_poll_does_not_wait(local: LocalSite) -> None:
    """D5."""
    queue_id = await local.register("ada")
    local.context.lifecycle.stopping = True
    query = {"queue_id": queue_id, "last_event_id": -1}
    answer = await local.ask("ada", "GET", "/api/v1/events", query=query)
    assert (answer.json["events"], answer.headers["connection"]) == ([], "close")


async def test_what_is_wrong_although_clients_are_served_is_named(local: LocalSite) -> None:
    assert (await local.ask(None, "GET", "/health/ready")).json == {"result": "success", "msg": ""}
    local.context.lifecycle.degraded.append("bus")
    answer = await local.ask(None, "GET", "/health/ready")
    assert (answer.status, answer.json["degraded"]) == (200, ["bus"])


async def test_a_request_without_a_peer_is_served(local: LocalSite) -> None:
    """As behind a UNIX socket; it is never internal."""
    assert (await local.ask("ada", "GET", "/api/v1/users/me", peer=None)).status == 200
    answer = await local.internal("/api/internal/notices", body=b"{}", peer=None)
    assert answer.status == 403
