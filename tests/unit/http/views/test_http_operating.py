"""Metrics, the log's level, and the ids of requests, as they are seen over HTTP."""

from pathlib import Path

import pytest

from support.asgi import settle
from support.lane_server import lane_server
from support.raw_http import request_bytes
from support.server_process import SECRET, credentials
from support.site import LocalSite, local_site
from tidewire.http.request_log import RequestIds

OK, BAD, DENIED, MISSING = 200, 400, 403, 404
BEARER = {"Authorization": f"Bearer {SECRET}"}


class Fixed:
    """An exposition that says what it was asked for."""

    async def render(self, accept: str) -> tuple[bytes, str]:
        """The `Accept` header."""
        return accept.encode(), "text/odd; version=1"


async def test_metrics_need_no_account_and_come_in_the_form_that_is_asked_for(local: LocalSite) -> None:
    site = local.changed(exposition=Fixed())
    answer = await site.ask(None, "GET", "/metrics", headers={"accept": "text/plain"}, peer=("192.0.2.1", 1))
    assert (answer.status, answer.body) == (OK, b"text/plain")
    assert answer.headers["content-type"] == "text/odd; version=1"
    assert "no-store" in answer.headers["cache-control"]
    assert (await site.ask(None, "GET", "/metrics")).body == b""


async def test_a_site_without_metrics_has_no_such_page(local: LocalSite) -> None:
    assert (await local.ask(None, "GET", "/metrics")).status == MISSING


async def test_the_level_is_said_and_changed(local: LocalSite) -> None:
    answer = await local.internal("/api/internal/loglevel")
    assert (answer.json["level"], answer.json["before"]) == ("debug", "debug")
    answer = await local.internal("/api/internal/loglevel", form={"level": "error"})
    assert (answer.json["level"], answer.json["before"]) == ("error", "debug")
    before = len(local.whole_log)
    await local.ask("ada", "GET", "/api/v1/users/me")
    assert len(local.whole_log) == before
    await local.internal("/api/internal/loglevel", form={"level": "info"})
    await local.ask("ada", "GET", "/api/v1/users/me")
    assert [entry["path"] for entry in local.logged("request")][-1] == "/api/v1/users/me"


async def test_a_level_that_there_is_not_is_refused(local: LocalSite) -> None:
    answer = await local.internal("/api/internal/loglevel", form={"level": "loud"})
    assert (answer.status, answer.json["msg"]) == (BAD, "Invalid level: one of debug, info, warning, error")
    assert (await local.internal("/api/internal/loglevel")).json["level"] == "debug"


async def test_the_level_is_nobodys_business_without_the_secret(local: LocalSite) -> None:
    form = {"level": "error", "secret": "wrong"}
    assert (await local.ask(None, "POST", "/api/internal/loglevel", form=form)).status == DENIED
    outside = await local.internal("/api/internal/loglevel", form={"level": "error"}, peer=("192.0.2.1", 1))
    assert outside.status == DENIED
    assert (await local.internal("/api/internal/loglevel")).json["level"] == "debug"


async def test_a_log_that_cannot_be_changed_says_so(local: LocalSite) -> None:
    site = local.changed(log_control=None)
    assert (await site.internal("/api/internal/loglevel")).status == MISSING


def ids_of(local: LocalSite, event: str) -> list[str]:
    return [entry["request_id"] for entry in local.whole_log if entry["event"] == event]


async def test_entries_of_one_request_have_one_id_and_those_of_others_another(local: LocalSite) -> None:
    await local.ask("ada", "POST", "/api/v1/register", form={"event_types": 7})
    await local.ask("ada", "GET", "/api/v1/users/me")
    first, second = ids_of(local, "request")
    assert ids_of(local, "refused") == [first]
    assert first != second


async def test_a_poll_that_takes_anothers_place_has_its_id_in_both_entries(local: LocalSite) -> None:
    queue_id = await local.register("ada")
    await local.park("ada", queue_id)
    poll = await local.park("ada", queue_id)
    await local.publish("ada", type="ping")
    await poll.answer()
    assert ids_of(local, "poll displaced")[0] in ids_of(local, "request")


async def test_an_answer_does_not_say_its_requests_id(local: LocalSite) -> None:
    """R6.12: the head of an answer is the protocol's."""
    answer = await local.ask("ada", "GET", "/api/v1/users/me")
    assert not [name for name in answer.headers if "request" in name]


def test_ids_of_two_processes_differ() -> None:
    assert RequestIds("3f9a").shown(0x1C7) == "3f9a-1c7"
    made_up = {RequestIds().shown(1) for _ in range(100)}
    assert len(made_up) > 90


@pytest.mark.parametrize("again", [False, True], ids=["from scratch", "as a repetition"])
async def test_polls_on_the_lane_have_ids_of_their_own(tmp_path: Path, again: bool) -> None:
    local = local_site(tmp_path)
    queue_id = await local.register("ada")
    async with lane_server(local) as server:
        async with await server.connect() as peer:
            for number in range(3):
                await local.publish("ada", type="ping")
                last = number - 1
                peer.send(poll_bytes(queue_id, last, odd="" if again else f"&client=c{number}"))
                await peer.answer()
        polled = [entry for entry in local.whole_log if entry["event"] == "request" and "queue_id" in entry]
        assert len({entry["request_id"] for entry in polled}) == 3
        assert server.lane.statistics.repolls == (2 if again else 0)


def poll_bytes(queue_id: str, last: int, odd: str = "") -> bytes:
    target = f"/api/v1/events?queue_id={queue_id}&last_event_id={last}{odd}"
    head = f"Host: x\r\nAuthorization: {credentials('ada')['Authorization']}\r\n"
    return f"GET {target} HTTP/1.1\r\n{head}\r\n".encode()


async def test_requests_are_counted_by_route_method_and_status_however_they_are_served(
    tmp_path: Path,
) -> None:
    local = local_site(tmp_path)
    statistics = local.context.statistics
    queue_id = await local.register("ada")
    await local.publish("ada", type="ping")
    async with lane_server(local) as server:
        notices = request_bytes(
            "POST", "/api/internal/notices", body=b'{"event":{"type":"t"},"users":[1]}', headers=BEARER
        )
        await server.ask(poll_bytes(queue_id, -1), poll_bytes(queue_id, 7), poll_bytes("gone", 0), notices)
        await server.ask(request_bytes("GET", "/api/internal/outbox/nothing", headers=BEARER))
        assert len(statistics.connections) == len(server.lane.connections)
    await local.ask(None, "GET", "/made/up")
    await local.ask(None, "BREW", "/made/up")
    await local.ask("ada", "BREW", "/api/v1/register")
    assert statistics.polls == 1
    assert statistics.answers == {
        ("/api/v1/register", "POST", OK): 1,
        ("/api/internal/notices", "POST", OK): 2,
        ("/api/v1/events", "GET", BAD): 2,
        ("/api/internal/outbox/{queue}", "GET", MISSING): 1,
        ("unmatched", "unmatched", MISSING): 2,
        ("/api/v1/register", "unmatched", 405): 1,
    }
    assert statistics.errors == {
        "BAD_REQUEST": 1,
        "BAD_EVENT_QUEUE_ID": 1,
        "NOT_FOUND": 3,
        "METHOD_NOT_ALLOWED": 1,
    }


async def test_who_went_away_got_no_answer_that_could_be_counted(local: LocalSite) -> None:
    queue_id = await local.register("ada")
    poll = await local.park("ada", queue_id)
    before = local.context.statistics.answers.total()
    poll.disconnect()
    await poll.answer()
    await settle()
    assert local.context.statistics.answers.total() == before
