"""The log of requests: one entry each, its fields, its line, and what is never in it (section 11)."""

import io
import json
from typing import Any

import pytest

from support import asgi
from support.site import LocalSite
from tidewire.http.request_log import SHOWN_BODY, SHOWN_PATH
from tidewire.observability.log import build_log
from tidewire.observability.request_entries import console_line

REQUEST = {
    "address": "10.0.0.7",
    "method": "GET",
    "status": 200,
    "duration_ms": 2.3,
    "path": "/api/v1/events",
    "who": "31@acme",
    "client": "ZulipPython",
    "version": "0.9.1",
}


def test_a_line_has_its_fields_in_order_and_in_columns() -> None:
    """R11.1: fifteen, seven, three and five wide."""
    poll = {"waited_s": 47.12, "queue_id": "0b9a6c52", "events": 1, "type": "heartbeat"}
    assert console_line(REQUEST | poll) == (
        "10.0.0.7        GET     200   2ms (lp: 47.1s) /api/v1/events [0b9a6c52/1/heartbeat] "
        "(31@acme via ZulipPython/0.9.1)"
    )


@pytest.mark.parametrize(
    ("milliseconds", "shown"), [(0.2, "  0ms"), (12.4, " 12ms"), (999.4, "999ms"), (1234, " 1.2s")]
)
def test_a_duration_is_in_seconds_from_one_second_on(milliseconds: float, shown: str) -> None:
    """R11.1."""
    assert f" 200 {shown} /" in console_line(REQUEST | {"duration_ms": milliseconds})


@pytest.mark.parametrize(
    ("poll", "extra"),
    [
        ({"events": 0}, "[q/0]"),
        ({"events": 3}, "[q/3]"),
        ({"events": 1, "type": "t"}, "[q/1/t]"),
        ({"events": 2, "displaced": True}, "[q/2] [was connected]"),
    ],
)
def test_a_poll_says_how_many_events_there_really_were(poll: dict[str, Any], extra: str) -> None:
    """R11.4, R11.5, D-18."""
    assert f"/api/v1/events {extra} (31@" in console_line(REQUEST | {"queue_id": "q"} | poll)


def test_no_line_can_be_forged_or_move_the_cursor() -> None:
    line = console_line(REQUEST | {"path": "/a\n2026 [info] \x1b[2J\u202e\x9b", "client": "x\r\ny"})
    assert line.isprintable()
    assert "/a\\n2026 [info] \\x1b[2J\\u202e\\x9b" in line


async def test_every_request_has_an_entry(local: LocalSite) -> None:
    """R11.1, R11.3: who, by which program, and without the query string."""
    agent = {"user-agent": "ZulipPython/0.9.1 (Debian; 12)"}
    await local.ask("ada", "GET", "/api/v1/users/me", headers=agent, query={"odd": "planted"})
    await local.ask(None, "GET", "/nope", peer=("192.0.2.7", 1))
    await local.ask(None, "POST", "/json/register", headers={"user-agent": "Mozilla/5.0 (X11)"})
    await local.internal("/api/internal/notices", body=b'{"event":{"type":"t"},"users":[]}')
    known = {"duration_ms": 0.0, "client": "Unspecified"}
    loopback = {**known, "address": "127.0.0.1"}
    assert local.logged("request") == [
        {
            **loopback,
            "method": "GET",
            "status": 200,
            "path": "/api/v1/users/me",
            "who": "1@test.example",
            "client": "ZulipPython",
            "version": "0.9.1",
        },
        {**known, "address": "192.0.2.7", "method": "GET", "status": 404, "path": "/nope", "who": "unauth"},
        {
            **loopback,
            "method": "POST",
            "status": 401,
            "path": "/json/register",
            "who": "unauth",
            "client": "website",
        },
        {**loopback, "method": "POST", "status": 200, "path": "/api/internal/notices", "who": "internal"},
    ]


async def test_the_client_parameter_wins_and_an_unparsable_one_is_named_so(local: LocalSite) -> None:
    """R6.20."""
    for name in ("bridge", "a\nb"):
        query = {"client": name}
        await local.ask("ada", "GET", "/api/v1/users/me", query=query, headers={"user-agent": "curl/8"})
    assert [entry["client"] for entry in local.logged("request")] == ["bridge", "Unparsable"]


async def test_what_is_far_too_long_is_cut(local: LocalSite) -> None:
    agent = {"user-agent": "ZulipX/" + "9" * 100_000}
    await local.ask(None, "GET", "/" + "x" * 100_000, headers=agent)
    (entry,) = local.logged("request")
    assert (len(entry["path"]), len(entry["version"])) == (SHOWN_PATH + 3, 30)


async def test_a_poll_that_waited_counts_its_work_alone(local: LocalSite) -> None:
    """R11.2, R11.5."""
    queue_id = await local.register("ada")
    poll = await local.park("ada", queue_id)
    local.clock.advance(47)
    await local.publish("ada", type="ping")
    await poll.answer()
    (entry,) = [entry for entry in local.logged("request") if entry["method"] == "GET"]
    assert (entry["waited_s"], entry["duration_ms"]) == (47.0, 0.0)
    assert (entry["queue_id"], entry["events"], entry["type"]) == (queue_id, 1, "ping")
    assert local.logged("slow request") == []


async def test_a_poll_that_takes_anothers_place_is_told_of(local: LocalSite) -> None:
    """R11.4, R11.6: in its own entry when answered at once, in one of its own when it then waits."""
    queue_id = await local.register("ada", client="first")
    await local.park("ada", queue_id)
    second = await local.park("ada", queue_id)
    assert local.logged("poll displaced") == [{"queue_id": queue_id, "user_id": 1, "client": "first"}]
    await local.events("ada", queue_id)
    await second.answer()
    displaced = [entry.get("displaced") for entry in local.logged("request") if entry["method"] == "GET"]
    assert sorted(displaced, key=bool) == [None, None, True]


async def test_a_client_that_went_away_leaves_no_entry_of_an_answer(local: LocalSite) -> None:
    """R6.16, R11.7."""
    queue_id = await local.register("ada", client="me")
    poll = await local.park("ada", queue_id)
    poll.disconnect()
    await poll.answer()
    assert local.logged("client disconnected") == [{"queue_id": queue_id, "user_id": 1, "client": "me"}]
    broken = local.begin(
        "ada",
        "POST",
        "/api/v1/register",
        body=[b"a", b"b"],
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    broken.take_back()
    broken.disconnect()
    await broken.answer()
    assert [entry["path"] for entry in local.logged("request")] == ["/api/v1/register"]


async def test_a_foreign_queue_is_logged_with_both_users(local: LocalSite) -> None:
    """R11.9."""
    queue_id = await local.register("bob", client="theirs")
    query = {"queue_id": queue_id, "last_event_id": -1}
    await local.ask("ada", "GET", "/api/v1/events", query=query)
    assert local.logged("queue of another user asked for") == [
        {"queue_id": queue_id, "user_id": 1, "owner": 2, "client": "theirs"}
    ]


async def test_a_refusal_is_logged_with_its_answer_unless_that_says_nothing_more(local: LocalSite) -> None:
    """R11.15."""
    queue = {"queue_id": "q" * SHOWN_BODY, "last_event_id": -1}
    await local.ask("ada", "GET", "/api/v1/events", query=queue)
    await local.ask("ada", "GET", "/api/v1/events")
    for name, method, path in ((None, "GET", "/api/v1/events"), ("ada", "GET", "/no"), ("ada", "PUT", "/no")):
        await local.ask(name, method, path)
    first, second = local.logged("refused")
    assert (first["status"], first["who"]) == (400, "1@test.example")
    assert "not shown" in first["answer"]
    assert json.loads(second["answer"])["msg"] == "Missing 'queue_id' argument"


async def test_a_slow_request_is_logged_as_one_too(local: LocalSite) -> None:
    """R11.16."""
    clock = iter([0.0, 1.3])
    local = local.changed(timer=lambda: next(clock))
    await local.ask("ada", "GET", "/api/v1/users/me")
    (entry,) = local.logged("slow request")
    assert (entry["path"], entry["duration_ms"]) == ("/api/v1/users/me", 1300.0)
    assert [entry["level"] for entry in local.whole_log] == ["info", "warning"]


async def test_notices_are_logged_at_debug_without_their_content(local: LocalSite) -> None:
    """R11.12, R11.18."""
    await local.publish("ada", "bob", type="t", content="planted")
    assert local.logged("notice") == [{"type": "t", "users": 2, "duration_ms": 0.0}]
    assert "planted" not in local.log_stream.getvalue()


async def test_above_info_nothing_is_put_together(local: LocalSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a log that nobody reads."""
    stream = io.StringIO()
    local = local.changed(log=build_log(form="json", level="warning", stream=stream))

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("tidewire.http.request_log.RequestLog._entry", fail)
    answer = await asgi.ask(local.app, "GET", "/health/live")
    assert (answer.status, stream.getvalue()) == (200, "")
