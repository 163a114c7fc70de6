"""Requests that reach a shard that does not serve their user (R9.10-R9.13, D-10; C24)."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.dumps import dump, pair
from support.lane_server import until
from support.raw_http import request_bytes
from support.server_process import BEARER, SECRET, USER_IDS, credentials, poll_bytes
from support.two_shards import OTHER, OWN, TwoShards, parsed, two_shards
from tidewire.cluster.peers import Reply
from tidewire.sharding.shard_map import ShardAddress, even_map

pytestmark = pytest.mark.slow


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[TwoShards]:
    async with two_shards(tmp_path) as both:
        yield both


def notice(*users: int, **more: object) -> bytes:
    return json.dumps({"event": {"type": "greeting", "text": "hi"}, "users": users, **more}).encode()


def queues(shards: TwoShards) -> tuple[int, int]:
    return tuple(server.local.engine.shard.queues() for server in (shards.first, shards.second))  # type: ignore[return-value]


@pytest.mark.parametrize("name", [OWN, OTHER])
async def test_a_queue_is_made_read_and_ended_by_way_of_either_shard(shards: TwoShards, name: str) -> None:
    queue_id = await shards.register(name)
    assert queues(shards) == ((1, 0) if name == OWN else (0, 1))
    assert (await shards.publish(notice(USER_IDS[name]))).json["accepted"] == 1
    (event,) = await shards.events(name, queue_id)
    assert event["text"] == "hi"
    ended = await shards.ask(name, "DELETE", "/api/v1/events", query={"queue_id": queue_id})
    assert ended.status == 200
    assert queues(shards) == (0, 0)


async def test_a_poll_waits_at_the_other_shard_and_is_answered_d7(shards: TwoShards) -> None:
    queue_id = await shards.register(OTHER)
    async with await shards.first.connect() as peer:
        peer.send(poll_bytes(OTHER, queue_id))
        await until(lambda: shards.second.local.engine.waiting() == 1)
        assert shards.first.local.engine.waiting() == 0
        await shards.publish(notice(USER_IDS[OTHER]))
        answer = parsed(await peer.answer())
    assert [event["text"] for event in answer.json["events"]] == ["hi"]


async def test_the_other_shard_learns_that_the_client_of_a_poll_went_away(shards: TwoShards) -> None:
    queue_id = await shards.register(OTHER)
    async with await shards.first.connect() as peer:
        peer.send(poll_bytes(OTHER, queue_id))
        await until(lambda: shards.second.local.engine.waiting() == 1)
    await until(lambda: shards.second.local.engine.waiting() == 0)


async def test_a_stop_ends_polls_that_wait_elsewhere_with_no_events_d5(shards: TwoShards) -> None:
    queue_id = await shards.register(OTHER)
    async with await shards.first.connect() as peer:
        peer.send(poll_bytes(OTHER, queue_id))
        await until(lambda: shards.second.local.engine.waiting() == 1)
        shards.neighbours[0].release()
        answer = parsed(await peer.answer())
    assert (answer.json["events"], answer.json["queue_id"]) == ([], queue_id)
    await until(lambda: shards.second.local.engine.waiting() == 0)


async def test_a_connection_may_carry_the_next_request_before_the_last_one_s_waiter_has_run(
    shards: TwoShards,
) -> None:
    peers = shards.neighbours[0]
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d"

    def ask() -> asyncio.Task[Reply]:
        return asyncio.create_task(peers.ask(1, b"GET / HTTP/1.1\r\n", within=9, may_repeat=False))

    first = ask()
    await until(lambda: bool(peers._waiting))
    ((call, _),) = peers._waiting.values()
    second = ask()  # runs before the first, which the reply wakes, and finds the connection idle
    call.data_received(reply % 1)
    assert (await first).body == b"1"
    call.data_received(reply % 2)
    assert (await second).body == b"2"
    assert not peers._waiting


async def test_an_unknown_queue_is_said_to_be_unknown_by_its_owner_s_shard_d_10(shards: TwoShards) -> None:
    answer = await shards.ask(OTHER, "DELETE", "/api/v1/events", query={"queue_id": "nonsense"})
    assert (answer.status, answer.json["code"]) == (400, "BAD_EVENT_QUEUE_ID")


async def test_the_answers_are_the_same_by_way_of_either_shard(shards: TwoShards) -> None:
    for query in ({}, {"queue_id": "x"}, {"queue_id": "x", "last_event_id": "y"}):
        request = request_bytes("GET", "/api/v1/events", query=query, headers=credentials(OTHER))
        (here,), (there,) = await shards.first.ask(request), await shards.second.ask(request)
        assert here == there


async def test_internal_calls_for_a_user_reach_the_user_s_shard(shards: TwoShards) -> None:
    form = {"user_profile_id": USER_IDS[OTHER], "dont_block": True, "secret": SECRET}
    answer = await shards.ask(None, "POST", "/api/v1/events/internal", form=form)
    assert (answer.status, queues(shards)) == (200, (0, 1))
    wrong = await shards.ask(None, "POST", "/api/v1/events/internal", form={**form, "secret": "x"})
    assert wrong.status == 403


async def test_a_notice_reaches_users_on_all_shards_and_a_repeat_nobody_twice(shards: TwoShards) -> None:
    ids = {name: await shards.register(name) for name in (OWN, OTHER)}
    body = notice(*(USER_IDS[name] for name in ids), 1000, id="n-1")
    for _ in range(2):
        answer = await shards.publish(body)
        assert (answer.status, answer.json) == (200, {"result": "success", "msg": "", "accepted": 1})
    assert [len(await shards.events(name, queue_id)) for name, queue_id in ids.items()] == [1, 1]


async def test_a_refusal_of_the_other_shard_names_the_notice_by_its_place(shards: TwoShards) -> None:
    own, other = USER_IDS[OWN], USER_IDS[OTHER]
    assert (await shards.publish(notice(other, id="n-1"))).status == 200
    answer = await shards.publish(b"[%b,%b]" % (notice(own), notice(other, own, id="n-1", realm_id=1)))
    assert (answer.status, answer.json["code"], answer.json["index"]) == (409, "NOTICE_ID_REUSED", 1)


async def test_a_long_request_reaches_both_shards_part_by_part(shards: TwoShards) -> None:
    ids = {name: await shards.register(name) for name in (OWN, OTHER)}
    users = [USER_IDS[name] for name in ids]
    body = b"[%b]" % b",".join(notice(users[n % 2], id=f"n-{n}") for n in range(500))
    for _ in range(2):
        answer = await shards.publish(body)
        assert (answer.status, answer.json["accepted"]) == (200, 500)
    assert [len(await shards.events(name, queue_id)) for name, queue_id in ids.items()] == [250, 250]


async def test_a_refusal_of_a_later_part_names_the_notice_by_its_place(shards: TwoShards) -> None:
    own, other = USER_IDS[OWN], USER_IDS[OTHER]
    assert (await shards.publish(notice(other, id="n-1"))).status == 200
    many = b",".join(notice(own) for _ in range(400))
    answer = await shards.publish(b"[%b,%b,%b]" % (many, notice(other, own, id="n-1", realm_id=1), many))
    assert (answer.status, answer.json["code"], answer.json["index"]) == (409, "NOTICE_ID_REUSED", 400)


async def test_a_public_message_goes_to_all_shards_of_its_realm(shards: TwoShards) -> None:
    queue_id = await shards.register(OTHER, all_public_streams=True, event_types=["message"])
    message = {
        "id": 7,
        "type": "stream",
        "sender_id": 2,
        "content": "x",
        "rendered_content": "<p>x</p>",
        "display_recipient": "general",
    }
    event = {"type": "message", "message_dict": message, "realm_id": 1, "stream_name": "general"}
    answer = await shards.publish(json.dumps({"event": event, "users": [USER_IDS[OWN]]}).encode())
    assert answer.status == 200, answer
    assert len(await shards.events(OTHER, queue_id)) == 1


async def test_parts_that_come_by_several_other_shards_are_each_carried_out(shards: TwoShards) -> None:
    """Under one id, as when a publisher with an old map had split the notice."""
    names = ("bob", "botty")
    queue_ids = [await shards.register(name) for name in names]
    for _ in range(2):
        for name in names:
            part = notice(USER_IDS[name], id="n", whole="ab" * 16)
            headers = {"Tidewire-Forwarded": "2 2", **BEARER}
            answer = await shards.ask(None, "POST", "/api/internal/notices", body=part, headers=headers)
            assert answer.status == 200, answer
    for name, queue_id in zip(names, queue_ids, strict=True):
        assert len(await shards.events(name, queue_id)) == 1


async def test_a_part_of_a_public_message_is_heard_by_its_hearers_alone(shards: TwoShards) -> None:
    message = {
        "id": 7,
        "type": "stream",
        "stream_id": 12,
        "sender_id": 9,
        "content": "x",
        "rendered_content": "<p>x</p>",
        "display_recipient": "general",
    }
    event = {"type": "message", "message_dict": message, "realm_id": 1, "stream_name": "general"}
    queue_id = await shards.register(OWN, all_public_streams=True)
    headers = {"Tidewire-Forwarded": "2 2", **BEARER}
    for hearers, heard in (([0, 0], 0), ([3, 5], 0), ([2, 5], 1), ([0, 1], 1)):
        part = {"id": "n", "whole": "ab" * 16, "event": event, "users": [], "hearers": hearers}
        body = json.dumps(part).encode()
        answer = await shards.ask(None, "POST", "/api/internal/notices", body=body, headers=headers)
        assert answer.status == 200, answer
        assert len(await shards.events(OWN, queue_id)) == heard


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_was_sent_on_three_times_is_not_sent_on_again(shards: TwoShards, method: str) -> None:
    query = {"queue_id": "q", "last_event_id": -1}
    sent_on = {"Tidewire-Forwarded": "9 3"}
    answer = await shards.ask(OTHER, method, "/api/v1/events", query=query, headers=sent_on)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    answer = await shards.ask(
        None, "POST", "/api/internal/notices", body=notice(1), headers={**sent_on, **BEARER}
    )
    assert answer.status == 503


@pytest.mark.parametrize("said", ["9", "9 2", "x", "", "9 -1", "9 \xb2"])
async def test_before_that_it_is_whatever_the_header_says(shards: TwoShards, said: str) -> None:
    answer = await shards.ask(
        OTHER, "POST", "/api/v1/register", form={}, headers={"Tidewire-Forwarded": said}
    )
    assert (answer.status, queues(shards)) == (200, (0, 1))


async def test_a_shard_that_does_not_answer_makes_a_503_and_one_line_in_the_log(shards: TwoShards) -> None:
    peers = shards.neighbours[0]
    there = peers.map
    gone = (there.shards[0], ShardAddress(1))
    peers._map = replace(there, shards=gone)
    for _ in range(2):
        answer = await shards.ask(OTHER, "POST", "/api/v1/register", form={})
        assert (answer.status, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert len(shards.first.local.logged("shard does not answer")) == 1
    peers._map = there
    await shards.register(OTHER)
    assert len(shards.first.local.logged("shard answers again")) == 1


async def test_a_delete_that_nobody_answers_goes_by_the_bus_d_10_c24(shards: TwoShards) -> None:
    peers = shards.neighbours[0]
    peers._map = replace(peers.map, shards=(peers.map.shards[0], ShardAddress(1)))
    sent: list[tuple[int, bytes]] = []

    async def by_bus(shard: int, body: bytes) -> None:
        sent.append((shard, body))
        await asyncio.sleep(0)

    peers.by_bus = by_bus
    answer = await shards.ask(OTHER, "DELETE", "/api/v1/events", form={"queue_id": "q-1"})
    assert answer.status == 200
    ((shard, body),) = sent
    event = {"type": "cleanup_queue", "queue_id": "q-1"}
    assert (shard, json.loads(body)) == (1, {"users": [USER_IDS[OTHER]], "event": event})


async def test_with_redirect_the_proxy_is_told_where_to_c24(tmp_path: Path) -> None:
    async with two_shards(tmp_path, "redirect") as shards:
        port = shards.second.port
        query = {"queue_id": "a b", "last_event_id": -1}
        poll = await shards.ask(OTHER, "GET", "/api/v1/events", query=query)
        assert (poll.status, poll.body) == (200, b"")
        target = "/api/v1/events?queue_id=a+b&last_event_id=-1"
        assert poll.headers["x-accel-redirect"] == f"/internal/tornado/{port}{target}"
        for method, path in (("DELETE", "/api/v1/events"), ("POST", "/api/v1/register")):
            answer = await shards.ask(OTHER, method, path, form={"queue_id": "q"})
            assert (answer.status, answer.headers["x-accel-redirect"]) == (200, f"@tidewire_{port}")
        refused = await shards.ask(None, "GET", "/api/v1/events", query=query)
        assert refused.status == 401


async def test_a_newer_map_ends_what_a_connection_remembers_of_a_poll(shards: TwoShards) -> None:
    queue_id = await shards.register(OWN)
    async with await shards.first.connect() as peer:
        query = {"queue_id": queue_id, "last_event_id": -1, "dont_block": True}
        again = request_bytes("GET", "/api/v1/events", query=query, headers=credentials(OWN))
        for _ in range(2):
            peer.send(again)
            assert parsed(await peer.answer()).status == 200
        assert shards.first.lane.statistics.repolls == 1
        old = shards.neighbours[0].map
        for one in shards.neighbours:
            assert one.adopt(replace(old, version=3, default=(1,))) is None
        peer.send(again)
        # Its queue stayed behind: moving users is another matter than a map that says they are elsewhere (R9.5).
        assert parsed(await peer.answer()).json["code"] == "BAD_EVENT_QUEUE_ID"
        assert shards.first.lane.statistics.repolls == 1


async def test_a_map_is_taken_over_only_if_it_is_newer_and_has_this_shard(shards: TwoShards) -> None:
    peers = shards.neighbours[0]
    old = peers.map
    assert peers.adopt(old) is None
    for wrong in (
        replace(old, default=(1,)),
        replace(old, version=1),
        even_map([old.shards[0].port + 1], version=3),
    ):
        assert peers.adopt(wrong)
    assert (peers.map, peers.generation) == (old, 0)


async def test_a_dump_is_each_shard_s_own(shards: TwoShards) -> None:
    """Queues of other shards' users are named with the port to import them at, and an export says whose it is."""
    ours, theirs = (pair(f"queue of {name}", user_profile_id=USER_IDS[name]) for name in (OWN, OTHER))
    taken = await shards.ask(None, "POST", "/api/internal/dump", headers=BEARER, body=dump(ours, theirs))
    port = shards.second.port
    assert taken.json["imported"] == 1
    assert taken.json["skipped"] == [
        {
            "index": 1,
            "queue_id": f"queue of {OTHER}",
            "code": "WRONG_SHARD",
            "reason": f"its user is the shard's on port {port}: import the file there too",
        }
    ]
    written = await shards.ask(None, "GET", "/api/internal/dump", headers=BEARER)
    assert written.headers["tidewire-shard"] == f"{shards.first.port}; others={port}"
    assert queues(shards) == (1, 0)
