"""From the outbox to the workers' queues: a record leaves the outbox once the broker has confirmed it (R5.18-R5.20)."""

import asyncio
from typing import Generic, TypeVar

import msgspec
from structlog.typing import FilteringBoundLogger

from tidewire._amqp_sender import Fate
from tidewire.bus.outgoing import Outgoing
from tidewire.core.errors import Unavailable
from tidewire.core.notifications.formats import Notification, stable_id, wire_record
from tidewire.core.outbox import OutboxPage
from tidewire.engine import Engine
from tidewire.ports import Slot

A = TypeVar("A")

AT_A_TIME = 500
LOOK_EVERY = 0.05
"""Seconds between looks into an outbox that was empty."""

TRY_AGAIN = 1.0
"""Seconds until what the journal could not take is tried again."""


class Forwarder:
    """Carries the records of one queue of the outbox."""

    def __init__(self, *, engine: Engine, queue: str, outgoing: Outgoing, log: FilteringBoundLogger) -> None:
        self._engine = engine
        self._queue = queue
        self._outgoing = outgoing
        self._log = log
        self._confirmed = 0

    async def run(self) -> None:
        """Carries on until it is cancelled."""
        while True:
            try:
                await self._carry()
            except Exception:  # noqa: BLE001 - notifications must not end for good
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
        slot: _FutureSlot[OutboxPage] = _FutureSlot()
        self._engine.read_outbox(self._queue, after=after, limit=AT_A_TIME, slot=slot)
        return await slot.future

    async def _send(self, records: list[tuple[int, Notification]]) -> int:
        """Publishes records; returns up to which position they are confirmed, 0 for none of them."""
        sender = await self._outgoing.sender()
        fates = [
            sender.publish(
                self._queue, msgspec.json.encode(wire_record(record)), message_id=stable_id(record)
            )
            for _, record in records
        ]
        through = 0
        for (position, _), waiting in zip(records, fates, strict=True):
            fate = await waiting
            if fate is not Fate.CONFIRMED:
                self._log.warning("notifications are sent again", queue=self._queue, reason=fate.value)
                await self._outgoing.recover(sender, self._queue, fate)
                break
            through = position
        return through

    async def _acknowledge(self, through: int) -> None:
        """Drops what is confirmed; should the process end before, it is sent once more under the same id."""
        while True:
            try:
                slot: _FutureSlot[int] = _FutureSlot()
                self._engine.acknowledge_outbox(self._queue, through=through, slot=slot)
                await slot.future
            except Unavailable:
                await asyncio.sleep(TRY_AGAIN)
            else:
                return


class _FutureSlot(Slot[A], Generic[A]):
    """An answer to be awaited."""

    def __init__(self) -> None:
        self.future: asyncio.Future[A] = asyncio.get_running_loop().create_future()

    def complete(self, answer: A) -> None:
        """Takes the answer; whoever waited may have been cancelled."""
        if not self.future.done():
            self.future.set_result(answer)
