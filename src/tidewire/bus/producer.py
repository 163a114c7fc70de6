"""What leaves for the broker: each message is tried until it is confirmed."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

from tidewire._amqp.broker import BrokerLost, Connection
from tidewire._amqp.confirms import PublishOutcome, Sender
from tidewire._http import Backoff

PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds until another try, when the connection is there and the broker didn't take a message; they double."""

MOST_REFUSALS = 8
"""Times that a broker may refuse a message, over some ten seconds, before it is given up: what waits behind it to be
acknowledged is one prefetch at the most, and then nothing comes any more."""


class _Message(NamedTuple):
    """Something to be published.

    Attributes:
        may_be_gone: nobody is the worse for it when there is no such queue.
    """

    queue: str
    body: bytes
    message_id: str | bytes
    headers: Mapping[Any, Any] | None
    kind: str | None = None
    may_be_gone: bool = False


class Producer:
    """The way to the broker's queues; there is one while the connection is."""

    def __init__(self, queues: Sequence[str], *, chance: Callable[[], float]) -> None:
        """Takes the queues that must be there, and a number from 0 up to 1, to spread attempts."""
        self._queues = queues
        self._chance = chance
        self._alone = asyncio.Lock()
        self._sender: Sender | None = None
        self._is_there = asyncio.Event()
        self._putting: set[asyncio.Task[None]] = set()

    async def set_up(self, connection: Connection) -> None:
        """Starts to publish on a new connection."""
        for queue in self._queues:
            await connection.ensure_queue(queue)
        sender = await Sender.on(connection)
        # A channel that the broker ends leaves the connection standing, and nothing would be sent any more.
        sender.when_closed(connection.give_up)
        self._sender = sender
        self._is_there.set()

    def lost(self) -> None:
        """Notes that the connection is gone."""
        self._sender = None
        self._is_there.clear()

    async def sender(self) -> Sender:
        """The way, once there is one."""
        while self._sender is None or not self._sender.is_open:
            self._is_there.clear()
            await self._is_there.wait()
        return self._sender

    def put(
        self,
        queue: str,
        body: bytes,
        *,
        message_id: str,
        headers: Mapping[Any, Any] | None,
        done: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        """Publishes a message, however long the broker is away; then calls `done`.

        Calls `failed` instead, with the reason, when the broker is there and will not have it.
        """
        self._begin(self._put(_Message(queue, body, message_id, headers), done, failed))

    def answer(self, queue: str, *, kind: str, message_id: str | bytes, done: Callable[[], None]) -> None:
        """Publishes an answer, and calls `done`; also when whoever waited for it has gone, or can't be answered."""
        message = _Message(queue, b"{}", message_id, None, kind, may_be_gone=True)
        self._begin(self._put(message, done, lambda _: done()))

    async def send(self, queue: str, body: bytes, *, message_id: str) -> None:
        """Publishes a message, however long it takes."""
        await self._publish(_Message(queue, body, message_id, None), most=None)

    def _begin(self, putting: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(putting)
        self._putting.add(task)
        task.add_done_callback(self._putting.discard)

    async def _put(self, message: _Message, done: Callable[[], None], failed: Callable[[str], None]) -> None:
        problem = await self._publish(message, most=MOST_REFUSALS)
        if problem is None:
            done()
        else:
            failed(problem.value)

    async def _publish(self, message: _Message, *, most: int | None) -> PublishOutcome | None:
        """Tries until the broker has it; returns why it will not, after `most` times that it would not."""
        delays = Backoff(first=PAUSE, limit=LONGEST_PAUSE, random=self._chance)
        refusals = 0
        while True:
            sender = await self.sender()
            # Of several that were under way when the channel was ended for one of them it is not known which: each is
            # tried alone then, so that only the one pays.
            async with self._alone if refusals else contextlib.nullcontext():
                outcome = await sender.publish(
                    message.queue,
                    message.body,
                    message_id=message.message_id,
                    headers=message.headers,
                    kind=message.kind,
                )
            if outcome is PublishOutcome.CONFIRMED or (
                outcome is PublishOutcome.UNROUTABLE and message.may_be_gone
            ):
                return None
            if outcome is not PublishOutcome.LOST:
                refusals += 1
                if most is not None and (refusals >= most or outcome is PublishOutcome.UNSENDABLE):
                    return outcome
            await self.recover(sender, message.queue, outcome, delays.next_delay(PAUSE))

    async def recover(
        self, sender: Sender, queue: str, outcome: PublishOutcome, delay: float = PAUSE
    ) -> None:
        """Makes it likely that another try is taken, and waits for `delay` seconds."""
        if outcome is PublishOutcome.UNROUTABLE:
            try:
                await sender.connection.ensure_queue(queue)
            except BrokerLost as error:
                sender.connection.give_up(str(error))
        await asyncio.sleep(delay)

    async def close(self) -> None:
        """Gives up what is not confirmed; whoever asked for it has not been told that it is."""
        for task in self._putting:
            task.cancel()
        if self._putting:
            await asyncio.wait(self._putting)
