"""The publisher for asyncio."""

import os
import ssl
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tidewire._http import REAL_ASYNC_TIMING, AsyncTiming
from tidewire.publisher.http_transport import AsyncHttpTransport
from tidewire.publisher.notice_encoding import identified, notice_of
from tidewire.publisher.routing import ShardQueues
from tidewire.publisher.transports import AsyncTransport, amqp_module, is_amqp, shards_of


class AsyncPublisher:
    """`Publisher` for asyncio, with the same arguments; made and used on one loop.

    Over HTTP its tasks don't wait for each other; through RabbitMQ they take turns.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | None = None,
        timeout: float = 10.0,
        retry_for: float = 30.0,
        ssl_context: ssl.SSLContext | None = None,
        shards: ShardQueues | None = None,
        shard_map: str | os.PathLike[str] | None = None,
        realm_hosts: Mapping[int, str] | None = None,
        _timing: AsyncTiming = REAL_ASYNC_TIMING,
    ) -> None:
        self._transport: AsyncTransport
        placing = shards_of(url, shards=shards, shard_map=shard_map, realm_hosts=realm_hosts)
        if is_amqp(url):
            self._transport = amqp_module().Session(url, shards=placing, timeout=timeout, retry_for=retry_for)
        else:
            self._transport = AsyncHttpTransport(
                url,
                secret=secret or "",
                timeout=timeout,
                retry_for=retry_for,
                ssl_context=ssl_context,
                timing=_timing,
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnects. What was confirmed stays confirmed; nothing else is pending."""
        await self._transport.close()

    async def reload_shard_map(self) -> int:
        """Reads the shard map again and returns the version in force; raises `PublishFailed` if it is invalid."""
        return await self._transport.reload()

    async def send_event(
        self,
        *,
        realm_id: int | None = None,
        event: Mapping[str, Any],
        users: Iterable[int | Mapping[str, Any]],
        id: str | None = None,  # noqa: A002  # the notice's own name for it
        traceparent: str | None = None,
    ) -> None:
        """Publishes one event to users, and returns once it is confirmed."""
        await self.send([notice_of(event, users, id=id, realm_id=realm_id, traceparent=traceparent)])

    async def send(self, notices: Sequence[Mapping[str, Any]]) -> int:
        """Publishes notices, and returns how many were accepted once they are confirmed."""
        return await self._transport.deliver(identified(notices)) if notices else 0
