"""RabbitMQ and its faults: nothing is lost and nothing comes twice, over kills of either side."""

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.broker import NOTIFICATIONS, Broker
from support.collector import Collector
from support.server_process import SECRET, USER_IDS, ServerProcess, StartServer, clean_environment
from support.traces import SAMPLED, SPAN, TRACE
from support.waiting import eventually
from support.whole_messages import message_event, recipients
from tidewire.publisher import AsyncPublisher, OneShard, Publisher, PublishFailed

pytestmark = pytest.mark.slow

PATIENCE = 60.0
"""Seconds: a broker takes several to come back."""


class Shard:
    """A server, its queue on the broker, and one queue of Ada's on the server."""

    def __init__(self, broker: Broker, start_server: StartServer, *settings: str) -> None:
        self.queue = f"notices-{uuid.uuid4()}"
        self.server: ServerProcess = start_server(
            f"bus.url={broker.url}", f"bus.queue={self.queue}", "queues.answer_max_bytes=100000000", *settings
        )
        self.events = self.server.register("ada", event_types=["step"])

    def numbers(self, count: int) -> list[int]:
        """The numbers of all events, once there are `count`."""
        eventually(lambda: len(self._look()) >= count, what=f"{count} events", within=PATIENCE)
        return self._look()

    def _look(self) -> list[int]:
        return [event["n"] for event in self.server.events("ada", self.events)]

    def degraded(self) -> list[str]:
        """What the server says is wrong."""
        answer = self.server.ask("GET", "/health/ready")
        assert answer.status == 200
        degraded = answer.json.get("degraded", [])
        assert isinstance(degraded, list)
        return degraded

    def outbox(self, queue: str) -> list[Any]:
        """The notifications that the server still has to bring to a queue of the broker."""
        answer = self.server.ask(
            "GET", f"/api/internal/outbox/{queue}", headers={"Authorization": f"Bearer {SECRET}"}
        )
        assert answer.status == 200
        records = answer.json["records"]
        assert isinstance(records, list)
        return records

    def kill_and_start(self) -> None:
        """SIGKILL, and another start."""
        self.server.destroy()
        self.server.start()


@pytest.fixture
def shard(broker: Broker, start_server: StartServer) -> Shard:
    return Shard(broker, start_server)


def step(number: int) -> dict[str, Any]:
    return {"event": {"type": "step", "n": number}, "users": [USER_IDS["ada"]]}


@contextmanager
def steady_publisher(broker: Broker, queue: str) -> Iterator[list[int]]:
    """Publishes numbered notices from another thread; afterwards the list holds all that were confirmed."""
    confirmed: list[int] = []
    problems: list[Exception] = []
    stop = threading.Event()

    def publish() -> None:
        with Publisher(broker.url, shards=OneShard(queue), retry_for=PATIENCE, timeout=5) as publisher:
            while not stop.is_set():
                numbers = [*range(len(confirmed), len(confirmed) + 20)]
                try:
                    publisher.send([step(number) for number in numbers])
                except PublishFailed as error:
                    problems.append(error)
                    return
                confirmed.extend(numbers)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield confirmed
    finally:
        stop.set()
        thread.join()
    assert problems == []


def test_a_killed_broker_loses_nothing_and_the_server_says_that_it_is_away(
    broker: Broker, shard: Shard
) -> None:
    with steady_publisher(broker, shard.queue) as confirmed:
        eventually(lambda: len(confirmed) > 200, what="notices are confirmed")
        broker.kill()
        eventually(lambda: shard.degraded() == ["bus"], what="the server says so")
        assert shard.server.ask("GET", "/health/live").status == 200
        broker.start()
        so_far = len(confirmed)
        eventually(lambda: len(confirmed) > so_far + 200, what="publishing goes on", within=PATIENCE)
        eventually(lambda: shard.degraded() == [], what="the server is whole again", within=PATIENCE)
    assert shard.numbers(len(confirmed)) == [*range(len(confirmed))]


def test_a_broker_that_restarts_in_order_loses_nothing(broker: Broker, shard: Shard) -> None:
    with steady_publisher(broker, shard.queue) as confirmed:
        eventually(lambda: len(confirmed) > 200, what="notices are confirmed")
        broker.stop()
        broker.start()
        so_far = len(confirmed)
        eventually(lambda: len(confirmed) > so_far + 200, what="publishing goes on", within=PATIENCE)
    assert shard.numbers(len(confirmed)) == [*range(len(confirmed))]


@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_killed_server_loses_nothing_and_repeats_nothing(
    broker: Broker, start_server: StartServer, durability: str
) -> None:
    shard = Shard(broker, start_server, f"storage.durability={durability}", "bus.prefetch=50")
    with steady_publisher(broker, shard.queue) as confirmed:
        for _ in range(4):
            so_far = len(confirmed)
            eventually(lambda so_far=so_far: len(confirmed) > so_far + 200, what="notices")  # type: ignore[misc]
            shard.kill_and_start()
    assert shard.numbers(len(confirmed)) == [*range(len(confirmed))]


def test_notices_without_any_name_are_neither_lost_nor_repeated_by_kills(
    broker: Broker, start_server: StartServer
) -> None:
    shard = Shard(broker, start_server, "bus.prefetch=50")
    count = 8_000
    shard.server.stop()
    broker.put(shard.queue, *(json.dumps(step(number)).encode() for number in range(count)))
    kills = 0
    while (left := broker.waiting(shard.queue)) and kills < 5:
        shard.server.start()
        eventually(lambda left=left: broker.waiting(shard.queue) < left, what="the server consumes")  # type: ignore[misc]
        shard.server.destroy()
        kills += 1
    shard.server.start()
    assert shard.numbers(count) == [*range(count)]


def test_a_stop_under_load_loses_nothing(broker: Broker, shard: Shard) -> None:
    with steady_publisher(broker, shard.queue) as confirmed:
        for _ in range(2):
            so_far = len(confirmed)
            eventually(lambda so_far=so_far: len(confirmed) > so_far + 200, what="notices")  # type: ignore[misc]
            shard.server.restart()
    assert shard.numbers(len(confirmed)) == [*range(len(confirmed))]
    assert "Traceback" not in shard.server.log


def test_notifications_wait_in_the_outbox_for_the_broker(broker: Broker, shard: Shard) -> None:
    users = recipients([USER_IDS["bob"]])
    notices = [{"event": message_event(number, direct=True), "users": users} for number in range(1, 301)]
    broker.kill()
    assert shard.server.publish(*notices).json["accepted"] == 300
    shard.kill_and_start()
    broker.start()
    queue = NOTIFICATIONS[0]
    eventually(lambda: broker.waiting(queue) >= 300, what="all notifications", within=PATIENCE)
    # Until the server has seen the broker's confirms, a kill would rightly have them sent once more.
    eventually(lambda: shard.outbox(queue) == [], what="the confirms", within=PATIENCE)
    shard.kill_and_start()
    found = broker.take(queue)
    told = [json.loads(body)["message_id"] for _, body in found]
    names = {properties.message_id: json.loads(body)["message_id"] for properties, body in found}
    assert [*names.values()] == [*range(1, 301)]
    assert len(told) == len(names)
    assert all(properties.delivery_mode == 2 for properties, _ in found)


def test_a_quorum_queue_that_exists_is_used_as_it_is(broker: Broker, start_server: StartServer) -> None:
    queue = f"quorum-{uuid.uuid4()}"
    with broker.channel() as channel:
        channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    shard = Shard(broker, start_server, f"bus.queue={queue}")
    with Publisher(broker.url, shards=OneShard(queue)) as publisher:
        publisher.send([step(number) for number in range(1500)])
        shard.kill_and_start()
        publisher.send([step(1500)])
    assert shard.numbers(1501) == [*range(1501)]
    broker.delete(queue)


def test_a_queue_that_was_deleted_is_made_again(broker: Broker, shard: Shard) -> None:
    with Publisher(broker.url, shards=OneShard(shard.queue)) as publisher:
        publisher.send([step(0)])
        assert shard.numbers(1) == [0]
        broker.delete(shard.queue)
        publisher.send([step(1)])
        assert shard.numbers(2) == [0, 1]


def test_a_broker_that_answers_nothing_does_not_hold_up_a_stop(broker: Broker, shard: Shard) -> None:
    with Publisher(broker.url, shards=OneShard(shard.queue)) as publisher:
        publisher.send([step(0)])
        assert shard.numbers(1) == [0]
        with broker.frozen():
            assert shard.server.stop() == 0
        shard.server.start()
        publisher.send([step(1)])
    assert shard.numbers(2) == [0, 1]


async def test_the_publisher_for_asyncio(broker: Broker, shard: Shard) -> None:
    async with AsyncPublisher(broker.url, shards=OneShard(shard.queue)) as publisher:
        assert await publisher.send([step(0), step(1)]) == 2
        await publisher.send_event(event={"type": "step", "n": 2}, users=[USER_IDS["ada"]])
    assert shard.numbers(3) == [0, 1, 2]


def test_a_broker_that_is_not_there_is_reported_without_the_password() -> None:
    with (
        Publisher("amqp://user:hunter2@127.0.0.1:1/", retry_for=0.2) as publisher,
        pytest.raises(PublishFailed) as caught,
    ):
        publisher.send([step(0)])
    assert (caught.value.code, caught.value.retry_helps) == ("CONNECTION_FAILED", True)
    assert len(caught.value.notice_ids) == 1
    assert "hunter2" not in str(caught.value)


def test_the_command_publishes_through_the_broker(broker: Broker, shard: Shard) -> None:
    lines = "".join(json.dumps(step(number)) + "\n" for number in range(3)) + "{}\n"
    command = [sys.executable, "-m", "tidewire", "publish", "--bus", broker.url, "--queue", shard.queue]
    done = subprocess.run(  # noqa: S603 - our own program
        command, input=lines, capture_output=True, text=True, check=False, env=clean_environment()
    )
    assert (done.returncode, done.stdout) == (1, "confirmed 3 of 4 notices\n")
    assert done.stderr.startswith("line 4: Invalid notice")
    assert shard.numbers(3) == [0, 1, 2]


async def test_the_publisher_for_asyncio_over_http(server: ServerProcess) -> None:
    queue_id = server.register("ada", event_types=["step"])
    async with AsyncPublisher(server.url, secret=SECRET) as publisher:
        assert await publisher.send([step(0), step(1)]) == 2
    assert [event["n"] for event in server.events("ada", queue_id)] == [0, 1]


def test_a_trace_comes_through_the_broker(
    broker: Broker, start_server: StartServer, collector: Collector
) -> None:
    shard = Shard(broker, start_server, f"tracing.endpoint={collector.url}")
    with Publisher(broker.url, shards=OneShard(shard.queue)) as publisher:
        publisher.send_event(**step(0), id="traced", traceparent=SAMPLED)
        publisher.send_event(**step(1))
    assert shard.numbers(2) == [0, 1]
    assert shard.server.stop() == 0
    published, delivered = collector.spans()
    assert (published.name, published.trace_id, published.parent_id) == ("publish", TRACE, SPAN)
    assert published.attributes["tidewire.notice.id"] == "traced"
    assert (delivered.name, delivered.parent_id) == ("deliver", published.span_id)
