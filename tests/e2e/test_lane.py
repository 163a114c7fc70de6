"""The fast lane over real sockets: the same bytes as the ordinary routes, and connections of every kind (D5)."""

import asyncio
import gc
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.door import SessionDoor
from support.lane_server import LaneServer, Peer, lane_server, until
from support.raw_http import basic, request_bytes
from support.server_process import KEYS, SECRET, credentials, email
from support.site import LocalSite, local_site
from tidewire.http.lane.asgi_exchange import Exchange
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.security import Cors

ADA = credentials("ada")


def poll(
    queue_id: str, last: int = -1, *, lines: str = "", version: str = "1.1", name: str = "ada", more: str = ""
) -> bytes:
    """A poll that the lane serves."""
    target = f"/api/v1/events?queue_id={queue_id}&last_event_id={last}{more}"
    head = f"Host: x\r\nAuthorization: {credentials(name)['Authorization']}\r\n{lines}"
    return f"GET {target} HTTP/{version}\r\n{head}\r\n".encode()


def ordinary(request: bytes) -> bytes:
    """The same request, written so that only the ordinary route understands it."""
    return request.replace(b"last_event_id=", b"last%5Fevent_id=", 1)


def notices(*events: Mapping[str, Any], users: tuple[int, ...] = (1,), lines: str = "") -> bytes:
    return publishing(*({"event": event, "users": users} for event in events), lines=lines)


def named_notice(name: str, **event: Any) -> bytes:
    return publishing({"event": event, "users": [1], "id": name})


def publishing(*wanted: Mapping[str, Any], lines: str = "") -> bytes:
    body = "\n".join(map(json.dumps, wanted)).encode()
    headers = {"Authorization": f"Bearer {SECRET}"}
    request = request_bytes("POST", "/api/internal/notices", body=body, headers=headers)
    return request.replace(b"\r\n", f"\r\n{lines}".encode(), 1)


async def both(server: LaneServer, request: bytes) -> bytes:
    """The answer, which must be the same either way; the first must have been the lane's."""
    statistics = server.lane.statistics
    before = statistics.handed_over
    (fast,) = await server.ask(request)
    assert statistics.handed_over == before
    (slow,) = await server.ask(ordinary(request))
    assert statistics.handed_over == before + 1
    assert fast == slow
    return fast


async def park(server: LaneServer, request: bytes) -> Peer:
    """A poll that waits."""
    engine = server.local.engine
    before = engine.waiting()
    peer = await server.connect()
    peer.send(request)
    await until(lambda: engine.waiting() > before)
    return peer


async def queue_with(local: LocalSite, *kinds: str) -> str:
    queue_id = await local.register("ada")
    for kind in kinds:
        await local.publish("ada", type=kind)
    return queue_id


async def test_events_that_are_there_are_answered_alike(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local, "a", "b")
    async with lane_server(local) as server:
        answer = await both(server, poll(queue_id))
        assert b'"events":[{"type":"a","id":0},{"type":"b","id":1}]' in answer
        assert b'"events":[{"type":"b","id":1}]' in await both(server, poll(queue_id, 0))
        assert b'"events":[]' in await both(server, poll(queue_id, 1, more="&dont_block=true"))


def bearer(request: bytes) -> bytes:
    """The same request with a token."""
    return request.replace(ADA["Authorization"].encode(), b"Bearer ada")


async def test_the_lane_hands_over_until_somebody_was_asked(tmp_path: Path) -> None:
    """D5: what is known the lane serves by itself; what must be asked the ordinary route asks."""
    local = local_site(tmp_path)
    queue_id = await queue_with(local, "a", "b")
    door = SessionDoor(local.context.authenticator, asks=True)
    async with lane_server(local.changed(door=door)) as server, await server.connect() as peer:
        statistics = server.lane.statistics
        seen = []
        for number, last in enumerate((-1, -1, 0)):
            peer.send(bearer(poll(queue_id, last)))
            seen.append(await peer.answer())
            assert (statistics.handed_over, statistics.polls) == (1, min(number, 1))
        assert seen[0] == seen[1]
        assert statistics.repolls == 1
        # What has to be asked again is handed over again, also on a connection that is well known.
        door.forget()
        door.keep_until = 0.0
        local.context.authenticator.reload()  # type: ignore[attr-defined]  # the tests' site has the one that reads a file
        peer.send(bearer(poll(queue_id, 0)))
        assert await peer.answer() == seen[2]
        assert statistics.handed_over == 2
        assert len(door.asked) == 2


async def test_a_repeated_poll_is_looked_at_again_when_its_time_has_come(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local, "a", "b", "c")
    door = SessionDoor(local.context.authenticator)
    door.keep_until = local.clock.now() + 10
    async with lane_server(local.changed(door=door)) as server:
        local.clock.advance(0)
        async with await server.connect() as peer:
            for last in (-1, 0):
                peer.send(bearer(poll(queue_id, last)))
                await peer.answer()
            assert server.lane.statistics.repolls == 1
            local.clock.advance(11)
            peer.send(bearer(poll(queue_id, 1)))
            await peer.answer()
            assert (server.lane.statistics.repolls, server.lane.statistics.polls) == (1, 2)


def session(request: bytes) -> bytes:
    """The same poll by a browser's session."""
    shown = f"Authorization: {ADA['Authorization']}".encode()
    return request.replace(b"/api/v1/events", b"/json/events").replace(shown, b"Cookie: session=ada")


@pytest.mark.parametrize("lines", ["", "Sec-Fetch-Site: same-origin\r\n", "User-Agent: ZulipMobile/1\r\n"])
async def test_polls_of_browser_sessions_are_answered_alike(tmp_path: Path, lines: str) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local, "a", "b")
    cors = Cors(("https://other.example",))  # whose lines these answers never have
    async with lane_server(local.changed(door=SessionDoor(local.context.authenticator), cors=cors)) as server:
        for request in (
            poll(queue_id, lines=lines),
            poll("unknown", lines=lines),
            poll(queue_id, 7, lines=lines),
        ):
            answer = await both(server, session(request))
            assert b"access-control" not in answer.lower()
        async with await server.connect() as peer:
            for last in (0, 1):
                peer.send(session(poll(queue_id, last, lines=lines, more="&dont_block=true")))
                await peer.answer()
        assert server.lane.statistics.repolls == 1
    logged = [entry for entry in local.logged("request") if entry["path"] == "/json/events"]
    assert len(logged) == 8
    assert {entry["client"] for entry in logged} == {"ZulipMobile" if "Zulip" in lines else "website"}


@pytest.mark.parametrize(
    "lines",
    ["Origin: http://other.example\r\n", "Origin: http://x\r\n", "Sec-Fetch-Site: cross-site\r\n"],
)
async def test_whether_a_page_is_of_the_own_site_is_judged_on_the_ordinary_route(
    tmp_path: Path, lines: str
) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local, "a")
    async with lane_server(local.changed(door=SessionDoor(local.context.authenticator))) as server:
        (answer,) = await server.ask(session(poll(queue_id, lines=lines)))
        assert server.lane.statistics.polls == 0
        assert answer.startswith(b"HTTP/1.1 200" if "//x" in lines else b"HTTP/1.1 403")


async def test_without_a_door_no_session_is_let_in(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local, "a")
    async with lane_server(local) as server:
        for request in (session(poll(queue_id)), poll(queue_id).replace(b"/api/v1/", b"/json/")):
            (answer,) = await server.ask(request)
            assert answer.startswith(b"HTTP/1.1 401")
        assert server.lane.statistics.polls == 0


async def test_a_session_that_ends_ends_the_poll_that_waits(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    door = SessionDoor(local.context.authenticator, ends_at=local.clock.now() + 0.2)
    async with lane_server(local.changed(door=door)) as server:
        peer = await park(server, session(poll(queue_id)))
        local.clock.advance(1)
        server.lane.sweep(asyncio.get_running_loop().time())
        answer = await peer.answer()
        assert answer.startswith(b"HTTP/1.1 401")
        assert b'www-authenticate: Session realm="zulip"' in answer
        assert local.engine.waiting() == 0


@pytest.mark.parametrize("way", ["lane", "ordinary"])
async def test_a_token_that_ends_ends_the_poll_that_waits(tmp_path: Path, way: str) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    door = SessionDoor(local.context.authenticator, ends_at=local.clock.now() + 0.2)
    async with lane_server(local.changed(door=door)) as server:
        request = bearer(poll(queue_id))
        peer = await park(server, request if way == "lane" else ordinary(request))
        local.clock.advance(1)
        server.lane.sweep(asyncio.get_running_loop().time())
        answer = await peer.answer()
        assert answer.startswith(b"HTTP/1.1 401")
        assert b'"code":"INVALID_TOKEN"' in answer
        assert local.engine.waiting() == 0
        assert server.lane.expiring == {}


async def test_a_revoked_session_ends_the_poll_that_waits_on_the_lane(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    local = local.changed(door=SessionDoor(local.context.authenticator))
    async with lane_server(local) as server:
        peer = await park(server, bearer(poll(queue_id)))
        answer = await local.internal("/api/internal/revoke_session", form={"session": "session-of-ada"})
        assert answer.json["queues_ended"] == 1
        assert b'"events":[]' in await peer.answer()
        peer.send(bearer(poll(queue_id)))
        assert (await peer.answer()).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "request_",
    [
        poll("unknown"),
        poll("unknown", lines="User-Agent: ZulipTerminal/0.7.0\r\n"),
        poll("unknown", lines="User-Agent: zulip-term\r\n"),
        poll("queue-0", 7),
        poll("queue-0", -1, name="bob"),
        poll("queue-0").replace(b"Authorization", b"X-Authorization"),
        poll("queue-0").replace(b"Basic", b"Bearer"),
        poll("queue-0").replace(b"Basic ", b"Basic !"),
        poll("queue-0").replace(ADA["Authorization"].encode(), basic(email("ada"), "short").encode()),
        poll("queue-0").replace(ADA["Authorization"].encode(), basic(email("ada"), "z" * 32).encode()),
        poll("queue-0").replace(ADA["Authorization"].encode(), basic("nobody@x", KEYS["ada"]).encode()),
    ],
    ids=[
        "unknown queue",
        "unknown queue, old client",
        "unknown queue, old client without a version",
        "an event that was never there",
        "another user's queue",
        "no credentials",
        "another scheme",
        "unreadable credentials",
        "malformed key",
        "wrong key",
        "wrong email",
    ],
)
async def test_errors_are_answered_alike(tmp_path: Path, request_: bytes) -> None:
    """R6.3, R6.40, R6.44, R6.95."""
    local = local_site(tmp_path)
    await queue_with(local)
    async with lane_server(local) as server:
        answer = await both(server, request_)
        assert answer.startswith(b"HTTP/1.1 4")


async def test_a_pruned_event_is_refused_alike(tmp_path: Path) -> None:
    """R6.40."""
    local = local_site(tmp_path)
    queue_id = await queue_with(local, "a", "b")
    async with lane_server(local) as server:
        await server.ask(poll(queue_id, 0))
        assert b"has already been pruned" in await both(server, poll(queue_id, -1))


@pytest.mark.parametrize(
    "request_",
    [poll("queue-0", version="1.0"), poll("queue-0", lines="Connection: close\r\n")],
    ids=["HTTP/1.0", "the client's wish"],
)
async def test_a_connection_that_ends_with_its_answer_says_so_alike(tmp_path: Path, request_: bytes) -> None:
    local = local_site(tmp_path)
    await queue_with(local, "a")
    async with lane_server(local) as server:
        assert b"connection: close\r\n" in await both(server, request_)
        async with await server.connect() as peer:
            peer.send(request_)
            assert (await peer.rest()).endswith(b"}\n")


@pytest.mark.parametrize("how", ["an event", "another poll", "deletion", "a heartbeat", "the server's sake"])
async def test_a_poll_that_waited_is_answered_alike(tmp_path: Path, how: str) -> None:
    """R2.18, R2.26, R1.21, D5."""
    answers = []
    for form in (poll, lambda queue_id: ordinary(poll(queue_id))):
        local = local_site(tmp_path)
        queue_id = await queue_with(local)
        async with lane_server(local) as server:
            peer = await park(server, form(queue_id))
            await provoke(local, server, queue_id, how)
            answers.append(await peer.answer())
    assert answers[0] == answers[1]


async def provoke(local: LocalSite, server: LaneServer, queue_id: str, how: str) -> None:
    if how == "an event":
        await local.publish("ada", type="a")
    elif how == "another poll":
        await server.ask(poll(queue_id, more="&dont_block=true"))
    elif how == "deletion":
        await local.ask("ada", "DELETE", "/api/v1/events", form={"queue_id": queue_id})
    elif how == "a heartbeat":
        local.clock.advance(60)
        local.engine.tick()
    else:
        local.engine.release(10)


async def test_a_stop_is_answered_alike(tmp_path: Path) -> None:
    """D5: parked polls get an empty answer that ends the connection."""
    answers = []
    for form in (poll, lambda queue_id: ordinary(poll(queue_id))):
        local = local_site(tmp_path)
        queue_id = await queue_with(local)
        async with lane_server(local) as server:
            peer = await park(server, form(queue_id))
            local.context.lifecycle.stopping = True
            local.engine.release(10)
            answers.append(await peer.rest())
    assert answers[0] == answers[1]
    assert b"connection: close\r\n" in answers[0]


async def test_repeated_polls_are_recognised_and_answered_alike(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local, *"abcdefgh")
    async with lane_server(local) as server:
        fast = await server.ask(*(poll(queue_id, number) for number in range(6)))
        assert server.lane.statistics.repolls == 5
    local = local_site(tmp_path)
    assert await queue_with(local, *"abcdefgh") == queue_id
    async with lane_server(local) as server:
        slow = await server.ask(*(ordinary(poll(queue_id, number)) for number in range(6)))
        assert server.lane.statistics.polls == 0
    assert fast == slow


async def test_a_repeated_poll_is_checked_again_when_the_users_change(tmp_path: Path) -> None:
    """D11: who has lost the key is not let in by an open connection."""
    local = local_site(tmp_path)
    queue_id = await queue_with(local, "a", "b")
    users = tmp_path / "users.toml"
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(poll(queue_id))
        assert (await peer.answer()).startswith(b"HTTP/1.1 200")
        users.write_text(users.read_text().replace(KEYS["ada"], "c" * 32))
        local.context.authenticator.reload()  # type: ignore[attr-defined]  # the tests' site has the one that reads a file
        peer.send(poll(queue_id, 0))
        assert (await peer.answer()).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "request_",
    [
        notices({"type": "a"}),
        notices({"type": "a"}, {"type": "b"}),
        notices({"type": "a"}).replace(b'"type"', b'"typo"'),
        notices({"type": "a"}).replace(b"{", b"[", 1),
        notices(),
        notices({"type": "a"}, lines="Connection: close\r\n"),
    ],
    ids=["one", "two", "no type", "no JSON", "none", "the last"],
)
async def test_publishing_is_answered_alike(tmp_path: Path, request_: bytes) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    async with lane_server(local) as server:
        (fast,) = await server.ask(request_)
        assert server.lane.statistics.handed_over == 0
        mark = request_.replace(b"/api/internal/notices", b"/api/internal/%6eotices", 1)
        (slow,) = await server.ask(mark)
        assert server.lane.statistics.handed_over == 1
        assert fast == slow
        kinds = [event["type"] for event in await local.events("ada", queue_id)]
        assert kinds[: len(kinds) // 2] == kinds[len(kinds) // 2 :]


MANY = 1500
"""Notices that no record holds, and no slice."""


@pytest.mark.parametrize(
    "request_",
    [
        notices(*[{"type": "a"}] * MANY),
        notices(*[{"type": "a"}] * MANY, {"typo": "b"}),
        notices(*[{"type": "a"}] * 150),
        notices({"type": "a", "pad": ["{}"] * 30_000}),
        notices({"type": "a", "pad": [[]] * 30_000}),
        notices({"type": "a", "pad": [{}] * 100_000}),
        notices({"type": "a", "pad": "x" * 150_000}),
    ],
    ids=["many", "the last is wrong", "some", "texts", "lists", "too many objects", "long"],
)
async def test_what_would_hold_the_loop_is_answered_alike_by_the_ordinary_route(
    tmp_path: Path, request_: bytes
) -> None:
    """It is handed over, as a first request and behind a head that is known."""
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    async with lane_server(local) as server:
        (fast,) = await server.ask(request_)
        assert server.lane.statistics.handed_over == 1
        taken = await local.events("ada", queue_id)
        first, again = await server.ask(notices({"type": "a"}), request_)
        assert (b'"accepted":1' in first, again) == (True, fast)
        assert server.lane.statistics.handed_over == 2
        mark = request_.replace(b"/api/internal/notices", b"/api/internal/%6eotices", 1)
        (slow,) = await server.ask(mark)
        assert fast == slow
    # What is beyond one answer stands behind it.
    assert all(event["type"] == "a" for event in taken)
    assert bool(taken) == (b'"accepted"' in fast)


async def test_a_publisher_s_further_requests_are_answered_like_its_first(tmp_path: Path) -> None:
    """What is known of a head changes no answer, no entry of the log and no figure (`http/lane/shortcuts.py`)."""
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    good = notices({"type": "a"})
    requests = [
        good,
        good,
        notices({"type": "a"}, {"type": "b"}),
        notices({"type": "longer", "pad": "x" * 300}),
        good.replace(b'"type"', b'"typo"'),
        good,
        notices(),
        notices({"type": "zz"}).replace(SECRET.encode(), b"x" * len(SECRET)),
        notices({"type": "c"}, lines="X-More: 1\r\n"),
        notices({"type": "c"}, lines="X-More: 1\r\n"),
        notices({"type": "last"}, lines="Connection: close\r\n"),
    ]
    async with lane_server(local) as server:
        one_by_one = [(await server.ask(request))[0] for request in requests]
        first = local.logged("request")[1:]
        served = server.lane.statistics.publishes
        assert await server.ask(*requests) == one_by_one
        assert [_timeless(entry) for entry in local.logged("request")[1 + len(first) :]] == [
            _timeless(entry) for entry in first
        ]
        assert server.lane.statistics.publishes == 2 * served
    kinds = [event["type"] for event in await local.events("ada", queue_id)]
    assert kinds[: len(kinds) // 2] == kinds[len(kinds) // 2 :]
    assert len(kinds) == 2 * 9


def _timeless(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "duration_ms"}


async def test_what_follows_a_known_head_may_come_in_any_pieces(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    request = notices({"type": "a"})
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(request)
        await peer.answer()
        peer.send(request + request)  # together
        assert b'"accepted":1' in await peer.answer()
        assert b'"accepted":1' in await peer.answer()
        for at in (5, request.index(b"Content-Length") + 17, len(request) - 3):
            peer.send(request[:at])
            await asyncio.sleep(0.01)
            peer.send(request[at:])
            assert b'"accepted":1' in await peer.answer()
    assert len(await local.events("ada", queue_id)) == 6


async def test_a_refusal_behind_a_known_head_changes_nothing(tmp_path: Path) -> None:
    """The engine refuses what was decoded well: an id that stands for another notice."""
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    requests = [named_notice("x", type="a"), named_notice("y", type="b"), named_notice("y", type="c")]
    async with lane_server(local) as server:
        *taken, refused, again = await server.ask(*requests, requests[1])
    assert all(b'"accepted":1' in answer for answer in [*taken, again])
    assert refused.startswith(b"HTTP/1.1 409")
    assert b"NOTICE_ID_REUSED" in refused
    assert [event["type"] for event in await local.events("ada", queue_id)] == ["a", "b"]


@pytest.mark.parametrize(
    "lines",
    ["Origin: http://x\r\n", "X-Forwarded-For: 10.0.0.1\r\n", "Via: x\r\n"],
    ids=["origin", "forwarded", "via"],
)
async def test_publishing_from_outside_is_refused_on_the_lane_too(tmp_path: Path, lines: str) -> None:
    """R6.66, R6.67, D5."""
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    async with lane_server(local) as server:
        wrong_secret = notices({"type": "a"}).replace(SECRET.encode(), b"x" * len(SECRET))
        for request in (notices({"type": "a"}, lines=lines), wrong_secret):
            (answer,) = await server.ask(request)
            assert answer.startswith(b"HTTP/1.1 403")
    assert await local.events("ada", queue_id) == []


async def test_a_large_body_may_come_in_parts(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    request = notices(*({"type": "a", "pad": "x" * 1000, "number": number} for number in range(50)))
    async with lane_server(local) as server, await server.connect() as peer:
        for start in range(0, len(request), 5_000):
            peer.send(request[start : start + 5_000])
            await asyncio.sleep(0)
        assert b'"accepted":50' in await peer.answer()
        assert server.lane.statistics.publishes == 1
    events = await local.events("ada", queue_id)
    assert [event["number"] for event in events] == list(range(50))


async def test_a_head_may_come_byte_by_byte(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local, "a")
    async with lane_server(local) as server, await server.connect() as peer:
        for byte in poll(queue_id):
            peer.send(bytes([byte]))
            await asyncio.sleep(0.001)
        assert b'"type":"a"' in await peer.answer()
        assert server.lane.statistics.handed_over == 0


async def test_requests_that_come_together_are_answered_in_order(tmp_path: Path) -> None:
    """Pipelining, of lane and ordinary requests mixed."""
    local = local_site(tmp_path)
    queue_id = await queue_with(local, "a", "b", "c")
    live = request_bytes("GET", "/health/live")
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(
            poll(queue_id) + poll(queue_id, 0) + notices({"type": "d"}) + live + poll(queue_id, 1) + live
        )
        answers = [await peer.answer() for _ in range(6)]
    assert [b'"type":"a"' in answers[0], b'"type":"a"' in answers[1], b"accepted" in answers[2]] == [
        True,
        False,
        True,
    ]
    assert b'{"type":"d","id":3}' in answers[4]
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)


async def test_a_request_behind_a_waiting_poll_waits_for_it(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    async with lane_server(local) as server:
        peer = await park(server, poll(queue_id))
        peer.send(poll(queue_id, 0, more="&dont_block=true"))
        await asyncio.sleep(0.05)
        await local.publish("ada", type="a")
        assert b'"type":"a"' in await peer.answer()
        assert b'"events":[]' in await peer.answer()


@pytest.mark.parametrize("how", ["reset", "half close"])
@pytest.mark.parametrize("behind", [b"", poll("queue-0")], ids=["nothing behind", "a request behind"])
async def test_a_client_that_leaves_its_poll_is_noticed_at_once(
    tmp_path: Path, how: str, behind: bytes
) -> None:
    """R2.21."""
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    async with lane_server(local) as server:
        peer = await park(server, poll(queue_id))
        peer.send(behind)
        await asyncio.sleep(0.02)
        peer.reset() if how == "reset" else peer.end_sending()
        await until(lambda: not local.engine.waiting())
        await until(lambda: server.lane.admission.total == 0)
    await local.publish("ada", type="a")
    assert [event["type"] for event in await local.events("ada", queue_id)] == ["a"]


async def test_the_connection_comes_back_from_the_ordinary_routes(tmp_path: Path) -> None:
    """Clients register and poll on one connection; only the registration goes the long way."""
    local = local_site(tmp_path)
    register = request_bytes("POST", "/api/v1/register", form={}, headers=ADA)
    async with lane_server(local) as server, await server.connect() as peer:
        for turn in range(1, 4):
            peer.send(register)
            queue_id = json.loads((await peer.answer()).partition(b"\r\n\r\n")[2])["queue_id"]
            peer.send(poll(queue_id, more="&dont_block=true"))
            assert b'"events":[]' in await peer.answer()
            assert (server.lane.statistics.handed_over, server.lane.statistics.polls) == (turn, turn)
        assert len(server.lane.connections) == 1


async def test_nothing_of_an_ordinary_request_is_left_to_the_garbage_collector(tmp_path: Path) -> None:
    """It hardly ever comes by (`server.GC_THRESHOLDS`), and every client registers on its connection."""
    gc.collect()
    gc.disable()
    try:
        async with lane_server(local_site(tmp_path)) as server, await server.connect() as peer:
            for _ in range(3):
                peer.send(request_bytes("POST", "/api/v1/register", headers=ADA))
                assert b"queue_id" in await peer.answer()
            await until(lambda: not any(type(one) is Exchange for one in gc.get_objects()))
    finally:
        gc.enable()


async def test_an_offer_to_upgrade_is_ignored_and_nothing_is_lost(tmp_path: Path) -> None:
    """Every JDK's client offers h2c; uvicorn would drop the body."""
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    lines = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    async with lane_server(local) as server:
        (answer,) = await server.ask(notices({"type": "a"}, lines=lines))
        assert b'"accepted":1' in answer
        (answer,) = await server.ask(poll(queue_id, lines=lines))
        assert b'"type":"a"' in answer


async def test_who_asks_first_whether_to_send_is_told_to(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    await queue_with(local)
    request = notices({"type": "a"}, lines="Expect: 100-continue\r\n")
    head, _, body = request.partition(b"\r\n\r\n")
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(head + b"\r\n\r\n")
        assert await peer.answer() == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send(body)
        assert b'"accepted":1' in await peer.answer()


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", poll("x")[:-4]], ids=["nothing", "half a line", "half a head"]
)
async def test_a_head_that_does_not_come_is_not_waited_for(tmp_path: Path, sent: bytes) -> None:
    local = local_site(tmp_path)
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(sent)
        await asyncio.sleep(0.05)
        server.lane.sweep(server.lane.now + 9.9)
        server.lane.sweep(server.lane.now + 0.2)
        answer = await peer.rest()
        assert answer.startswith(b"HTTP/1.1 408") if sent else answer == b""


async def test_more_bytes_do_not_buy_more_time(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    async with lane_server(local) as server, await server.connect() as peer:
        for byte in b"GET / HTTP":
            peer.send(bytes([byte]))
            await asyncio.sleep(0.01)
            server.lane.sweep(server.lane.now + 1.0)
        server.lane.sweep(server.lane.now + 1.0)
        assert (await peer.rest()).startswith(b"HTTP/1.1 408")


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(notices({"type": "a"})[:-5])
        await asyncio.sleep(0.05)
        server.lane.sweep(server.lane.now + 61)
        assert (await peer.rest()).startswith(b"HTTP/1.1 408")


async def test_a_waiting_poll_has_no_deadline_but_the_heartbeat(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    async with lane_server(local) as server:
        peer = await park(server, poll(queue_id))
        server.lane.sweep(server.lane.now + 1000)
        await local.publish("ada", type="a")
        assert b'"type":"a"' in await peer.answer()
        server.lane.sweep(server.lane.now + 76)
        assert await peer.rest() == b""


async def test_a_peer_that_does_not_read_is_dropped_and_its_queue_keeps_the_events(tmp_path: Path) -> None:
    """C30."""
    local = local_site(tmp_path)
    queue_id = await queue_with(local)
    for _ in range(20):
        await local.publish("ada", type="a", pad="x" * 500_000)
    async with lane_server(local) as server, await server.connect() as peer:
        peer.stop_reading()
        for _ in range(20):
            peer.send(poll(queue_id))
        await until(lambda: len(server.lane.blocked) > 0)
        polls = server.lane.statistics.polls + server.lane.statistics.repolls
        await asyncio.sleep(0.1)
        assert polls == server.lane.statistics.polls + server.lane.statistics.repolls < 20
        server.lane.sweep(server.lane.now + 61)
        await until(lambda: server.lane.admission.total == 0)
    assert len(await local.events("ada", queue_id)) > 0


async def test_what_comes_after_a_refusal_is_thrown_away_a_repeated_poll_too(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    queue_id = await queue_with(local, "a")
    async with lane_server(local) as server, await server.connect() as peer:
        peer.send(poll(queue_id))
        assert b'"events":[{"type":"a","id":0}]' in await peer.answer()
        peer.send(b"GET /api/v1/events HTTP/1.1\r\n\r\n")
        assert b"one Host header" in await peer.answer()
        peer.send(poll(queue_id, 0))
        peer.end_sending()
        await until(lambda: not server.lane.connections)
        assert await peer.rest() == b""
        statistics = server.lane.statistics
        assert (statistics.polls, statistics.repolls, statistics.handed_over) == (1, 0, 0)
        assert len(await local.events("ada", queue_id)) == 1


async def test_too_many_connections_are_turned_away(tmp_path: Path) -> None:
    local = local_site(tmp_path)
    async with lane_server(local, Bounds(connections=2)) as server:
        peers = [await server.connect() for _ in range(2)]
        await until(lambda: server.lane.admission.total == 2)
        async with await server.connect() as third:
            answer = await third.rest()
            assert answer.startswith(b"HTTP/1.1 503")
            assert b'"code":"TOO_MANY_CONNECTIONS"' in answer
        peers[0].reset()
        await until(lambda: server.lane.admission.total < 2)
        (answer,) = await server.ask(request_bytes("GET", "/health/live"))
        assert answer.startswith(b"HTTP/1.1 200")
        for peer in peers:
            peer.reset()
