"""AMQP as the bus and the publisher speak it: pika's adapter for asyncio, with what it answers awaited.

pika calls back, and has no type hints that a checker may read; this is the one module that knows it.
"""

import asyncio
import contextlib
import enum
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

from tidewire import TidewireError

CONNECT_TIMEOUT = 10.0
CLOSE_TIMEOUT = 0.75
"""Seconds that a broker gets to answer to the closing of a connection."""
HEARTBEAT = 30
"""Seconds: after two of them without a sign a silent broker is given up."""

NOT_FOUND = 404
PERSISTENT = 2


class BrokerLost(TidewireError):
    """There is no connection to the broker, or it went away."""

    code = "BROKER_LOST"
    http_status = 503
    retry_helps = True


class Fate(enum.Enum):
    """What became of a published message."""

    CONFIRMED = "confirmed"
    REFUSED = "refused by the broker"
    UNROUTABLE = "there is no such queue"
    LOST = "the connection was lost before the confirm"


class Delivery(NamedTuple):
    """One message from a queue; `redelivered` says that it may have come before."""

    tag: int
    redelivered: bool
    message_id: str | None
    body: bytes


class Connection:
    """An open connection.

    Attributes:
        closed: done when it is gone; its result says why. Shield it when it is awaited.
    """

    def __init__(self, raw: Any, closed: asyncio.Future[str]) -> None:
        self._raw = raw
        self.closed = closed

    async def channel(self) -> "Channel":
        """Opens a channel.

        Raises:
            BrokerLost: the connection went away.
        """
        if self.closed.done():
            raise BrokerLost(self.closed.result())
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        raw = self._raw.channel(on_open_callback=lambda _: _settle(opened, None))
        channel = Channel(raw, self.closed)
        await channel.answer(opened)
        return channel

    async def ensure_queue(self, name: str) -> None:
        """Has a queue there: one that exists is used as it is, another is made durable.

        Raises:
            BrokerLost: the broker won't have it, or went away.
        """
        looking = await self.channel()
        try:
            await looking.declare(name, passive=True)
        except BrokerLost:
            if looking.close_code != NOT_FOUND:
                raise
            looking = await self.channel()
            await looking.declare(name, passive=False)
        looking.close()

    async def close(self, reason: str = "closed") -> None:
        """Closes it in order, or at least lets go of it; what was acknowledged before has arrived then."""
        with contextlib.suppress(pika.exceptions.AMQPError):
            self._raw.close(reply_text=reason)
        await asyncio.wait([self.closed], timeout=CLOSE_TIMEOUT)

    def give_up(self, reason: str) -> None:
        """Begins to close it, because something on it is not as it must be."""
        with contextlib.suppress(pika.exceptions.AMQPError):
            self._raw.close(reply_text=reason)


class Channel:
    """An open channel.

    Attributes:
        raw: pika's own.
        closed: done when it or its connection is gone.
        close_code: the broker's reason as a number; 0 when there was none.
    """

    def __init__(self, raw: Any, connection_closed: asyncio.Future[str]) -> None:
        self.raw = raw
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.close_code = 0
        raw.add_on_close_callback(self._on_close)
        connection_closed.add_done_callback(lambda gone: _settle(self.closed, gone.result()))

    async def answer(self, future: asyncio.Future[None]) -> None:
        """Waits for what the broker was asked.

        Raises:
            BrokerLost: the channel was closed instead.
        """
        either: tuple[asyncio.Future[Any], ...] = (future, self.closed)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            raise BrokerLost(self.closed.result())

    async def declare(self, queue: str, *, passive: bool) -> None:
        """Declares a durable queue, or only asks for one."""
        done = _future()
        self.raw.queue_declare(queue, passive=passive, durable=True, callback=lambda _: _settle(done, None))
        await self.answer(done)

    async def consume(
        self, queue: str, *, prefetch: int, take: Callable[[Delivery], None], on_cancel: Callable[[], None]
    ) -> str:
        """Has what comes through a queue handed to `take`; returns the consumer's tag.

        Args:
            queue: must exist.
            prefetch: how many messages may be unacknowledged.
            take: called for each, in order.
            on_cancel: called when the broker ends it, as when the queue is deleted.
        """
        done, consuming = _future(), _future()
        self.raw.basic_qos(prefetch_count=prefetch, callback=lambda _: _settle(done, None))
        await self.answer(done)
        self.raw.add_on_cancel_callback(lambda _: on_cancel())

        def arrived(_channel: Any, method: Any, properties: Any, body: bytes) -> None:
            take(Delivery(method.delivery_tag, method.redelivered, properties.message_id, body))

        tag = self.raw.basic_consume(queue, arrived, callback=lambda _: _settle(consuming, None))
        await self.answer(consuming)
        return str(tag)

    async def cancel(self, consumer_tag: str) -> None:
        """Ends consuming; afterwards nothing comes any more."""
        if self.raw.is_open:
            done = _future()
            self.raw.basic_cancel(consumer_tag, callback=lambda _: _settle(done, None))
            await self.answer(done)

    def acknowledge(self, through: int) -> None:
        """Acknowledges every delivery up to a tag; on a channel that is gone the broker delivers them again."""
        if self.raw.is_open:
            self.raw.basic_ack(through, multiple=True)

    def close(self) -> None:
        """Begins to close it."""
        if self.raw.is_open:
            self.raw.close()

    def _on_close(self, _raw: Any, reason: Any) -> None:
        self.close_code = getattr(reason, "reply_code", 0)
        _settle(self.closed, said(reason))


class Sender:
    """Publishes with confirms: each message gets to know its fate."""

    def __init__(self, connection: Connection, channel: Channel) -> None:
        self.connection = connection
        self._channel = channel
        self._count = 0
        self._oldest = 1
        self._open: dict[int, tuple[str, asyncio.Future[Fate]]] = {}
        self._returned: set[str] = set()
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
        done = _future()
        channel.raw.confirm_delivery(sender._on_confirm, callback=lambda _: _settle(done, None))
        await channel.answer(done)
        return sender

    @property
    def is_open(self) -> bool:
        """Whether it can publish."""
        return not self._channel.closed.done()

    def publish(
        self, queue: str, body: bytes, *, message_id: str, headers: Mapping[str, str] | None = None
    ) -> asyncio.Future[Fate]:
        """Publishes a persistent message straight to a queue (R8.1)."""
        fate: asyncio.Future[Fate] = self._loop.create_future()
        if not self._channel.raw.is_open:
            fate.set_result(Fate.LOST)
            return fate
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=PERSISTENT,
            message_id=message_id,
            headers=None if headers is None else dict(headers),
        )
        self._count += 1
        self._open[self._count] = (message_id, fate)
        self._channel.raw.basic_publish("", queue, body, properties, mandatory=True)
        return fate

    def _on_return(self, _channel: Any, _method: Any, properties: Any, _body: bytes) -> None:
        # It comes before the confirm of the message, and names it in no other way.
        self._returned.add(properties.message_id)

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        tag: int = method.delivery_tag
        found = Fate.CONFIRMED if method.NAME == "Basic.Ack" else Fate.REFUSED
        tags = range(self._oldest, tag + 1) if method.multiple else (tag,)
        for each in tags:
            self._decide(each, found)
        while self._oldest <= self._count and self._oldest not in self._open:
            self._oldest += 1

    def _decide(self, tag: int, fate: Fate) -> None:
        message_id, waiting = self._open.pop(tag, (None, None))
        if waiting is None or message_id is None:
            return
        if message_id in self._returned:
            self._returned.discard(message_id)
            fate = Fate.UNROUTABLE
        _settle(waiting, fate)

    def _on_lost(self) -> None:
        for _, waiting in self._open.values():
            _settle(waiting, Fate.LOST)
        self._open.clear()


async def connect(url: str, *, name: str, timeout: float = CONNECT_TIMEOUT) -> Connection:  # noqa: ASYNC109 - of the whole opening
    """Opens a connection.

    Args:
        url: `amqp://user:password@host:port/vhost`.
        name: what the broker's lists show it as.
        timeout: seconds that it may take.

    Raises:
        BrokerLost: it could not be opened; the sentence has no password in it.
    """
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[str | None] = loop.create_future()
    closed: asyncio.Future[str] = loop.create_future()
    parameters = pika.URLParameters(url)
    parameters.heartbeat = HEARTBEAT
    parameters.connection_attempts = 1
    parameters.client_properties = {"connection_name": name}
    raw = AsyncioConnection(
        parameters,
        on_open_callback=lambda _: _settle(opened, None),
        on_open_error_callback=lambda _, error: _settle(opened, said(error)),
        on_close_callback=lambda _, error: _settle(closed, said(error)),
        custom_ioloop=loop,
    )
    await asyncio.wait([opened], timeout=timeout)
    problem = opened.result() if opened.done() else f"no connection within {timeout:g} seconds"
    if problem is not None:
        if not opened.done():
            with contextlib.suppress(pika.exceptions.AMQPError):
                raw.close()
        raise BrokerLost(f"The broker can't be reached: {problem}")
    return Connection(raw, closed)


def said(error: object) -> str:
    """What an error of pika's comes down to, in one line."""
    inner = error
    while inner is not None:
        error = inner
        several = getattr(inner, "exceptions", None)
        inner = several[-1] if several else getattr(inner, "exception", None)
    text = getattr(error, "reply_text", None) or str(error) or type(error).__name__
    return text.splitlines()[0][:200]


def _future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


def _settle(future: asyncio.Future[Any], result: object) -> None:
    if not future.done():
        future.set_result(result)
