"""AMQP as the bus and the publisher speak it: pika's adapter for asyncio, with what it answers awaited.

pika calls back, and has no type hints that a checker may read; this module, `_amqp_properties` and `_amqp_sender` alone know
it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pika

from tidewire import TidewireError
from tidewire._amqp.properties import LenientConnection, text_or_none

CONNECT_TIMEOUT = 10.0
CLOSE_TIMEOUT = 0.75
"""Seconds that a broker gets to answer to the closing of a connection."""
HEARTBEAT = 30
"""Seconds: after two of them without a sign a silent broker is given up."""

NOT_FOUND = 404
NO_HEADERS: Mapping[str, Any] = MappingProxyType({})


class BrokerLost(TidewireError):
    """There is no connection to the broker, or it went away."""

    code = "BROKER_LOST"
    http_status = 503
    retry_helps = True


class Delivery(NamedTuple):
    """One message from a queue, whoever put it there.

    Attributes:
        redelivered: it may have come before.
        message_id: bytes when it is no text.
        kind: the message's `type`.
        headers: as they came, with keys and values of any type; none when they can't be read.
        reply_to: the queue that an answer is to go to.
    """

    tag: int
    redelivered: bool
    message_id: str | bytes | None
    body: bytes
    kind: str | None = None
    headers: Mapping[Any, Any] = NO_HEADERS
    reply_to: str | None = None


class Length(NamedTuple):
    """How long a queue is: messages that are with no consumer, and consumers."""

    messages: int
    consumers: int


class Connection:
    """An open connection.

    Attributes:
        closed: done when it is gone; its result says why. Shield it when it is awaited.
    """

    def __init__(self, raw: Any, closed: asyncio.Future[str]) -> None:
        self._raw = raw
        self.closed = closed

    @property
    def frame_size(self) -> int:
        """Bytes of the largest frame that was agreed on; 0 for any."""
        return int(self._raw.params.frame_max or 0)

    async def channel(self) -> "Channel":
        """Opens a channel.

        Raises:
            BrokerLost: the connection went away.
        """
        if self.closed.done():
            raise BrokerLost(self.closed.result())
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        raw = self._raw.channel(on_open_callback=lambda _: settle(opened, None))
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

    async def length(self, queue: str) -> Length | None:
        """How long a queue is; None when there is none of this name.

        Raises:
            BrokerLost: the broker won't say, or went away.
        """
        looking = await self.channel()
        try:
            found = await looking.declare(queue, passive=True)
        except BrokerLost:
            if looking.close_code != NOT_FOUND:
                raise
            return None
        looking.close()
        return found

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
        connection_closed.add_done_callback(lambda gone: settle(self.closed, gone.result()))

    async def answer(self, future: asyncio.Future[None]) -> None:
        """Waits for what the broker was asked.

        Raises:
            BrokerLost: the channel was closed instead.
        """
        either: tuple[asyncio.Future[Any], ...] = (future, self.closed)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            raise BrokerLost(self.closed.result())

    async def declare(self, queue: str, *, passive: bool) -> Length:
        """Declares a durable queue, or only asks for one."""
        done = new_future()
        told: list[Any] = []
        self.raw.queue_declare(
            queue, passive=passive, durable=True, callback=lambda frame: _tell(done, told, frame.method)
        )
        await self.answer(done)
        return Length(told[0].message_count, told[0].consumer_count)

    async def private_queue(self, take: Callable[[Delivery], None]) -> str:
        """Makes a queue that lives as long as the connection, and has what comes through it handed to `take`."""
        done, consuming = new_future(), new_future()
        told: list[Any] = []
        self.raw.queue_declare(
            "", exclusive=True, auto_delete=True, callback=lambda frame: _tell(done, told, frame.method)
        )
        await self.answer(done)
        name = str(told[0].queue)

        def arrived(_channel: Any, method: Any, properties: Any, body: bytes) -> None:
            take(_delivery(method, properties, body))

        self.raw.basic_consume(name, arrived, auto_ack=True, callback=lambda _: settle(consuming, None))
        await self.answer(consuming)
        return name

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
        done, consuming = new_future(), new_future()
        self.raw.basic_qos(prefetch_count=prefetch, callback=lambda _: settle(done, None))
        await self.answer(done)
        self.raw.add_on_cancel_callback(lambda _: on_cancel())

        def arrived(_channel: Any, method: Any, properties: Any, body: bytes) -> None:
            take(_delivery(method, properties, body))

        tag = self.raw.basic_consume(queue, arrived, callback=lambda _: settle(consuming, None))
        await self.answer(consuming)
        return str(tag)

    async def cancel(self, consumer_tag: str) -> None:
        """Ends consuming; afterwards nothing comes any more."""
        if self.raw.is_open:
            done = new_future()
            self.raw.basic_cancel(consumer_tag, callback=lambda _: settle(done, None))
            await self.answer(done)

    def acknowledge(self, through: int) -> None:
        """Acknowledges every delivery up to a tag; on a channel that is gone the broker delivers them again."""
        if self.raw.is_open:
            self.raw.basic_ack(through, multiple=True)

    def close(self) -> None:
        """Begins to close the connection; returns at once."""
        if self.raw.is_open:
            self.raw.close()

    def _on_close(self, _raw: Any, reason: Any) -> None:
        self.close_code = getattr(reason, "reply_code", 0)
        settle(self.closed, error_text(reason))


async def connect(url: str, *, name: str, timeout: float = CONNECT_TIMEOUT) -> Connection:  # noqa: ASYNC109 - of the whole opening
    """Opens a connection to a broker, or to the first of a cluster's nodes that can be reached.

    Args:
        url: `amqp://user:password@host:port/vhost`, with commas between several hosts; `amqps` for TLS.
        name: what the broker's lists show it as.
        timeout: seconds that it may take, over all hosts.

    Raises:
        BrokerLost: it could not be opened; the sentence has no password in it.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    urls = urls_of(url)
    problems: list[str] = []
    for place, one in enumerate(urls):
        # A host that says nothing leaves the others their share of the time.
        patience = (deadline - asyncio.get_running_loop().time()) / (len(urls) - place)
        try:
            return await _connect(one, name=name, timeout=patience)
        except BrokerLost as error:
            problems.append(str(error) if len(urls) == 1 else f"{address_of(one)}: {error}")
    raise BrokerLost(f"The broker can't be reached: {'; '.join(problems)}")


async def _connect(url: str, *, name: str, timeout: float) -> Connection:  # noqa: ASYNC109 - see `connect`
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[str | None] = loop.create_future()
    closed: asyncio.Future[str] = loop.create_future()
    parameters = pika.URLParameters(url)
    parameters.heartbeat = HEARTBEAT
    parameters.connection_attempts = 1
    parameters.client_properties = {"connection_name": name}
    raw = LenientConnection(
        parameters,
        on_open_callback=lambda _: settle(opened, None),
        on_open_error_callback=lambda _, error: settle(opened, error_text(error)),
        on_close_callback=lambda _, error: settle(closed, error_text(error)),
        custom_ioloop=loop,
    )
    await asyncio.wait([opened], timeout=timeout)
    problem = opened.result() if opened.done() else f"no connection within {timeout:g} seconds"
    if problem is not None:
        if not opened.done():
            with contextlib.suppress(pika.exceptions.AMQPError):
                raw.close()
        raise BrokerLost(problem)
    return Connection(raw, closed)


def urls_of(url: str) -> list[str]:
    """The address of each host that a broker's address names, in order; all but the host is the same for all."""
    parts = urlsplit(url)
    who, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return [url]
    return [parts._replace(netloc=f"{who}{at}{host}").geturl() for host in hosts.split(",")]


def address_of(url: str) -> str:
    """Where a broker is, as it may be shown: without user, password and options."""
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2].lower() or "localhost"
    return f"{parts.scheme}://{hosts}{parts.path}"


def error_text(error: object) -> str:
    """What an error of pika's comes down to, in one line."""
    inner = error
    while inner is not None:
        error = inner
        several = getattr(inner, "exceptions", None)
        inner = several[-1] if several else getattr(inner, "exception", None)
    text = getattr(error, "reply_text", None) or str(error) or type(error).__name__
    return text.splitlines()[0][:200]


def new_future() -> asyncio.Future[None]:
    """A future of the running loop."""
    return asyncio.get_running_loop().create_future()


def _tell(done: asyncio.Future[None], told: list[Any], what: object) -> None:
    told.append(what)
    settle(done, None)


def _delivery(method: Any, properties: Any, body: bytes) -> Delivery:
    return Delivery(
        method.delivery_tag,
        method.redelivered,
        properties.message_id,
        body,
        text_or_none(properties.type),
        properties.headers or NO_HEADERS,
        text_or_none(properties.reply_to),
    )


def settle(future: asyncio.Future[Any], result: object) -> None:
    """Gives a future its result, unless it has one."""
    if not future.done():
        future.set_result(result)
