"""A consumer of the bus with everything around it scripted: broker, engine and way out."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import structlog

from tidewire._amqp.broker import Connection, Delivery
from tidewire._amqp.names import FENCE
from tidewire.bus.anonymous import AnonymousNotices
from tidewire.bus.consumer import Consumer
from tidewire.bus.producer import Producer
from tidewire.core.errors import InvalidNotice, Unavailable
from tidewire.core.notices.deduplication import RememberedIds
from tidewire.core.notices.notice import Notice
from tidewire.engine.engine import Engine
from tidewire.ports.bus import MultiShardPublish
from tidewire.ports.engine import Waiter


class Shard:
    """What the consumer looks at."""

    remembered = RememberedIds()


class ScriptedEngine:
    """Refuses notices of the type `bad`, fails at `fault`, or at `late` when all is right; is full while `full` is set."""

    shard = Shard()

    def __init__(self) -> None:
        self.full = False
        self.taken: list[str | None] = []
        self.waiting: list[tuple[Waiter[int], int]] = []

    def publish(self, notices: Sequence[Notice], waiter: Waiter[int]) -> None:
        """As the engine does it."""
        for index, notice in enumerate(notices):
            if notice.kind == "bad":
                raise InvalidNotice("bad", index=index)
            if notice.kind == "fault":
                raise ZeroDivisionError
        if self.full:
            raise Unavailable("full")
        if any(notice.kind == "late" for notice in notices):
            raise ZeroDivisionError
        self.taken += [notice.id for notice in notices]
        self.waiting.append((waiter, len(notices)))

    def make_durable(self) -> None:
        """Confirms all that was taken."""
        for waiter, count in self.waiting:
            waiter.complete(count)
        self.waiting.clear()


class Sent(Producer):
    """Keeps what is put, and confirms when it is told to."""

    def __init__(self) -> None:
        super().__init__([], chance=lambda: 0.5)
        self.headers: list[Mapping[Any, Any]] = []
        self.answers: list[tuple[str, str | bytes]] = []
        self.put_into: list[tuple[str, str, Any]] = []
        self.waiting: list[tuple[Callable[[], None], Callable[[str], None]]] = []

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
        """Keeps it."""
        self.headers.append(headers or {})
        read: Any = body
        with contextlib.suppress(ValueError, RecursionError):
            read = json.loads(body)
        self.put_into.append((queue, message_id, read))
        self.waiting.append((done, failed))

    def answer(self, queue: str, *, kind: str, message_id: str | bytes, done: Callable[[], None]) -> None:
        """Keeps it."""
        assert kind == FENCE
        self.answers.append((queue, message_id))
        self.waiting.append((done, lambda _: done()))

    def confirm(self) -> None:
        """Confirms all that was put."""
        waiting, self.waiting = self.waiting, []
        for done, _ in waiting:
            done()

    def refuse(self) -> None:
        """Refuses all that was put."""
        waiting, self.waiting = self.waiting, []
        for _, failed in waiting:
            failed("refused by the broker")


class StubChannel:
    """A channel that keeps what is acknowledged."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.acknowledged: list[int] = []
        self.take: Callable[[Delivery], None] = lambda _: None

    async def consume(self, _queue: str, *, take: Callable[[Delivery], None], **_more: object) -> str:
        """Notes whom deliveries go to."""
        self.take = take
        return "tag"

    def acknowledge(self, through: int) -> None:
        """Keeps it."""
        self.acknowledged.append(through)


class StubConnection:
    """A connection with one channel."""

    def __init__(self) -> None:
        self.opened = StubChannel()

    async def ensure_queue(self, _name: str) -> None:
        """Always there."""

    async def channel(self) -> StubChannel:
        """The one."""
        return self.opened

    def give_up(self, _reason: str) -> None:
        """Nothing to close."""


class Rig:
    """A consumer with everything around it scripted."""

    def __init__(self, *, multi_shard: MultiShardPublish | None = None) -> None:
        self.engine = ScriptedEngine()
        self.sent = Sent()
        self.logged: list[tuple[str, Any]] = []
        self.consumer = Consumer(
            engine=cast("Engine", self.engine),
            queue="q",
            prefetch=100,
            anonymous=AnonymousNotices(run="a", window=100),
            producer=self.sent,
            log=structlog.wrap_logger(None, processors=[self._keep]),
            multi_shard=multi_shard,
        )
        self.connection = StubConnection()
        self._tag = 0

    def _keep(self, _logger: Any, level: str, entry: Any) -> Any:
        self.logged.append((level, entry["event"]))
        raise structlog.DropEvent

    async def connect(self) -> StubChannel:
        """Begins on a new connection."""
        self.connection = StubConnection()
        await self.consumer.set_up(cast("Connection", self.connection))
        return self.connection.opened

    def deliver(self, *kinds: str, tries: int = 0, redelivered: bool = False) -> None:
        """Has notices of these types delivered, named n1, n2 and so on."""
        for kind in kinds:
            self._tag += 1
            body: dict[str, Any] = {"event": {"type": kind}, "users": [1]}
            if tries:
                body["failed_tries"] = tries
            raw = json.dumps(body).encode()
            self.connection.opened.take(Delivery(self._tag, redelivered, f"n{self._tag}", raw))

    def fence(self, reply_to: str | None = "answers") -> None:
        """Has a publisher's fence delivered, named like a notice."""
        self._tag += 1
        self.connection.opened.take(Delivery(self._tag, False, f"n{self._tag}", b"{}", FENCE, {}, reply_to))


async def turn() -> None:
    """Lets what is due have its turn."""
    for _ in range(3):
        await asyncio.sleep(0)
