"""Response headers and CORS (R6.12)."""

import pytest
from starlette.datastructures import Headers

from support.site import LocalSite
from tidewire.core.errors import BadRequest
from tidewire.http.authentication import check_host
from tidewire.http.rate_limits import Allowance
from tidewire.http.request_info import RequestInfo
from tidewire.http.responses import COMMON, Response, head_lines, written
from tidewire.http.security import Cors

PAGE = "https://chat.example"


@pytest.mark.parametrize(
    ("name", "path"),
    [(None, "/health/live"), (None, "/nope"), ("ada", "/api/v1/users/me"), (None, "/api/v1/events")],
)
async def test_no_answer_may_be_kept(local: LocalSite, name: str | None, path: str) -> None:
    headers = (await local.ask(name, "GET", path)).headers
    assert headers["cache-control"] == "max-age=0, no-cache, no-store, must-revalidate, private"
    assert headers["expires"].endswith("1970 00:00:00 GMT")
    assert headers["vary"] == "Accept-Language, Cookie"
    assert headers["content-language"] == "en"


def test_a_head_has_each_line_once_and_in_one_order() -> None:
    response = Response(429, b"{}\n", ((b"retry-after", b"1"),))
    lines = head_lines(
        response,
        cross_origin=((b"access-control-allow-origin", b"*"),),
        allowance=Allowance(10, 0, 1_790_000_000, 1.0),
        close=True,
    )
    assert [name for name, _ in lines] == [
        *(name for name, _ in COMMON),
        b"access-control-allow-origin",
        b"x-ratelimit-limit",
        b"x-ratelimit-remaining",
        b"x-ratelimit-reset",
        b"retry-after",
        b"connection",
        b"content-length",
        b"content-type",
    ]
    assert dict(lines)[b"content-length"] == b"3"
    assert written(lines[-2:]) == b"content-length: 3\r\ncontent-type: application/json\r\n"


def test_an_answer_without_content_says_nothing_of_it() -> None:
    assert head_lines(Response(204)) == list(COMMON)


async def test_without_origins_there_is_no_word_of_cors(local: LocalSite) -> None:
    for method in ("GET", "OPTIONS"):
        answer = await local.ask("ada", method, "/api/v1/events", headers={"origin": PAGE})
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ([PAGE], PAGE, PAGE),
        ([PAGE, "http://other:1"], "http://other:1", "http://other:1"),
        ([PAGE], "https://evil.example", None),
        ([PAGE], "https://chat.example.evil.example", None),
        ([PAGE], "http://chat.example", None),
        ([PAGE], "null", None),
        ([PAGE], None, None),
        (["*"], "https://any.example", "*"),
        (["*"], None, "*"),
    ],
)
async def test_only_the_listed_origins_may_read(
    local: LocalSite, origins: list[str], origin: str | None, allowed: str | None
) -> None:
    local = local.changed(cors=Cors(origins))
    headers = {} if origin is None else {"origin": origin}
    for name, status in (("ada", 200), (None, 401)):
        answer = await local.ask(name, "GET", "/api/v1/users/me", headers=headers)
        assert (answer.status, answer.headers.get("access-control-allow-origin")) == (status, allowed)
        assert "access-control-allow-credentials" not in answer.headers
        assert (answer.headers["vary"] == "Origin") is ("*" not in origins)
        if allowed:
            assert "Retry-After" in answer.headers["access-control-expose-headers"]


async def test_a_preflight_says_what_a_page_may_send(local: LocalSite) -> None:
    local = local.changed(cors=Cors([PAGE]))
    asked = {"origin": PAGE, "access-control-request-method": "DELETE"}
    answer = await local.ask(None, "OPTIONS", "/api/v1/events", headers=asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["allow"] == "DELETE, GET, OPTIONS"
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-methods"] == "DELETE, GET, OPTIONS"
    assert answer.headers["access-control-allow-headers"] == "Authorization"
    assert int(answer.headers["access-control-max-age"]) > 0
    other = await local.ask(None, "OPTIONS", "/api/v1/events", headers={**asked, "origin": "http://evil"})
    assert (other.status, "access-control-allow-methods" in other.headers) == (204, False)


@pytest.mark.parametrize(
    "path", ["/api/internal/notices", "/api/v1/events/internal", "/json/events", "/health/live", "/nope"]
)
@pytest.mark.parametrize("method", ["OPTIONS", "POST", "GET"])
async def test_internal_and_other_routes_are_for_no_page(local: LocalSite, path: str, method: str) -> None:
    local = local.changed(cors=Cors(["*"]))
    answer = await local.ask("ada", method, path, headers={"origin": PAGE})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(("version", "hosts", "status"), [("1.1", 0, 400), ("1.0", 0, 200), ("1.1", 1, 200)])
def test_a_host_is_needed_from_http_1_1_on(version: str, hosts: int, status: int) -> None:
    info = RequestInfo(
        method="GET", path="/", peer=None, headers=Headers({"host": "x"} if hosts else {}), began=0
    )
    if status == 200:
        check_host(info, version)
        return
    with pytest.raises(BadRequest, match="exactly one Host header"):
        check_host(info, version)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_two_hosts_are_never_right(version: str) -> None:
    headers = Headers(raw=[(b"host", b"x"), (b"host", b"x")])
    with pytest.raises(BadRequest):
        check_host(RequestInfo(method="GET", path="/", peer=None, headers=headers, began=0), version)
