"""From the outbox to the broker: what it says, and how often, when the broker will not have a notification."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

import pytest
import structlog

from tidewire._amqp.confirms import PublishOutcome, Sender
from tidewire.bus import outbox_forwarder
from tidewire.bus.outbox_forwarder import Forwarder
from tidewire.bus.producer import Producer
from tidewire.core.ids import UserId
from tidewire.core.notifications.outbox import OutboxPage
from tidewire.core.notifications.worker_records import Notification
from tidewire.engine.engine import Engine
from tidewire.ports.engine import Waiter

RECORD = Notification(1, 0.0, "push", UserId(1), 7, "direct_message", None)


class Outbox:
    """The engine as far as it is looked at: one record until that is acknowledged."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.failing = False

    def read_outbox(self, _queue: str, *, after: int, limit: int, waiter: Waiter[OutboxPage]) -> None:
        """The record."""
        assert limit
        if self.failing:
            raise ZeroDivisionError
        records = [] if self.acknowledged or after else [(1, RECORD)]
        waiter.complete(OutboxPage(records, len(records), 0))

    def acknowledge_outbox(self, _queue: str, *, through: int, waiter: Waiter[int]) -> None:
        """Notes it."""
        self.acknowledged = through
        waiter.complete(1)


class Way(Producer):
    """Gives each try its fate."""

    def __init__(self, fates: Callable[[int], PublishOutcome]) -> None:
        super().__init__([], chance=lambda: 1.0)
        self._fates = fates
        self.tries = 0
        self.delays: list[float] = []

    async def sender(self) -> Sender:
        """Itself."""
        return cast("Sender", self)

    def publish(self, *_: object, **__: object) -> asyncio.Future[PublishOutcome]:
        """The next fate."""
        self.tries += 1
        fate: asyncio.Future[PublishOutcome] = asyncio.get_running_loop().create_future()
        fate.set_result(self._fates(self.tries))
        return fate

    async def recover(
        self, _sender: Sender, _queue: str, _outcome: PublishOutcome, delay: float = 0.0
    ) -> None:
        """Notes the wait."""
        self.delays.append(delay)
        await asyncio.sleep(0)


async def forward(
    fates: Callable[[int], PublishOutcome], until: Callable[[Outbox, Way], bool]
) -> tuple[Way, list[str]]:
    """Runs until something holds; gives the way and the entries of the log."""
    said: list[str] = []

    def keep(_logger: Any, _level: str, entry: Any) -> Any:
        said.append(entry["event"])
        raise structlog.DropEvent

    outbox, way = Outbox(), Way(fates)
    forwarder = Forwarder(
        engine=cast("Engine", outbox),
        queue="q",
        producer=way,
        chance=lambda: 1.0,
        log=structlog.wrap_logger(None, processors=[keep]),
    )
    running = asyncio.create_task(forwarder.run())
    async with asyncio.timeout(60):
        while not until(outbox, way):  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return way, said


async def test_a_refusal_again_and_again_is_one_entry_and_ever_longer_waits() -> None:
    way, said = await forward(
        lambda time: PublishOutcome.CONFIRMED if time > 20 else PublishOutcome.REFUSED,
        lambda outbox, _: bool(outbox.acknowledged),
    )
    assert said == ["notifications are sent again"]
    assert way.delays[:3] == sorted(way.delays[:3])
    assert way.delays[-1] > 5


async def test_a_lost_connection_is_told_of_by_others() -> None:
    _, said = await forward(
        lambda time: PublishOutcome.CONFIRMED if time > 5 else PublishOutcome.LOST,
        lambda outbox, _: bool(outbox.acknowledged),
    )
    assert said == []


async def test_the_same_fault_again_and_again_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_forwarder, "TRY_AGAIN", 0.0)
    tries = []

    def failing(outbox: Outbox, _way: Way) -> bool:
        outbox.failing = True
        tries.append(1)
        return len(tries) > 50

    _, said = await forward(lambda _: PublishOutcome.CONFIRMED, failing)
    assert said == ["notifications failed"]
