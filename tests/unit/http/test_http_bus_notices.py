"""Notices of the bus that concern other shards too: a batch of them is one request, however each was split."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.server_process import USER_IDS
from support.two_shards import OTHER, OWN, TwoShards, two_shards
from tidewire.core.notices.notice import Notice, decode_notice
from tidewire.http.bus_notices import SharedNotices
from tidewire.http.forwarding import hops_said, hops_text

pytestmark = pytest.mark.slow


@pytest.fixture
async def shards(tmp_path: Path) -> AsyncIterator[TwoShards]:
    async with two_shards(tmp_path) as both:
        yield both


def notice(number: int, *names: str, split: bool) -> Notice:
    """One that its publisher has split, by a map that gives everybody to the first shard, or has not."""
    users = [USER_IDS[name] for name in names]
    raw = json.dumps({"id": f"n-{number}", "event": {"type": "count", "n": number}, "users": users}).encode()
    made = decode_notice(raw)
    if split:
        made.parted = frozenset({"notify_tornado_port_1"})
    return made


async def test_split_and_whole_notices_go_on_together_and_in_order(
    shards: TwoShards, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    peers = shards.neighbours[0]
    ask = peers.ask

    async def counted(shard: int, request: bytes, **how: object) -> object:
        asked.append(request.partition(b"\r\n\r\n")[0])
        return await ask(shard, request, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(peers, "ask", counted)
    queues = {name: await shards.register(name) for name in (OWN, OTHER)}
    asked.clear()
    batch = [notice(number, OWN, OTHER, split=number % 2 == 0) for number in range(1, 21)]
    await SharedNotices(shards.first.local.context, peers).carry_out(batch)

    assert len(asked) == 1
    assert b"tidewire-forwarded: 2 " + b"12" * 10 in asked[0]
    for name, queue_id in queues.items():
        assert [event["n"] for event in await shards.events(name, queue_id)] == list(range(1, 21))


async def test_a_repeated_batch_is_known_everywhere(shards: TwoShards) -> None:
    queues = {name: await shards.register(name) for name in (OWN, OTHER)}
    shared = SharedNotices(shards.first.local.context, shards.neighbours[0])
    for _ in range(2):
        await shared.carry_out([notice(number, OWN, OTHER, split=number % 2 == 0) for number in range(1, 5)])

    for name, queue_id in queues.items():
        assert [event["n"] for event in await shards.events(name, queue_id)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("hops", "text", "most"), [([1, 1, 1], "1", 1), ([2], "2", 2), ([1, 2, 1], "121", 2), ([3, 3], "3", 3)]
)
def test_what_was_sent_on_how_often_is_said_once_if_it_is_the_same(
    hops: list[int], text: str, most: int
) -> None:
    assert hops_text(hops) == text
    assert hops_said(f"7 {text}") == most


@pytest.mark.parametrize("said", ["", "7", "7 ", "7 x", "7 -1", "7 1x2", "7 ²"])
def test_a_header_that_says_nothing_of_use_counts_as_once(said: str) -> None:
    assert hops_said(said) == 1
