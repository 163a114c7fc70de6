"""From the outbox to the workers' queues: a record leaves the outbox once the broker has confirmed it (R5.18-R5.20)."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
from structlog.typing import FilteringBoundLogger

from tidewire._amqp.confirms import PublishOutcome, Sender
from tidewire._http import Backoff
from tidewire.bus.producer import LONGEST_PAUSE, PAUSE, Producer
from tidewire.core.errors import Unavailable
from tidewire.core.notifications.outbox import OutboxPage
from tidewire.core.notifications.worker_records import Notification, stable_id, wire_record
from tidewire.engine.engine import Engine
from tidewire.ports.engine import Waiter

A = TypeVar("A")

AT_A_TIME = 500
LOOK_EVERY = 0.05
"""Seconds between looks into an outbox that was empty."""

TRY_AGAIN = 1.0
"""Seconds until what the journal could not take is tried again."""


class Forwarder:
    """Carries the records of one queue of the outbox."""

    def __init__(
        self,
        *,
        engine: Engine,
        queue: str,
        producer: Producer,
        chance: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        """Takes what it needs; `chance` is a number from 0 up to 1, to spread attempts."""
        self._engine = engine
        self._queue = queue
        self._producer = producer
        self._log = log
        self._confirmed = 0
        self._delays = Backoff(first=PAUSE, limit=LONGEST_PAUSE, random=chance)
        self._told = ""
        """What was last written of what is the matter; the same again and again is one entry."""

    async def run(self) -> None:
        """Carries on until it is cancelled."""
        while True:
            try:
                await self._carry()
            except Exception as error:  # noqa: BLE001 - notifications must not end for good
                if self._told != (told := type(error).__name__):
                    self._told = told
                    self._log.exception("notifications failed", queue=self._queue)
                await asyncio.sleep(TRY_AGAIN)

    async def _carry(self) -> None:
        page = await self._page(after=self._confirmed)
        if not page.records:
            await asyncio.sleep(LOOK_EVERY)
        elif through := await self._send(page.records):
            self._confirmed = through
            await self._acknowledge(through)

    async def _page(self, *, after: int) -> OutboxPage:
        """The next records, once they are durable: none may be sent that a crash could unmake."""
        slot: _FutureWaiter[OutboxPage] = _FutureWaiter()
        self._engine.read_outbox(self._queue, after=after, limit=AT_A_TIME, waiter=slot)
        return await slot.future

    async def _send(self, records: list[tuple[int, Notification]]) -> int:
        """Publishes records; returns up to which position they are confirmed, 0 for none of them."""
        sender = await self._producer.sender()
        fates = [
            sender.publish(
                self._queue, msgspec.json.encode(wire_record(record)), message_id=stable_id(record)
            )
            for _, record in records
        ]
        through = 0
        for (position, _), waiting in zip(records, fates, strict=True):
            outcome = await waiting
            if outcome is not PublishOutcome.CONFIRMED:
                await self._recover(sender, outcome)
                break
            through = position
        if through:
            self._told = ""
            self._delays.reset()
        return through

    async def _recover(self, sender: Sender, outcome: PublishOutcome) -> None:
        """Waits before the next attempt, longer each time. A lost connection is logged by `broker_connection.py`."""
        if outcome is not PublishOutcome.LOST and outcome.value != self._told:
            self._told = outcome.value
            self._log.warning("notifications are sent again", queue=self._queue, reason=outcome.value)
        await self._producer.recover(sender, self._queue, outcome, self._delays.next_delay(PAUSE))

    async def _acknowledge(self, through: int) -> None:
        """Drops what is confirmed; should the process end before, it is sent once more under the same id."""
        while True:
            try:
                slot: _FutureWaiter[int] = _FutureWaiter()
                self._engine.acknowledge_outbox(self._queue, through=through, waiter=slot)
                await slot.future
            except Unavailable:
                await asyncio.sleep(TRY_AGAIN)
            else:
                return


class _FutureWaiter(Waiter[A], Generic[A]):
    """An answer to be awaited."""

    def __init__(self) -> None:
        self.future: asyncio.Future[A] = asyncio.get_running_loop().create_future()

    def complete(self, answer: A) -> None:
        """Sets the result, unless the waiting task was cancelled."""
        if not self.future.done():
            self.future.set_result(answer)
