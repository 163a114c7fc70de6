"""Who gets into the console, and what browsers are told to refuse."""

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from support.console_site import COOKIE, HOST, LIFETIME, ConsoleSite, console_site
from support.raw_http import Answer
from support.server_process import SECRET
from support.site import LocalSite
from tidewire.console.routes import LOGINS_PER_MINUTE
from tidewire.console.security import PROTECTION

CLOSED = (
    ("GET", "/api/pulse"),
    ("GET", "/api/queues"),
    ("GET", "/api/queues/x"),
    ("GET", "/api/explain"),
    ("GET", "/api/shards"),
    ("GET", "/api/words"),
    ("POST", "/api/explain/dry-run"),
    ("POST", "/api/notices"),
    ("POST", "/logout"),
)
OPENED = (
    ("GET", ""),
    ("GET", "/"),
    ("GET", "/static/page/app.js"),
    ("GET", "/api/session"),
    ("POST", "/login"),
)
NOTICE = b'{"event": {"type": "deploy"}, "users": [1]}'


def is_protected(answer: Answer) -> bool:
    return all(answer.headers.get(name.decode()) == value.decode() for name, value in PROTECTION)


# Who has logged in.


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_without_a_session_nothing_is_answered(console: ConsoleSite, method: str, path: str) -> None:
    for headers in ({}, {"authorization": f"Bearer {SECRET}"}, {"cookie": f"{COOKIE}=guess"}):
        answer = await console.ask(method, f"/console{path}", headers=headers)
        assert (answer.status, answer.json["code"]) == (401, "UNAUTHORIZED")
        assert "www-authenticate" not in answer.headers
        assert is_protected(answer)


async def test_the_secret_is_traded_for_a_cookie_that_scripts_cannot_read(console: ConsoleSite) -> None:
    answer = await console.log_in()
    assert answer.status == 200
    assert (
        answer.headers["set-cookie"]
        == f"{COOKIE}=secret-0; Path=/console; HttpOnly; SameSite=Strict; Max-Age={int(LIFETIME)}"
    )
    assert "secret-0" not in answer.body.decode()
    assert (await console.get("/api/pulse")).status == 200


async def test_behind_tls_the_cookie_never_goes_without(console: ConsoleSite) -> None:
    console.local.context = replace(
        console.local.context,
        access=replace(console.local.context.access, trusted_proxies=[ip_network("127.0.0.1")]),
    )
    served = console_site(console.local)
    headers = {"x-forwarded-proto": "https", "x-forwarded-for": "127.0.0.2"}
    answer = await served.log_in(headers=headers)
    assert answer.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize("secret", ["wrong", SECRET + " ", "", "ü"])
async def test_a_wrong_secret_opens_nothing(console: ConsoleSite, secret: str) -> None:
    answer = await console.log_in(secret)
    assert (answer.status, answer.json["code"]) == (401, "UNAUTHORIZED")
    assert "set-cookie" not in answer.headers
    assert console.local.logged("console login refused") == [
        {"address": "127.0.0.1", "reason": "wrong secret"}
    ]
    assert SECRET not in console.local.log_stream.getvalue()


async def test_a_secret_in_the_query_does_not_count(console: ConsoleSite) -> None:
    answer = await console.post("/login", query={"secret": SECRET})
    assert (answer.status, answer.json["code"]) == (400, "REQUEST_VARIABLE_MISSING")


async def test_attempts_are_limited_by_address_and_the_answer_says_how_long(console: ConsoleSite) -> None:
    for _ in range(LOGINS_PER_MINUTE):
        assert (await console.log_in("wrong")).status == 401
    answer = await console.log_in()
    assert (answer.status, answer.json["code"]) == (429, "RATE_LIMIT_HIT")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    # Others are not shut out, and it passes.
    assert (await console.log_in(peer=("127.0.0.9", 4000))).status == 200
    console.local.clock.advance(float(answer.headers["retry-after"]))
    assert (await console.log_in()).status == 200


async def test_a_session_ends_by_itself(console: ConsoleSite) -> None:
    await console.log_in()
    console.local.clock.advance(LIFETIME - 1)
    assert (await console.get("/api/pulse")).status == 200
    console.local.clock.advance(1)
    assert (await console.get("/api/pulse")).status == 401
    assert (await console.get("/api/session")).json["logged_in"] is False


async def test_logging_out_ends_it_on_the_server_too(console: ConsoleSite) -> None:
    await console.log_in()
    answer = await console.post("/logout")
    assert answer.status == 200
    assert answer.headers["set-cookie"].startswith(f"{COOKIE}=; Path=/console; HttpOnly")
    assert answer.headers["set-cookie"].endswith("Max-Age=0")
    assert (await console.get("/api/pulse")).status == 401


async def test_logging_in_again_ends_the_session_before(console: ConsoleSite) -> None:
    await console.log_in()
    before = console.cookie
    await console.log_in()
    assert console.cookie != before
    assert (await console.get("/api/pulse")).status == 200
    console.cookie = before
    assert (await console.get("/api/pulse")).status == 401


async def test_the_page_learns_its_token_again_after_a_reload(console: ConsoleSite) -> None:
    await console.log_in()
    answer = (await console.get("/api/session")).json
    assert (answer["logged_in"], answer["token"]) == (True, console.token)


async def test_the_cookie_opens_no_other_route(console: ConsoleSite) -> None:
    await console.log_in()
    assert (await console.ask("GET", "/api/internal/stats")).status == 400
    assert (await console.ask("POST", "/api/internal/notices", body=NOTICE)).status == 403


# What changes something.


@pytest.mark.parametrize("token", [None, "", "guess", "secret-0"])
@pytest.mark.parametrize("path", ["/api/notices", "/api/explain/dry-run", "/logout"])
async def test_what_changes_something_needs_the_token(
    console: ConsoleSite, path: str, token: str | None
) -> None:
    await console.log_in()
    answer = await console.post(path, body=NOTICE, headers={"x-console-token": token})
    assert answer.status == 403
    assert "token" in answer.json["msg"]
    assert console.local.engine.shard.statistics.notices == {}
    assert (await console.get("/api/pulse")).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9801"},
        {"origin": "http://127.0.0.1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
@pytest.mark.parametrize("path", ["/login", "/api/notices", "/logout"])
async def test_pages_of_others_change_nothing(
    console: ConsoleSite, path: str, headers: dict[str, str]
) -> None:
    await console.log_in()
    answer = await console.post(path, body=NOTICE, headers=headers)
    assert answer.status == 403
    assert "Another site" in answer.json["msg"]
    assert "set-cookie" not in answer.headers


async def test_a_browser_without_fetch_metadata_is_served(console: ConsoleSite) -> None:
    await console.log_in()
    assert (await console.get("/api/pulse", headers={"sec-fetch-site": None})).status == 200
    answer = await console.post("/api/notices", body=NOTICE, headers={"sec-fetch-site": None})
    assert answer.json["accepted"] == 1


async def test_a_link_from_elsewhere_leads_to_the_page_and_other_sites_read_nothing(
    console: ConsoleSite,
) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert (await console.get("", headers=link)).status == 200
    await console.log_in()
    read = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert (await console.get("/api/pulse", headers=read)).status == 403


# Where requests come from.


@pytest.mark.parametrize(("method", "path"), [*OPENED, *CLOSED])
async def test_other_addresses_get_nothing_at_all(console: ConsoleSite, method: str, path: str) -> None:
    await console.log_in()
    requests: tuple[dict[str, Any], ...] = (
        {"peer": ("192.0.2.1", 4000)},
        {"peer": None},
        {"headers": {"x-forwarded-for": "127.0.0.1"}},
        {"headers": {"forwarded": "for=127.0.0.1"}},
        {"headers": {"via": "1.1 proxy"}},
    )
    for request in requests:
        answer = await console.ask(method, f"/console{path}", **request)
        assert (answer.status, answer.json["code"]) == (403, "BAD_REQUEST")
        assert "server.internal_from" in answer.json["msg"]
        assert is_protected(answer)


@pytest.mark.parametrize(
    ("forwarded", "status"), [("127.0.0.2", 200), ("192.0.2.1", 403), ("127.0.0.2, 192.0.2.1", 403)]
)
async def test_behind_a_trusted_proxy_the_address_that_it_says_counts(
    local: LocalSite, forwarded: str, status: int
) -> None:
    access = replace(local.context.access, trusted_proxies=[ip_network("127.0.0.1")])
    console = console_site(local.changed(access=access))
    assert (await console.get("", headers={"x-forwarded-for": forwarded})).status == status


@pytest.mark.parametrize(
    "host",
    [
        HOST,
        "127.0.0.1",
        "[::1]:9800",
        "192.0.2.7:9800",
        "localhost:9800",
        "LOCALHOST",
        "console.internal:9800",
        "test.example",
        "test.example:443",
        "localhost.",
    ],
)
async def test_own_names_and_addresses_are_answered(console: ConsoleSite, host: str) -> None:
    console.headers = {"host": host}
    answer = await console.log_in(headers={"origin": f"http://{host}"})
    assert answer.status == 200, answer
    assert (await console.get("/api/pulse")).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9800", "127.0.0.1.evil.example", "localhost.evil.example", "x", ""]
)
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/login"), ("GET", "/api/pulse")])
async def test_names_that_may_be_rebound_are_not(
    console: ConsoleSite, host: str, method: str, path: str
) -> None:
    await console.log_in()
    origin = {"origin": f"http://{host}"} if method == "POST" else {}
    answer = await console.ask(method, f"/console{path}", headers={"host": host, **origin})
    assert answer.status == 403
    assert "host name" in answer.json["msg"]


async def test_refused_requests_count_for_the_limit_of_their_address(local: LocalSite) -> None:
    limited = type(local.context.limits)(address_per_minute=2)
    console = console_site(local.changed(limits=limited))
    statuses = [(await console.get("", peer=("192.0.2.1", 4000))).status for _ in range(3)]
    assert statuses == [403, 403, 429]


# What browsers are told.


@pytest.mark.parametrize(
    ("method", "path"), [*OPENED, *CLOSED, ("GET", "/static/nothing"), ("GET", "/api/queues")]
)
async def test_every_answer_tells_browsers_what_to_refuse(
    console: ConsoleSite, method: str, path: str
) -> None:
    for _ in range(2):
        answer = await console.ask(method, f"/console{path}", body=NOTICE if method == "POST" else b"")
        assert is_protected(answer)
        assert "no-store" in answer.headers["cache-control"]
        await console.log_in()


async def test_the_policy_lets_nothing_in_but_files_of_this_server(console: ConsoleSite) -> None:
    policy = (await console.get("")).headers["content-security-policy"]
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["frame-ancestors"] == directives["base-uri"] == "'none'"
    assert {value for name, value in directives.items() if name.endswith("-src")} == {"'none'", "'self'"}
    assert "unsafe" not in policy


async def test_no_page_of_another_origin_may_read(local: LocalSite) -> None:
    console = console_site(local.changed(cors=type(local.context.cors)(["*"])))
    await console.log_in()
    for method in ("GET", "OPTIONS"):
        answer = await console.ask(method, "/console/api/session")
        assert not {name for name in answer.headers if name.startswith("access-control")}
