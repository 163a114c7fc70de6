"""Publishing to a broker with confirms: each message gets to know its fate."""

import asyncio
import enum
from collections.abc import Callable, Mapping
from typing import Any

import pika

from tidewire._amqp.broker import Channel, Connection, new_future, settle
from tidewire._amqp.properties import fitting, short

PERSISTENT = 2

NO_FAULT = frozenset({0, 200, 320})
"""Codes with which a channel ends that has done nothing wrong: none, an orderly end, and a broker that is stopped."""


class PublishOutcome(enum.Enum):
    """What became of a published message."""

    CONFIRMED = "confirmed"
    REFUSED = "refused by the broker"
    UNROUTABLE = "there is no such queue"
    LOST = "the connection was lost before the confirm"
    FAULT = "the broker ended the channel for what was sent on it"
    UNSENDABLE = "it can't be sent"


_Name = tuple[str, str | bytes]
"""Of a message on its way: its queue and its id. Parts of one notice have the same id."""


class Sender:
    """Publishes with confirms: each message gets to know its fate."""

    def __init__(self, connection: Connection, channel: Channel) -> None:
        self.connection = connection
        self._channel = channel
        self._count = 0
        self._oldest = 1
        self._open: dict[int, tuple[_Name, asyncio.Future[PublishOutcome]]] = {}
        self._returned: set[_Name] = set()
        self._loop = asyncio.get_running_loop()
        channel.raw.add_on_return_callback(self._on_return)
        channel.closed.add_done_callback(lambda _: self._on_lost())

    @classmethod
    async def on(cls, connection: Connection) -> "Sender":
        """Makes one on a channel of its own.

        Raises:
            BrokerLost: the connection went away.
        """
        channel = await connection.channel()
        sender = cls(connection, channel)
        done = new_future()
        channel.raw.confirm_delivery(sender._on_confirm, callback=lambda _: settle(done, None))
        await channel.answer(done)
        return sender

    def when_closed(self, closed: Callable[[str], None]) -> None:
        """Calls `closed` with the reason when nothing can be published any more."""
        self._channel.closed.add_done_callback(lambda gone: closed(gone.result()))

    @property
    def is_open(self) -> bool:
        """Whether the channel is open and can publish."""
        return not self._channel.closed.done()

    def publish(
        self,
        queue: str,
        body: bytes,
        *,
        message_id: str | bytes,
        headers: Mapping[Any, Any] | None = None,
        kind: str | None = None,
        reply_to: str | None = None,
    ) -> asyncio.Future[PublishOutcome]:
        """Publishes a persistent message straight to a queue (R8.1); never raises because of what is in it.

        An id that is too long for AMQP is replaced by a digest of it; headers that don't fit are left out
        (`properties.fitting`).
        """
        fate: asyncio.Future[PublishOutcome] = self._loop.create_future()
        if not self._channel.raw.is_open:
            fate.set_result(PublishOutcome.LOST)
            return fate
        message_id = short(message_id)
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=PERSISTENT,
            message_id=message_id,
            headers=None if headers is None else fitting(headers, self.connection.frame_size),
            type=kind,
            reply_to=reply_to,
        )
        try:
            self._channel.raw.basic_publish("", queue, body, properties, mandatory=True)
        except Exception:  # noqa: BLE001 - nothing has been sent, and the others are none the worse for it
            fate.set_result(PublishOutcome.UNSENDABLE)
            return fate
        self._count += 1
        self._open[self._count] = ((queue, message_id), fate)
        return fate

    def _on_return(self, _channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        # It comes before the confirm of the message, and names it in no other way.
        self._returned.add((method.routing_key, properties.message_id))

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        tag: int = method.delivery_tag
        found = PublishOutcome.CONFIRMED if method.NAME == "Basic.Ack" else PublishOutcome.REFUSED
        tags = range(self._oldest, tag + 1) if method.multiple else (tag,)
        for each in tags:
            self._decide(each, found)
        while self._oldest <= self._count and self._oldest not in self._open:
            self._oldest += 1

    def _decide(self, tag: int, outcome: PublishOutcome) -> None:
        name, waiting = self._open.pop(tag, (None, None))
        if waiting is None or name is None:
            return
        if name in self._returned:
            self._returned.discard(name)
            outcome = PublishOutcome.UNROUTABLE
        settle(waiting, outcome)

    def _on_lost(self) -> None:
        outcome = PublishOutcome.LOST if self._channel.close_code in NO_FAULT else PublishOutcome.FAULT
        for _, waiting in self._open.values():
            settle(waiting, outcome)
        self._open.clear()
