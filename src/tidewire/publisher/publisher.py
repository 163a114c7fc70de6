"""The publisher's door: hands over batches of notices until they are confirmed or refused."""

import os
import ssl
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tidewire._http import REAL_TIMING, Timing
from tidewire.publisher.http_transport import HttpTransport
from tidewire.publisher.notice_encoding import identified, notice_of
from tidewire.publisher.routing import ShardQueues
from tidewire.publisher.transports import Transport, amqp_module, is_amqp, shards_of


class Publisher:
    """Publishes notices, to one server or through RabbitMQ. Threads may share it.

    Args:
        url: `http://host:port`, or `https://host`; or `amqp://user:password@host:port/vhost`, which needs
            `tidewire[rabbitmq]`.
        secret: over HTTP, the server's secret for internal routes; it appears in no exception.
        timeout: seconds for one attempt.
        retry_for: seconds for all attempts at one batch together.
        ssl_context: for https; the system's certificates when not given.
        shards: over RabbitMQ, says which shard serves whom; one shard when not given.
        shard_map: over RabbitMQ, the file with the shard map instead; it is looked at again while the publisher lives.
        realm_hosts: with `shard_map`, the hosts of realms by id, if the map has realms with shards of their own.

    Raises:
        BadUrl: `url` can't be used, or the arguments don't go together.
        PublishFailed: `secret` can't stand in a header (`BAD_SECRET`), or the map can't be used (`BAD_SHARD_MAP`).
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
        _timing: Timing = REAL_TIMING,
    ) -> None:
        self._transport: Transport
        placing = shards_of(url, shards=shards, shard_map=shard_map, realm_hosts=realm_hosts)
        if is_amqp(url):
            self._transport = amqp_module().AmqpTransport(
                url, shards=placing, timeout=timeout, retry_for=retry_for
            )
        else:
            self._transport = HttpTransport(
                url,
                secret=secret or "",
                timeout=timeout,
                retry_for=retry_for,
                ssl_context=ssl_context,
                timing=_timing,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnects. What was confirmed stays confirmed; nothing else is pending."""
        self._transport.close()

    def reload_shard_map(self) -> int:
        """Reads the file of `shard_map` again at once; returns the version of the map that is in force then.

        It is the older one while notices that were published by it are still on their way.

        Raises:
            PublishFailed: the file can't be used (`BAD_SHARD_MAP`), and the map before stays in force.
        """
        return self._transport.reload()

    def send_event(
        self,
        *,
        realm_id: int | None = None,
        event: Mapping[str, Any],
        users: Iterable[int | Mapping[str, Any]],
        id: str | None = None,  # noqa: A002  # the notice's own name for it
        traceparent: str | None = None,
    ) -> None:
        """Publishes one event, and returns once it is confirmed.

        Args:
            realm_id: queues of other realms are skipped; every realm's are served when None.
            event: the event, with its `type`.
            users: ids of the users it is for, or objects with `id` and what the event's type needs (R4.1).
            id: names the notice, so that sending it again is safe; generated when None.
            traceparent: the W3C trace context that the event belongs to.

        Raises:
            PublishFailed: it is not confirmed.
        """
        self.send([notice_of(event, users, id=id, realm_id=realm_id, traceparent=traceparent)])

    def send(self, notices: Sequence[Mapping[str, Any]]) -> int:
        """Publishes a batch, and returns how many notices were accepted.

        Notices without `id` get one. Over HTTP the server takes all or none. Through RabbitMQ the broker has
        them all when this returns; what is wrong with an event turns out later, and it becomes a dead letter.
        Lost connections, timeouts, 5xx and 429 are tried again with the same ids, for `retry_for` seconds at
        the most.

        Raises:
            PublishFailed: the batch is not confirmed; `index` names the notice that is wrong, if one is.
        """
        return self._transport.deliver(identified(notices)) if notices else 0
