"""Bodies that are made to take long: who is not let in has none read, and nobody has one that holds the loop.

Counted, not timed: bytes taken, calls of a decoder, and what one slice gets to do.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import asgi
from support.server_process import SECRET
from support.site import LocalSite, local_site
from tidewire.core.errors import BadRequest
from tidewire.core.notices.notice import Notice, decode_in_slices
from tidewire.core.notices.request_body import read_notices
from tidewire.core.slices import Work, finished
from tidewire.http import forms
from tidewire.http.fanout import AT_ONCE
from tidewire.http.forms import MAX_SECRET_BYTES, UNQUOTE_BYTES, find_secret, read_urlencoded, text_of
from tidewire.http.rate_limits import RateLimits
from tidewire.http.views import publish as internal

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=B"
FORM = {"content-type": URLENCODED}
CHUNK = b"%" * 4096
CHUNKS = 256
MOST_UNASKED = 16 * 1024
SMALL = b'{"event":{"type":"a"},"users":[1]}'


@pytest.fixture
async def local(tmp_path: Path) -> LocalSite:
    return local_site(tmp_path)


async def taken(exchange: asgi.Exchange) -> int:
    """Bytes of the body that were taken until the answer was there, which is no success."""
    answer = await exchange.answer()
    assert 400 <= answer.status < 500, answer
    return (CHUNKS - exchange.unread) * len(CHUNK)


NOT_LET_IN: dict[str, tuple[str, str, dict[str, str]]] = {
    "no login": ("POST", "/api/v1/register", {}),
    "a wrong login": ("POST", "/api/v1/register", {"authorization": "Basic eDp5"}),
    "no login, ending a queue": ("DELETE", "/api/v1/events", {}),
    "no login, polling": ("GET", "/api/v1/events", {}),
    "no login, own account": ("GET", "/api/v1/users/me", {}),
    "no session": ("POST", "/json/register", {}),
    "no route": ("POST", "/nothing", {}),
    "no such method": ("PUT", "/api/v1/register", {}),
    "from a page": ("POST", "/api/internal/notify_tornado", {"origin": "http://x"}),
    "from outside": ("POST", "/api/internal/notify_tornado", {"x-forwarded-for": "10.0.0.1"}),
    "a wrong secret in the head": ("POST", "/api/internal/notify_tornado", {"authorization": "Bearer wrong"}),
    "the same, publishing": ("POST", "/api/internal/notices", {"authorization": "Bearer wrong"}),
    "no secret, publishing": ("POST", "/api/internal/notices", {}),
    "no secret, importing": ("POST", "/api/internal/dump", {}),
    "no secret, rehearsing": ("POST", "/api/internal/explain/dry-run", {}),
    "no form, and so no secret": ("POST", "/api/internal/notify_tornado", {"content-type": "text/plain"}),
    "a secret for few words": ("POST", "/api/internal/loglevel", {"authorization": f"Bearer {SECRET}"}),
}


@pytest.mark.parametrize("name", NOT_LET_IN)
@pytest.mark.parametrize("kind", [URLENCODED, MULTIPART])
async def test_who_is_not_let_in_has_no_body_read(local: LocalSite, name: str, kind: str) -> None:
    method, path, headers = NOT_LET_IN[name]
    exchange = local.begin(
        None, method, path, headers={"content-type": kind, **headers}, body=[CHUNK] * CHUNKS
    )
    assert await taken(exchange) <= MOST_UNASKED + 2 * len(CHUNK)


async def test_who_asks_too_often_has_no_body_read(local: LocalSite) -> None:
    limited = local.changed(limits=RateLimits(user_per_minute=1, address_per_minute=1))
    for name in ("ada", None):
        await limited.ask(name, "GET", "/api/v1/users/me")
        exchange = limited.begin(name, "POST", "/api/v1/register", headers=FORM, body=[CHUNK] * CHUNKS)
        assert await taken(exchange) == 0


@pytest.mark.parametrize(("name", "path"), [(None, "/api/v1/server_settings"), ("ada", "/api/v1/users/me")])
async def test_a_route_that_takes_nothing_from_a_body_reads_none(
    local: LocalSite, name: str | None, path: str
) -> None:
    exchange = local.begin(name, "GET", path, headers=FORM, body=[CHUNK] * CHUNKS)
    assert (await exchange.answer()).status == 200
    assert exchange.unread == CHUNKS


# The secret in a form.


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> object:
        raise AssertionError("decoded before the secret was right")

    monkeypatch.setattr("tidewire.http.parameters.read_urlencoded", forbidden)
    monkeypatch.setattr("tidewire.http.parameters.read_multipart", forbidden)
    monkeypatch.setattr(internal, "decode_in_slices", forbidden)


def part(name: str, value: bytes) -> bytes:
    return b'--B\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)


WRONG: dict[str, tuple[str, bytes]] = {
    "none": (URLENCODED, b"data=" + CHUNK),
    "empty": (URLENCODED, b"secret=&data=" + CHUNK),
    "another": (URLENCODED, b"data=%b&secret=wrong" % CHUNK),
    "a longer one": (URLENCODED, b"data=1&secret=%bx" % SECRET.encode()),
    "in a value": (URLENCODED, b"data=xsecret=%b" % SECRET.encode()),
    "in another name": (URLENCODED, b"data=1&not_secret=%b" % SECRET.encode()),
    "encoded with the separator": (URLENCODED, b"data=1%%26secret=%b" % SECRET.encode()),
    "overruled": (URLENCODED, b"secret=%b&secret=wrong" % SECRET.encode()),
    "long": (URLENCODED, b"data=1&secret=" + b"%" * 100_000),
    "not UTF-8": (URLENCODED, b"secret=%ff"),
    "multipart, none": (MULTIPART, part("data", CHUNK) + b"--B--\r\n"),
    "multipart, another": (MULTIPART, part("data", CHUNK) + part("secret", b"wrong") + b"--B--\r\n"),
    "multipart, in a value": (MULTIPART, part("data", b'name="secret"\r\n' + SECRET.encode()) + b"--B--\r\n"),
    "multipart, many parts": (
        MULTIPART,
        part("a", b"") * 1000 + part("secret", SECRET.encode()) + b"--B--\r\n",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_nothing_of_a_form_is_decoded_before_its_secret_is_right(
    local: LocalSite, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_decoding(monkeypatch)
    kind, body = WRONG[name]
    answer = await local.ask(
        None, "POST", "/api/internal/notify_tornado", headers={"content-type": kind}, body=body
    )
    assert answer.status in {400, 403}
    assert answer.json["code"] in {"BAD_REQUEST", "REQUEST_VARIABLE_MISSING"}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", [URLENCODED, MULTIPART])
async def test_the_right_secret_is_found_wherever_it_stands(local: LocalSite, kind: str, first: bool) -> None:
    data = json.dumps({"event": {"type": "a", "pad": "&secret=x" * 40_000}, "users": [1]}).encode()
    fields = [("data", data), ("secret", SECRET.encode())]
    if first:
        fields.reverse()
    if kind == URLENCODED:
        body = urlencode(fields).encode()
    else:
        body = b"".join(part(*field) for field in fields) + b"--B--\r\n"
    answer = await local.ask(
        None, "POST", "/api/internal/notify_tornado", headers={"content-type": kind}, body=body
    )
    assert answer.json == {"result": "success", "msg": ""}


@given(
    before=st.binary(max_size=40),
    after=st.sampled_from([b"", b"&", b"&a=1", b"&secrets=1"]),
    secret=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_the_secret_that_is_found_is_the_one_that_decoding_gives(
    before: bytes, after: bytes, secret: str
) -> None:
    body = (
        b"a="
        + before.replace(b"&", b"")
        + b"&secret="
        + quote(secret, safe=" ").replace(" ", "+").encode()
        + after
    )
    assert finished(find_secret(body, URLENCODED)) == secret
    assert text_of(finished(read_urlencoded(body))["secret"]) == secret


def test_a_secret_across_two_windows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "SEARCH_BYTES", 16)
    for pad in range(40):
        body = b"a=" + b"x" * pad + b"&secret=abc&b=" + b"y" * (40 - pad)
        assert finished(find_secret(body, URLENCODED)) == "abc"
    assert MAX_SECRET_BYTES > 64


# What a slice gets to do.


def most_of_a_slice(work: Work[Any], count: Callable[[], int]) -> int:
    """The most that was counted between two turns."""
    most = before = 0
    try:
        while True:
            next(work)
            most, before = max(most, count() - before), count()
    except StopIteration:
        return max(most, count() - before)


def decoded(body: bytes) -> dict[str, str]:
    return {name: text_of(value) for name, value in finished(read_urlencoded(body)).items()}


@pytest.mark.parametrize(
    "body",
    [
        b"a=" + b"%" * 1_000_000,
        b"a=" + b"%41" * 300_000,
        b"a=" + b"x%4" * 300_000,
        b"&".join([b"a=" + b"%" * 10_000] * 99),
        b"&".join([b"%41" * 3000 + b"=" + b"+" * 3000] * 99),
        b"a=1&b",
        b"&&&",
        b"=",
    ],
    ids=["percents", "escapes", "broken escapes", "many values", "many names", "short", "nothing", "empty"],
)
def test_a_form_is_decoded_a_little_at_a_time(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    done = [0]

    def counting(value: bytes) -> bytes:
        done[0] += len(value)
        return unquote_to_bytes(value)

    monkeypatch.setattr("tidewire.http.forms.unquote_to_bytes", counting)
    assert most_of_a_slice(read_urlencoded(body), lambda: done[0]) <= 4 * UNQUOTE_BYTES
    assert decoded(body) == dict(parse_qsl(body.decode(), keep_blank_values=True))


@settings(max_examples=200)
@given(
    body=st.lists(st.sampled_from([b"&", b"=", b"%", b"%4", b"%c3%bc", b"+", b"a", b"\xc3\xbc"]), max_size=60)
)
def test_a_form_is_decoded_as_the_library_does(body: list[bytes]) -> None:
    text = b"".join(body)
    try:
        expected = dict(parse_qsl(text.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        with pytest.raises(BadRequest):
            decoded(text)
    else:
        assert decoded(text) == expected


@pytest.mark.parametrize("body", [b"a=1&" * 250_000, b"&" * 1_000_000])
async def test_fields_are_counted_before_any_is_decoded(
    local: LocalSite, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_value: bytes) -> bytes:
        raise AssertionError

    monkeypatch.setattr("tidewire.http.forms.unquote_to_bytes", forbidden)
    answer = await local.ask("ada", "POST", "/api/v1/register", headers=FORM, body=body)
    assert (answer.status, answer.json["msg"]) == (400, "The form has more than 100 fields")


BODIES: dict[str, bytes] = {
    "a list": b"[%b]" % b",".join([SMALL] * 20_000),
    "lines": b"\n".join([SMALL] * 20_000),
    "spread": b"[\n%b]" % b",\n".join([SMALL.replace(b",", b",\n  ")] * 20_000),
    "deep": b"[%b]"
    % b",".join([b'{"event":{"type":"a","x":%b%b},"users":[1]}' % (b"[" * 90, b"]" * 90)] * 5000),
    "objects within": b"[%b]" % b",".join([b'{"event":{"type":"a","x":[{},{},{}]},"users":[1]}'] * 15_000),
}


@pytest.mark.parametrize("name", BODIES)
def test_notices_are_decoded_a_few_at_a_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = [0]

    def counting(raw: bytes) -> Work[Notice]:
        done[0] += 1 + len(raw) // 100
        return (yield from decode_in_slices(raw))

    monkeypatch.setattr("tidewire.core.notices.request_body.decode_in_slices", counting)
    assert most_of_a_slice(read_notices(BODIES[name]), lambda: done[0]) <= 1100


@pytest.mark.parametrize("bad", [b"{}", b"1", b'{"event":{"type":"message"},"users":[1]}', b"]"])
@pytest.mark.parametrize("place", [0, 10_000, 19_999])
async def test_one_wrong_notice_refuses_a_large_request_and_says_which(
    local: LocalSite, bad: bytes, place: int
) -> None:
    queue_id = await local.register("ada")
    notices = [SMALL] * 20_000
    notices[place] = bad
    answer = await local.internal("/api/internal/notices", body=b"[%b]" % b",".join(notices))
    assert (answer.status, answer.json["code"]) == (400, "INVALID_NOTICE")
    if bad != b"]":
        assert answer.json["index"] == place
    assert await local.events("ada", queue_id) == []


async def test_a_large_request_is_carried_out_in_parts_and_others_are_served_between(
    local: LocalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll of another user comes through before the request is over, and no record has more than one may."""
    queue_id = await local.register("ada")
    records: list[int] = []
    publish = local.engine.publish

    def counting(notices: Any, slot: Any) -> None:
        records.append(len(notices))
        publish(notices, slot)

    monkeypatch.setattr(local.engine, "publish", counting)
    notices = [json.dumps({"event": {"type": "a", "n": n}, "users": [1]}).encode() for n in range(5000)]
    request = local.begin(
        None,
        "POST",
        "/api/internal/notices",
        headers={"authorization": f"Bearer {SECRET}"},
        body=b"[%b]" % b",".join(notices),
    )
    served = 0
    while not request.is_answered:
        answer = await local.ask("bob", "GET", "/api/v1/users/me")
        assert answer.status == 200
        served += 1
    assert (await request.answer()).json == {"result": "success", "msg": "", "accepted": 5000}
    assert (sum(records), max(records)) == (5000, AT_ONCE)
    assert served >= 20
    events = await local.events("ada", queue_id)
    assert [event["n"] for event in events] == list(range(len(events)))


async def test_a_part_is_smaller_where_a_notice_reaches_many_queues(
    local: LocalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(30):
        await local.register("ada")
    reached: list[int] = []
    publish, statistics = local.engine.publish, local.engine.shard.statistics

    def counting(notices: Any, slot: Any) -> None:
        before = statistics.delivered
        publish(notices, slot)
        reached.append(statistics.delivered - before)

    monkeypatch.setattr(local.engine, "publish", counting)
    body = b"[%b]" % b",".join([SMALL] * 2000)
    assert (await local.internal("/api/internal/notices", body=body)).status == 200
    assert sum(reached) == 60_000
    assert max(reached) <= 1000


async def test_ids_of_a_request_in_parts_are_its_own_until_it_is_over(local: LocalSite) -> None:
    """Nobody takes one in between for something else, so that its later parts can't be refused for that."""
    queue_id = await local.register("ada")
    notices = [{"event": {"type": "a"}, "users": [1], "id": f"n-{n}"} for n in range(5000)]

    def begin(body: Any) -> asgi.Exchange:
        headers = {"authorization": f"Bearer {SECRET}"}
        return local.begin(
            None, "POST", "/api/internal/notices", headers=headers, body=json.dumps(body).encode()
        )

    first = begin(notices)
    while local.engine.shard.statistics.delivered == 0:
        await asgi.settle()
    assert not first.is_answered
    other = await begin({"event": {"type": "b"}, "users": [1], "id": "n-4999"}).answer()
    assert (other.status, other.json["code"]) == (409, "NOTICE_ID_REUSED")
    again = await begin(notices).answer()
    assert [(await first.answer()).json["accepted"], again.json["accepted"]] == [5000, 5000]
    assert local.engine.shard.statistics.delivered == 5000
    assert {event["type"] for event in await local.events("ada", queue_id)} == {"a"}
    later = await begin({"event": {"type": "b"}, "users": [1], "id": "n-4999"}).answer()
    assert later.status == 409


async def test_an_id_that_is_used_twice_in_a_large_request_refuses_it_as_a_whole(local: LocalSite) -> None:
    notices = [{"event": {"type": "a"}, "users": [1], "id": f"n-{n}"} for n in range(3000)]
    notices.append({"event": {"type": "b"}, "users": [1], "id": "n-7"})
    answer = await local.internal("/api/internal/notices", body=json.dumps(notices).encode())
    assert (answer.status, answer.json["index"]) == (409, 3000)
    assert local.engine.shard.statistics.delivered == 0
    notices[-1] = {"event": {"type": "b"}, "users": [1], "id": "n-3000"}
    answer = await local.internal("/api/internal/notices", body=json.dumps(notices).encode())
    assert answer.json["accepted"] == 3001


async def test_hundreds_of_requests_take_one_slice_a_turn(local: LocalSite) -> None:
    body = b"a=" + b"%41" * 20_000
    exchanges = [local.begin("ada", "DELETE", "/api/v1/events", headers=FORM, body=body) for _ in range(200)]
    before = local.context.turns.slices
    await asyncio.sleep(0)
    while not all(exchange.is_answered for exchange in exchanges):
        await asyncio.sleep(0)
        assert local.context.turns.slices - before <= 2
        before = local.context.turns.slices
