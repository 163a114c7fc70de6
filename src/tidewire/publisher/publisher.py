"""The publisher's door: hands over batches of notices until they are confirmed or refused."""

import ssl
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tidewire._http import REAL_TIMING, Timing
from tidewire.publisher.encoding import identified, notice_of
from tidewire.publisher.http import HttpWay
from tidewire.publisher.routing import ShardQueues
from tidewire.publisher.ways import Way, amqp_module, is_amqp


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

    Raises:
        BadUrl: `url` can't be used.
        PublishFailed: `secret` can't stand in a header (`BAD_SECRET`).
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
        _timing: Timing = REAL_TIMING,
    ) -> None:
        self._way: Way
        if is_amqp(url):
            self._way = amqp_module().BlockingWay(url, shards=shards, timeout=timeout, retry_for=retry_for)
        else:
            self._way = HttpWay(
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
        self._way.close()

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
        return self._way.deliver(identified(notices)) if notices else 0
