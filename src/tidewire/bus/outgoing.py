"""What leaves for the broker: each message is tried until it is confirmed."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from tidewire._amqp import BrokerLost, Connection
from tidewire._amqp_sender import Fate, Sender

PAUSE = 0.2
"""Seconds until another try, when the connection is there and the broker didn't take a message."""


class Outgoing:
    """The way to the broker's queues; there is one while the connection is."""

    def __init__(self, queues: Sequence[str]) -> None:
        """Takes the queues that must be there."""
        self._queues = queues
        self._sender: Sender | None = None
        self._is_there = asyncio.Event()
        self._putting: set[asyncio.Task[None]] = set()

    async def set_up(self, connection: Connection) -> None:
        """Uses a new connection."""
        for queue in self._queues:
            await connection.ensure_queue(queue)
        self._sender = await Sender.on(connection)
        self._is_there.set()

    def lost(self) -> None:
        """The connection is gone."""
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
        headers: Mapping[str, Any] | None,
        done: Callable[[], None],
    ) -> None:
        """Publishes a message, however long it takes; then calls `done`."""
        self._begin(self._put(queue, body, message_id, headers, done))

    def answer(self, queue: str, *, kind: str, message_id: str, done: Callable[[], None]) -> None:
        """Publishes an answer, however long it takes; then calls `done`, also when whoever waited for it has gone."""
        self._begin(self._answer(queue, kind, message_id, done))

    async def _answer(self, queue: str, kind: str, message_id: str, done: Callable[[], None]) -> None:
        while True:
            sender = await self.sender()
            fate = await sender.publish(queue, b"{}", message_id=message_id, kind=kind)
            if fate is Fate.CONFIRMED or fate is Fate.UNROUTABLE:
                done()
                return
            await self.recover(sender, queue, fate)

    def _begin(self, putting: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(putting)
        self._putting.add(task)
        task.add_done_callback(self._putting.discard)

    async def send(self, queue: str, body: bytes, *, message_id: str) -> None:
        """Publishes a message, however long it takes."""
        await self._put(queue, body, message_id, None, lambda: None)

    async def _put(
        self,
        queue: str,
        body: bytes,
        message_id: str,
        headers: Mapping[str, Any] | None,
        done: Callable[[], None],
    ) -> None:
        while True:
            sender = await self.sender()
            fate = await sender.publish(queue, body, message_id=message_id, headers=headers)
            if fate is Fate.CONFIRMED:
                done()
                return
            await self.recover(sender, queue, fate)

    async def recover(self, sender: Sender, queue: str, fate: Fate) -> None:
        """Makes it likely that another try is taken."""
        if fate is Fate.UNROUTABLE:
            try:
                await sender.connection.ensure_queue(queue)
            except BrokerLost as error:
                sender.connection.give_up(str(error))
        await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        """Gives up what is not confirmed; whoever asked for it has not been told that it is."""
        for task in self._putting:
            task.cancel()
        if self._putting:
            await asyncio.wait(self._putting)
