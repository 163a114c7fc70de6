"""Browser sessions and other kinds of credentials on the ordinary routes: origins, revocation, expiry (R6.2, R6.59)."""

import asyncio
import math
from typing import Any

import pytest

from support import asgi
from support.door import SessionDoor
from support.raw_http import Answer
from support.site import START, LocalSite
from tidewire.http.rate_limits import RateLimits

COOKIE = {"cookie": "session=ada"}
OWN = {"origin": "http://test.example"}
BEARER = {"authorization": "Bearer ada"}


def with_door(local: LocalSite, **door: Any) -> tuple[LocalSite, SessionDoor]:
    made = SessionDoor(local.context.authenticator, **door)
    return local.changed(door=made), made


async def register(local: LocalSite, **headers: str) -> Answer:
    return await local.ask(None, "POST", "/json/register", form={}, headers={**COOKIE, **headers})


async def test_a_session_registers_polls_and_deletes(local: LocalSite) -> None:
    site, _ = with_door(local)
    answer = await register(site, **OWN)
    assert answer.status == 200, answer
    queue_id = answer.json["queue_id"]
    await site.publish("ada", type="a")
    query = {"queue_id": queue_id, "last_event_id": -1}
    events = await site.ask(None, "GET", "/json/events", query=query, headers=COOKIE)
    assert [event["type"] for event in events.json["events"]] == ["a"]
    gone = await site.ask(
        None, "DELETE", "/json/v1/events", query={"queue_id": queue_id}, headers={**COOKIE, **OWN}
    )
    assert gone.status == 200


async def test_the_client_of_a_session_is_the_website(local: LocalSite) -> None:
    """R6.22."""
    site, _ = with_door(local)
    for agent, name in (("Mozilla/5.0", "website"), ("ZulipElectron/5.9", "ZulipElectron")):
        answer = await register(site, **OWN, **{"user-agent": agent})
        descriptor = site.engine.shard.find(answer.json["queue_id"])
        assert descriptor is not None
        assert descriptor.spec.client_type_name == name


async def test_a_session_route_never_takes_basic_and_an_api_route_no_cookie(local: LocalSite) -> None:
    site, _ = with_door(local)
    answer = await site.ask("ada", "GET", "/json/users/me")
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Session realm="zulip"')
    answer = await site.ask(None, "GET", "/api/v1/users/me", headers=COOKIE)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="zulip"')


async def test_no_session_is_let_in_while_no_kind_is_configured(local: LocalSite) -> None:
    assert (await register(local, **OWN)).status == 401
    answer = await local.ask(None, "GET", "/json/server_settings", headers=COOKIE)
    assert answer.status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        (OWN, 200),
        ({"origin": "https://test.example"}, 200),
        ({"origin": "http://test.example:81"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://test.example.evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://app.example"}, 200),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"referer": "http://test.example/page?x=1"}, 200),
        ({"referer": "http://evil.example/test.example"}, 403),
    ],
)
async def test_a_page_of_another_site_makes_no_queue(
    local: LocalSite, headers: dict[str, str], status: int
) -> None:
    """R6.2: CSRF."""
    site, _ = with_door(local)
    site = site.changed(session_origins=frozenset({"https://app.example"}))
    answer = await register(site, **headers)
    assert answer.status == status, answer
    assert (answer.json.get("code") == "CSRF_FAILED") is (status == 403)
    assert (site.engine.shard.queues() == 1) is (status == 200)


@pytest.mark.parametrize("path", ["/json/events", "/json/v1/events"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"referer": "http://evil.example/"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"referer": "http://test.example/page"}, 200),
        (OWN, 200),
    ],
)
async def test_a_get_that_makes_a_queue_needs_what_a_post_needs(
    local: LocalSite, path: str, headers: dict[str, str], status: int
) -> None:
    site, _ = with_door(local)
    answer = await site.ask(
        None, "GET", path, query={"dont_block": True}, headers={**COOKIE, "host": "test.example", **headers}
    )
    assert answer.status == status, answer
    assert site.engine.shard.queues() == (1 if status == 200 else 0)
    if status == 403:
        assert answer.json["code"] == "CSRF_FAILED"


async def test_a_get_of_a_program_makes_a_queue_as_ever(local: LocalSite) -> None:
    site, _ = with_door(local)
    answer = await site.ask(None, "GET", "/api/v1/events", query={"dont_block": True}, headers=BEARER)
    assert (answer.status, site.engine.shard.queues()) == (200, 1)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"origin": "http://evil.example"}, 403),
    ],
)
async def test_a_page_of_another_site_reads_nothing(
    local: LocalSite, headers: dict[str, str], status: int
) -> None:
    site, _ = with_door(local)
    answer = await site.ask(None, "GET", "/json/users/me", headers={**COOKIE, **headers})
    assert answer.status == status


async def test_a_revoked_session_loses_its_polls_and_queues_and_no_others(local: LocalSite) -> None:
    site, _ = with_door(local)
    mine = (await register(site, **OWN)).json["queue_id"]
    waiting = (await register(site, **OWN)).json["queue_id"]
    other = await site.ask(None, "POST", "/api/v1/register", form={}, headers={"authorization": "Bearer bob"})
    await site.publish("ada", type="secret")
    query = {"queue_id": waiting, "last_event_id": 0}
    exchange = site.begin(None, "GET", "/json/events", query=query, headers=COOKIE)
    await asgi.settle()
    assert not exchange.is_answered
    answer = await site.internal("/api/internal/revoke_session", form={"session": "session-of-ada"})
    assert (answer.status, answer.json["queues_ended"]) == (200, 2)
    assert (await exchange.answer()).json["events"] == []
    assert site.engine.shard.find(mine) is None
    assert site.engine.shard.find(other.json["queue_id"]) is not None
    answer = await site.ask(None, "GET", "/json/events", query=query, headers=COOKIE)
    assert answer.status == 401
    again = await site.internal("/api/internal/revoke_session", form={"session": "session-of-ada"})
    assert (again.status, again.json["queues_ended"]) == (200, 0)


async def test_a_session_can_not_take_another_user_s_queue_down_with_it(local: LocalSite) -> None:
    site, _ = with_door(local)
    foreign = await site.ask(
        None, "POST", "/api/v1/register", form={}, headers={"authorization": "Bearer bob"}
    )
    query = {"queue_id": foreign.json["queue_id"], "last_event_id": -1, "dont_block": True}
    assert (await site.ask(None, "GET", "/json/events", query=query, headers=COOKIE)).status == 400
    answer = await site.internal("/api/internal/revoke_session", form={"session": "session-of-ada"})
    assert answer.json["queues_ended"] == 0


async def test_sessions_are_forgotten_with_their_queues(local: LocalSite) -> None:
    site, _ = with_door(local)
    queue_id = (await register(site, **OWN)).json["queue_id"]
    assert len(site.context.sessions) == 1
    site.context.sessions.sweep()
    assert len(site.context.sessions) == 1
    await site.ask("ada", "DELETE", "/json/events", query={"queue_id": queue_id}, headers={**COOKIE, **OWN})
    site.context.sessions.sweep()
    assert len(site.context.sessions) == 0


async def test_a_poll_does_not_outlive_what_it_was_let_in_by(local: LocalSite) -> None:
    site, door = with_door(local)
    answer = await site.ask(None, "POST", "/api/v1/register", form={}, headers=BEARER)
    door.ends_at = START + 0.05
    query = {"queue_id": answer.json["queue_id"], "last_event_id": -1}
    answer = await asyncio.wait_for(
        site.ask(None, "GET", "/api/v1/events", query=query, headers=BEARER), timeout=60
    )
    assert (answer.status, answer.json["code"]) == (401, "INVALID_TOKEN")
    assert site.engine.waiting() == 0
    # The queue is there for whoever logs in again.
    door.ends_at = math.inf
    query["dont_block"] = True
    assert (await site.ask(None, "GET", "/api/v1/events", query=query, headers=BEARER)).status == 200


async def test_who_is_not_known_is_asked_about_once(local: LocalSite) -> None:
    site, door = with_door(local, asks=True)
    for _ in range(3):
        assert (await site.ask(None, "GET", "/api/v1/users/me", headers=BEARER)).json["user_id"] == 1
    assert len(door.asked) == 1


async def test_who_fails_too_often_has_nobody_asked(local: LocalSite) -> None:
    site, door = with_door(local, asks=True)
    site = site.changed(limits=RateLimits(address_per_minute=2))
    wrong = {"authorization": "Bearer nobody"}
    statuses = []
    for _ in range(4):
        door.forget()
        statuses.append((await site.ask(None, "GET", "/api/v1/users/me", headers=wrong)).status)
    assert statuses == [401, 401, 429, 429]
    assert len(door.asked) == 2
