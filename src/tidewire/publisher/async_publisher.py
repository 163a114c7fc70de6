"""The same publisher on an event loop."""

import ssl
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tidewire._http import REAL_ASYNC_TIMING, AsyncConnection, AsyncTiming, TransportFailed
from tidewire.publisher.batches import NDJSON, PATH, Batch, Patience, bearer
from tidewire.publisher.encoding import notice_of
from tidewire.publisher.errors import PublishFailed


class AsyncPublisher:
    """Publishes notices to one server, on one event loop; its tasks may share it and don't wait for each other.

    Args:
        url: `http://host:port`, or `https://host`.
        secret: the server's secret for internal routes; it appears in no exception.
        timeout: seconds for one attempt.
        retry_for: seconds for all attempts at one batch together.
        ssl_context: for https; the system's certificates when not given.

    Raises:
        BadUrl: `url` can't be used.
        PublishFailed: `secret` can't stand in a header (`BAD_SECRET`).
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str,
        timeout: float = 10.0,
        retry_for: float = 30.0,
        ssl_context: ssl.SSLContext | None = None,
        _timing: AsyncTiming = REAL_ASYNC_TIMING,
    ) -> None:
        self._connection = AsyncConnection(url, headers=bearer(secret), ssl_context=ssl_context)
        self._timeout = timeout
        self._retry_for = retry_for
        self._timing = _timing
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnects. What was confirmed stays confirmed; attempts under way may still succeed."""
        self._is_closed = True
        await self._connection.close()

    async def send_event(
        self,
        *,
        realm_id: int | None = None,
        event: Mapping[str, Any],
        users: Iterable[int | Mapping[str, Any]],
        id: str | None = None,  # noqa: A002  # the notice's own name for it
        traceparent: str | None = None,
    ) -> None:
        """Publishes one event, and returns once it is confirmed; see `Publisher.send_event`.

        Raises:
            PublishFailed: it is not confirmed.
        """
        await self.send([notice_of(event, users, id=id, realm_id=realm_id, traceparent=traceparent)])

    async def send(self, notices: Sequence[Mapping[str, Any]]) -> int:
        """Publishes a batch in one request, and returns how many the server accepted; see `Publisher.send`.

        Raises:
            PublishFailed: the batch is not confirmed; `index` names the notice that is wrong, if one is.
        """
        if not notices:
            return 0
        batch = Batch.of(notices)
        patience = Patience(self._retry_for, clock=self._timing.clock, random=self._timing.random)
        while True:
            try:
                return await self._attempt(batch, patience)
            except PublishFailed as failure:
                delay = patience.delay_after(failure)
            await self._timing.sleep(delay)

    async def _attempt(self, batch: Batch, patience: Patience) -> int:
        if self._is_closed:
            raise PublishFailed("The publisher is closed", code="PUBLISHER_CLOSED")
        try:
            answer = await self._connection.request(
                "POST", PATH, timeout=patience.timeout(self._timeout), body=batch.body, content_type=NDJSON
            )
        except TransportFailed as error:
            raise batch.not_reached(error) from error
        return batch.confirmed(answer)
