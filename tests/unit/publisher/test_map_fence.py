"""From one map to the next, without a broker: when a publisher changes, waits, and goes on all the same (D7)."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from tidewire._amqp.broker import BrokerLost, Delivery, Length
from tidewire._amqp.confirms import PublishOutcome, Sender
from tidewire._amqp.names import FENCE
from tidewire.publisher import map_fence
from tidewire.publisher.map_fence import Fences
from tidewire.publisher.map_reader import MapFile

SHARDS = "default = [9800, 9801]\n[[shard]]\nport = 9800\n[[shard]]\nport = 9801\n"
FIRST, SECOND = "notify_tornado_port_9800", "notify_tornado_port_9801"


class StubBroker:
    """Queues and their lengths; `answering` are those whose shard answers fences."""

    def __init__(self, **lengths: Length | None) -> None:
        self.lengths: dict[str, Length | None] = {FIRST: Length(0, 1), SECOND: Length(0, 1), **lengths}
        self.answering = {FIRST, SECOND}
        self.fences: list[str] = []
        self.take: Callable[[Delivery], None] = lambda _: None
        self.connection = self
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def open(self) -> Sender:
        """The way there."""
        return cast("Sender", self)

    async def channel(self) -> "StubBroker":
        """A channel."""
        return self

    def close(self) -> None:
        """Nothing to close."""

    async def length(self, queue: str) -> Length | None:
        """How long a queue is."""
        return self.lengths[queue]

    async def private_queue(self, take: Callable[[Delivery], None]) -> str:
        """A queue for answers."""
        self.take = take
        return "answers"

    def publish(self, queue: str, _body: bytes, **more: Any) -> asyncio.Future[PublishOutcome]:
        """Takes a fence, which is answered or not."""
        assert (more["kind"], more["reply_to"]) == (FENCE, "answers")
        self.fences.append(queue)
        loop = asyncio.get_running_loop()
        if queue in self.answering:
            loop.call_soon(self.take, Delivery(1, False, more["message_id"], b""))
        fate: asyncio.Future[PublishOutcome] = loop.create_future()
        fate.set_result(PublishOutcome.CONFIRMED)
        return fate


class Rig:
    """A publisher's map, with a newer version to be taken."""

    def __init__(self, path: Path) -> None:
        path.write_text(f"version = 1\n{SHARDS}")
        self.now = 0.0
        self.file = MapFile(path, clock=lambda: self.now)
        path.write_text(f"version = 2\n{SHARDS}")
        self.file.load()
        self.fences = Fences(self.file)
        self.fences.used = {FIRST, SECOND}

    @property
    def version(self) -> int:
        """Of the map in force."""
        return self.file.shards.map.version


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(map_fence, "WAIT", 0.05)
    monkeypatch.setattr(map_fence, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(map_fence, "IDLE_FOR", 0.002)
    return Rig(tmp_path / "shards.toml")


async def test_it_changes_when_every_queue_that_was_used_has_answered(rig: Rig) -> None:
    broker = StubBroker()
    await rig.fences.change_maps(broker.open)
    assert (rig.version, sorted(broker.fences)) == (2, [FIRST, SECOND])
    assert rig.fences.used == set()
    await rig.fences.change_maps(broker.open)
    assert len(broker.fences) == 2


async def test_queues_that_were_not_used_need_no_fence(rig: Rig) -> None:
    rig.fences.used = {SECOND}
    broker = StubBroker()
    broker.answering = {SECOND}
    await rig.fences.change_maps(broker.open)
    assert (rig.version, broker.fences) == (2, [SECOND])


async def test_without_an_answer_it_goes_on_by_the_old_map_and_tries_again_after_a_pause(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    broker = StubBroker()
    broker.answering = {FIRST}
    with caplog.at_level(logging.WARNING, "tidewire.publisher"):
        await rig.fences.change_maps(broker.open)
        assert rig.version == 1
        await rig.fences.change_maps(broker.open)
    assert len(broker.fences) == 2
    (record,) = caplog.records
    assert record.getMessage() == f"version 2 of the shard map waits for what is still in {SECOND}"
    broker.answering = {FIRST, SECOND}
    rig.fences.try_again()
    await rig.fences.change_maps(broker.open)
    assert rig.version == 2


async def test_after_half_a_minute_it_goes_on_with_a_warning(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    async def nobody() -> Sender:
        raise BrokerLost("gone")

    rig.now = 29.9
    await rig.fences.change_maps(nobody)
    assert rig.version == 1
    rig.now = 30.1
    rig.fences.try_again()
    with caplog.at_level(logging.WARNING, "tidewire.publisher"):
        await rig.fences.change_maps(nobody)
    assert rig.version == 2
    assert "may come late" in caplog.records[-1].getMessage()


async def test_a_queue_that_is_empty_and_that_nobody_takes_from_needs_no_fence(rig: Rig) -> None:
    broker = StubBroker(**{SECOND: Length(0, 0)})
    await rig.fences.change_maps(broker.open)
    assert (rig.version, broker.fences) == (2, [FIRST])


async def test_a_queue_that_does_not_exist_needs_no_fence(rig: Rig) -> None:
    broker = StubBroker(**{SECOND: None})
    await rig.fences.change_maps(broker.open)
    assert (rig.version, broker.fences) == (2, [FIRST])


async def test_what_waits_in_a_queue_that_nobody_takes_from_is_waited_for(rig: Rig) -> None:
    broker = StubBroker(**{SECOND: Length(3, 0)})
    broker.answering = {FIRST}
    await rig.fences.change_maps(broker.open)
    assert (rig.version, sorted(broker.fences)) == (1, [FIRST, SECOND])
