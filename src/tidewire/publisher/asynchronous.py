"""The publisher for asyncio."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tidewire.publisher.encoding import identified, notice_of
from tidewire.publisher.publisher import Publisher
from tidewire.publisher.routing import ShardQueues
from tidewire.publisher.ways import amqp_module, is_amqp


class AsyncPublisher:
    """`Publisher` for asyncio, with the same arguments; made and used on one loop.

    Over HTTP its requests are made on threads, through RabbitMQ on the loop itself.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | None = None,
        timeout: float = 10.0,
        retry_for: float = 30.0,
        shards: ShardQueues | None = None,
    ) -> None:
        self._session: Any = None
        self._publisher: Publisher | None = None
        if is_amqp(url):
            self._session = amqp_module().Session(url, shards=shards, timeout=timeout, retry_for=retry_for)
        else:
            self._publisher = Publisher(url, secret=secret, timeout=timeout, retry_for=retry_for)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnects. What was confirmed stays confirmed; nothing else is pending."""
        if self._publisher is None:
            await self._session.close()
        else:
            await asyncio.to_thread(self._publisher.close)

    async def send_event(
        self,
        *,
        realm_id: int | None = None,
        event: Mapping[str, Any],
        users: Iterable[int | Mapping[str, Any]],
        id: str | None = None,  # noqa: A002  # the notice's own name for it
        traceparent: str | None = None,
    ) -> None:
        """See `Publisher.send_event`."""
        await self.send([notice_of(event, users, id=id, realm_id=realm_id, traceparent=traceparent)])

    async def send(self, notices: Sequence[Mapping[str, Any]]) -> int:
        """See `Publisher.send`."""
        if not notices:
            return 0
        if self._publisher is not None:
            return await asyncio.to_thread(self._publisher.send, notices)
        accepted: int = await self._session.deliver(identified(notices))
        return accepted
