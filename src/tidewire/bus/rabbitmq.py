"""The bus `amqp:`: RabbitMQ, with one connection for what comes and one for what goes.

Two, because a broker that runs out of memory or disk stops reading from whoever publishes. On the same connection
that would hold up the acknowledgements, and with them the consuming that could relieve it.
"""

import asyncio
import random
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from tidewire._amqp.broker import Connection, address_of, connect
from tidewire._amqp.names import dead_letter_queue
from tidewire.bus.anonymous import AnonymousNotices, left_behind
from tidewire.bus.broker_connection import Reconnecting
from tidewire.bus.consumer import Consumer
from tidewire.bus.outage_log import Presence
from tidewire.bus.outbox_forwarder import Forwarder
from tidewire.bus.producer import Producer
from tidewire.engine.engine import Engine
from tidewire.ports.bus import Bus, BusState, MultiShardPublish


class RabbitBus(Bus):
    """A shard's connection to RabbitMQ: notices in, notifications out."""

    def __init__(
        self,
        *,
        url: str,
        queue: str,
        prefetch: int,
        engine: Engine,
        crashed: bool,
        on_away: Callable[[bool], None],
        log: FilteringBoundLogger,
        multi_shard: MultiShardPublish | None = None,
    ) -> None:
        """Takes what it needs; connects with `start`. Made on the loop.

        Args:
            url: of the broker.
            queue: that notices come through.
            prefetch: how many deliveries may be unacknowledged.
            engine: carries the notices out, and holds the outbox.
            crashed: an earlier run ended without closing its connection in order.
            on_away: told when the broker can't be reached (True), and when it can.
            log: where to write.
            multi_shard: sees to notices that concern other shards too; None when there are none.
        """
        self._url = url
        self._on_away = on_away
        self._log = log
        self._presence = Presence(
            ("incoming", "outgoing"), address=address_of(url), timer=time.monotonic, log=log
        )
        names = engine.shard.remembered.newest_first() if crashed else iter(())
        chance = random.Random().random  # noqa: S311 - no secret comes of it
        self._producer = Producer(
            [queue, dead_letter_queue(queue), *engine.shard.outbox_queues()], chance=chance
        )
        self._consumer = Consumer(
            engine=engine,
            queue=queue,
            prefetch=prefetch,
            anonymous=AnonymousNotices(
                run=secrets.token_hex(4), window=prefetch, left=left_behind(names, window=prefetch)
            ),
            producer=self._producer,
            log=log,
            multi_shard=multi_shard,
        )
        self._incoming_link = self._link("incoming", self._consumer.set_up, self._incoming_moved, chance)
        self._outgoing_link = self._link("outgoing", self._producer.set_up, self._outgoing_moved, chance)
        self._forwarders = [
            Forwarder(engine=engine, queue=name, producer=self._producer, chance=chance, log=log)
            for name in engine.shard.outbox_queues()
        ]
        self._forwarding: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to connect; returns at once."""
        self._on_away(True)
        self._outgoing_link.start()
        self._incoming_link.start()
        self._forwarding = [asyncio.create_task(forwarder.run()) for forwarder in self._forwarders]

    async def stop_consuming(self) -> None:
        """Cancels the consumer, and closes its connection once everything is acknowledged."""
        await self._consumer.stop()
        await self._incoming_link.stop()

    async def close(self) -> None:
        """Ends everything; what was not confirmed stays in the outbox."""
        await self._incoming_link.stop()
        for task in self._forwarding:
            task.cancel()
        if self._forwarding:
            await asyncio.wait(self._forwarding)
        await self._producer.close()
        await self._outgoing_link.stop()

    def state(self) -> BusState:
        """Whether both connections stand, and what waits to be acknowledged."""
        waiting, lag = self._consumer.backlog()
        return BusState(connected=self._presence.is_there, waiting=waiting, lag=lag)

    async def send(self, queue: str, body: bytes) -> None:
        """Publishes a notice into another shard's queue; returns once the broker has it."""
        await self._producer.send(queue, body, message_id=str(uuid.uuid4()))

    def _link(
        self,
        name: str,
        set_up: Callable[[Connection], Awaitable[None]],
        on_up: Callable[[bool], None],
        chance: Callable[[], float],
    ) -> Reconnecting:
        return Reconnecting(
            name=name,
            connect=self._connect,
            set_up=set_up,
            on_up=on_up,
            on_failure=lambda reason: self._presence.failed(name, reason),
            chance=chance,
            timer=time.monotonic,
            log=self._log,
        )

    async def _connect(self) -> Connection:
        return await connect(self._url, name="tidewire")

    def _incoming_moved(self, up: bool) -> None:
        self._note("incoming", up)
        if not up:
            self._consumer.lost()

    def _outgoing_moved(self, up: bool) -> None:
        self._note("outgoing", up)
        if not up:
            self._producer.lost()

    def _note(self, name: str, up: bool) -> None:
        if up:
            self._presence.up(name)
        else:
            self._presence.down(name)
        self._on_away(not self._presence.is_there)
