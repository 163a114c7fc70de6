"""Shards with a real RabbitMQ: each has its own queue there, and a DELETE that its shard does not answer goes that way."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.broker import Broker
from support.programs import require_programs
from support.server_process import USER_IDS
from support.shard_group import ShardGroup
from support.waiting import eventually

pytestmark = pytest.mark.slow

FIRST, SECOND = "bob", "ada"
"""A user of each shard."""


@pytest.fixture
def group(tmp_path: Path) -> Iterator[ShardGroup]:
    require_programs("rabbitmq-server")
    (tmp_path / "broker").mkdir()
    broker = Broker(tmp_path / "broker")
    made: ShardGroup | None = None
    try:
        broker.start()
        made = ShardGroup(tmp_path, 2, f"bus.url={broker.url}")
        made.start()
        for shard in made.shards:
            eventually(
                lambda: "degraded" not in shard.ask("GET", "/health/ready").json,  # noqa: B023 - called at once
                what="the bus is there",
            )
        yield made
    finally:
        if made is not None:
            made.destroy()
        broker.destroy()


def test_a_delete_that_nobody_answers_is_carried_out_later_d_10_c24(group: ShardGroup) -> None:
    first, second = group.shards
    assert [USER_IDS[name] % 2 for name in (FIRST, SECOND)] == [0, 1]
    queue_id = first.register(SECOND)
    second.signal(signal.SIGSTOP)
    try:
        answer = first.ask_as(SECOND, "DELETE", "/api/v1/events", query={"queue_id": queue_id})
    finally:
        second.signal(signal.SIGCONT)
    assert (answer.status, answer.json["result"]) == (200, "success")
    query = {"queue_id": queue_id, "last_event_id": -1, "dont_block": True}

    def is_gone() -> bool:
        return second.ask_as(SECOND, "GET", "/api/v1/events", query=query).status == 400

    eventually(is_gone, what="the queue is gone")
