"""From one shard map to the next without overtaking: what was published by the old one comes through first (D7).

A *fence* is a message behind all others in a queue; the shard answers it when everything before it is where it belongs.
Until every queue that was used has answered, notices go on by the old map, which is right all the same: whoever is
elsewhere by now gets theirs from the old shard. So a publisher that can't change yet is neither wrong nor stopped.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable

from tidewire._amqp.broker import BrokerLost, Connection, Delivery
from tidewire._amqp.confirms import PublishOutcome, Sender
from tidewire._amqp.names import FENCE
from tidewire.publisher.map_reader import MapFile, log

WAIT = 3.0
"""Seconds for which a publication waits for fences; nearly always it is some milliseconds."""

PAUSE = 3.0
"""Seconds that notices go by the old map until fences are tried again."""

GO_ON_AFTER = 30.0
"""Seconds after which the new map is taken anyway: a shard that is down would keep its users' notices for ever."""

IDLE_FOR = 2.0
"""Seconds for which a queue must be empty and without a consumer to need no fence: a consumer that stops may still hold
messages for a while."""

LOOK_EVERY = 0.25


class Fences:
    """Changes maps for one publisher.

    Attributes:
        used: queues with notices that were placed by the map in force.
    """

    def __init__(self, file: MapFile) -> None:
        self._file = file
        self._not_before = 0.0
        self.used: set[str] = set()

    def try_again(self) -> None:
        """Has the next `change_maps` try at once."""
        self._not_before = 0.0

    async def change_maps(self, open_sender: Callable[[], Awaitable[Sender]]) -> None:
        """Puts the newer map in force, if there is one and nothing is on its way by the older one."""
        file = self._file
        if file.newer is None:
            return
        loop = asyncio.get_running_loop()
        if self.used and loop.time() < self._not_before:
            return
        left = self.used and await self._put(open_sender)
        if left:
            if file.seconds_waiting() < GO_ON_AFTER:
                self._not_before = loop.time() + PAUSE
                log.warning(
                    "version %d of the shard map waits for what is still in %s",
                    file.newer.map.version,
                    ", ".join(sorted(left)),
                )
                return
            log.warning(
                "version %d of the shard map is taken, although %s did not answer: what is still there may come late",
                file.newer.map.version,
                ", ".join(sorted(left)),
            )
        self.used.clear()
        file.switch()

    async def _put(self, open_sender: Callable[[], Awaitable[Sender]]) -> set[str]:
        """Puts a fence in each queue; returns those whose messages have not come through."""
        left = set(self.used)
        try:
            async with asyncio.timeout(WAIT):
                sender = await open_sender()
                await _Round(sender, left).run()
        except (BrokerLost, TimeoutError):
            pass
        return left


class _Round:
    """One try; takes out of `left` what has come through."""

    def __init__(self, sender: Sender, left: set[str]) -> None:
        self._sender = sender
        self._left = left
        self._names: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._idle_since: dict[str, float] = {}

    async def run(self) -> None:
        """Returns when nothing is left.

        Raises:
            BrokerLost: the connection went away.
        """
        connection = self._sender.connection
        channel = await connection.channel()
        try:
            reply_to = await channel.private_queue(self._answered)
            while self._left:
                self._changed.clear()
                await self._look(connection, reply_to)
                if self._left:
                    await self._wait(channel.closed)
        finally:
            channel.close()

    async def _look(self, connection: Connection, reply_to: str) -> None:
        """Puts fences where somebody may answer, and takes note of queues that are over."""
        now = asyncio.get_running_loop().time()
        for queue in self._without_fence():
            length = await connection.length(queue)
            if length is None:
                self._left.discard(queue)
            elif length.messages or length.consumers:
                self._idle_since.pop(queue, None)
                await self._put(queue, reply_to)
            elif now - self._idle_since.setdefault(queue, now) >= IDLE_FOR:
                self._left.discard(queue)

    def _without_fence(self) -> Iterable[str]:
        return sorted(self._left - set(self._names.values()))

    async def _put(self, queue: str, reply_to: str) -> None:
        name = uuid.uuid4().hex
        self._names[name] = queue
        outcome = await self._sender.publish(queue, b"{}", message_id=name, kind=FENCE, reply_to=reply_to)
        if outcome is not PublishOutcome.CONFIRMED:
            del self._names[name]

    def _answered(self, delivery: Delivery) -> None:
        queue = self._names.get(str(delivery.message_id))
        if queue is not None:
            self._left.discard(queue)
            self._changed.set()

    async def _wait(self, closed: asyncio.Future[str]) -> None:
        if closed.done():
            raise BrokerLost(closed.result())
        try:
            async with asyncio.timeout(LOOK_EVERY):
                await self._changed.wait()
        except TimeoutError:
            pass
