"""Rate limits: how much is let through, what is said about it, and that little is remembered (R6.13)."""

from ipaddress import ip_address

import pytest

from support.site import START, LocalSite
from tidewire.core.ids import UserId
from tidewire.http.rate_limits import WINDOW, Allowance, RateLimit, RateLimits

ADA, BOB = UserId(1), UserId(2)


def let_through(limit: RateLimit, key: object, now: float, tries: int) -> int:
    return sum(not limit.take(key, now).retry_after for _ in range(tries))


@pytest.mark.parametrize("per_minute", [1, 2, 3, 7, 60, 100, 200, 12_345])
@pytest.mark.parametrize("now", [0.0, START + 0.1, START + 1 / 3])
def test_as_many_as_the_limit_says_are_let_through_at_once(per_minute: int, now: float) -> None:
    assert let_through(RateLimit(per_minute), "k", now, per_minute + 5) == per_minute


def test_afterwards_they_come_back_evenly() -> None:
    limit = RateLimit(6)
    assert let_through(limit, "k", START, 10) == 6
    assert let_through(limit, "k", START + 9.9, 10) == 0
    assert let_through(limit, "k", START + 10, 10) == 1
    assert let_through(limit, "k", START + 40, 10) == 3
    assert let_through(limit, "k", START + 1000, 10) == 6


def test_what_is_left_and_when_all_is_back_is_said() -> None:
    limit = RateLimit(3)
    assert limit.take("k", START) == Allowance(3, 2, int(START) + 20, 0.0)
    assert limit.take("k", START) == Allowance(3, 1, int(START) + 40, 0.0)
    assert limit.take("k", START) == Allowance(3, 0, int(START) + 60, 0.0)
    assert limit.take("k", START + 5) == Allowance(3, 0, int(START) + 60, 15.0)


def test_a_refused_request_does_not_count() -> None:
    limit = RateLimit(1)
    limit.take("k", START)
    for _ in range(100):
        limit.take("k", START + WINDOW - 1)
    assert limit.take("k", START + WINDOW).retry_after == 0


def test_keys_are_counted_apart_and_the_quietest_is_forgotten_when_there_are_too_many() -> None:
    limit = RateLimit(1, max_keys=3)
    for key in ("a", "b", "c"):
        assert let_through(limit, key, START, 2) == 1
    limit.take("a", START + WINDOW)
    limit.take("d", START + WINDOW)
    assert len(limit) == 3
    assert limit.take("a", START + WINDOW).retry_after
    assert not limit.take("b", START + WINDOW).retry_after


def test_a_limit_of_nothing_is_none() -> None:
    limits = RateLimits()
    assert limits.take_for_user(ADA, START) is None
    assert limits.take_for_address(ip_address("192.0.2.1"), START) is None


def test_an_ipv6_network_is_one_address() -> None:
    """Whoever has one address of it has all."""
    limits = RateLimits(address_per_minute=1)
    for address, is_refused in (
        ("2001:db8::1", False),
        ("2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", False),
        ("192.0.2.1", False),
        ("192.0.2.2", False),
        ("192.0.2.1", True),
    ):
        allowance = limits.take_for_address(ip_address(address), START)
        assert allowance is not None
        assert bool(allowance.retry_after) is is_refused, address


async def test_a_user_who_asks_too_often_is_told_when_to_come_back(local: LocalSite) -> None:
    """R6.13: a 429 with the seconds in the body and, rounded up, in the header."""
    local = local.changed(limits=RateLimits(user_per_minute=2))
    for remaining in ("1", "0"):
        answer = await local.ask("ada", "GET", "/api/v1/users/me")
        assert (answer.status, answer.headers["x-ratelimit-remaining"]) == (200, remaining)
        assert answer.headers["x-ratelimit-limit"] == "2"
    local.clock.advance(1.5)
    answer = await local.ask("ada", "GET", "/api/v1/users/me")
    assert answer.status == 429
    assert answer.json == {
        "result": "error",
        "msg": "API usage exceeded rate limit",
        "code": "RATE_LIMIT_HIT",
        "retry-after": 28.5,
    }
    assert answer.headers["retry-after"] == "29"
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert answer.headers["x-ratelimit-reset"] == str(int(START) + 60)
    assert (await local.ask("bob", "GET", "/api/v1/users/me")).status == 200
    local.clock.advance(28.5)
    assert (await local.ask("ada", "GET", "/api/v1/users/me")).status == 200


async def test_polls_and_registrations_count_like_any_other_request(local: LocalSite) -> None:
    local = local.changed(limits=RateLimits(user_per_minute=2))
    queue_id = await local.register("ada")
    query = {"queue_id": queue_id, "last_event_id": -1, "dont_block": True}
    statuses = [(await local.ask("ada", "GET", "/api/v1/events", query=query)).status for _ in range(2)]
    assert statuses == [200, 429]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/server_settings"),
        ("GET", "/api/v1/users/me"),
        ("POST", "/json/register"),
        ("GET", "/nope"),
        ("POST", "/api/internal/notices"),
        ("POST", "/api/v1/events/internal"),
    ],
)
async def test_who_is_nobody_is_counted_by_address(local: LocalSite, method: str, path: str) -> None:
    """Also who fails to log in, or to show the secret."""
    local = local.changed(limits=RateLimits(address_per_minute=1))
    first = await local.ask(None, method, path)
    assert first.status != 429
    assert first.headers["x-ratelimit-remaining"] == "0"
    assert (await local.ask(None, method, path)).status == 429
    assert (await local.ask(None, method, path, peer=("192.0.2.7", 1))).status != 429
    assert (await local.ask("ada", "GET", "/api/v1/users/me")).status == 200


async def test_internal_requests_and_health_are_never_limited(local: LocalSite) -> None:
    """R6.13: what has shown the secret, and what watches over the server."""
    local = local.changed(limits=RateLimits(user_per_minute=1, address_per_minute=1))
    for _ in range(3):
        await local.publish("ada", type="t")
        answer = await local.ask(None, "GET", "/health/live")
        assert (answer.status, "x-ratelimit-limit" in answer.headers) == (200, False)


async def test_without_limits_no_answer_speaks_of_them(local: LocalSite) -> None:
    """R6.12."""
    for name, path in (("ada", "/api/v1/users/me"), (None, "/api/v1/server_settings")):
        answer = await local.ask(name, "GET", path)
        assert not [header for header in answer.headers if header.startswith("x-ratelimit")]
