"""The publisher's door: sends batches of notices until the server confirms or refuses them."""

import ssl
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tidewire._http import REAL_TIMING, Connection, Timing, TransportFailed
from tidewire.publisher.batches import NDJSON, PATH, Batch, Patience, bearer
from tidewire.publisher.encoding import notice_of
from tidewire.publisher.errors import PublishFailed


class Publisher:
    """Publishes notices to one server. Threads may share it; their requests take turns.

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
        _timing: Timing = REAL_TIMING,
    ) -> None:
        self._connection = Connection(
            url,
            headers=bearer(secret),
            ssl_context=ssl_context,
            clock=_timing.clock,
        )
        self._timeout = timeout
        self._retry_for = retry_for
        self._timing = _timing
        self._turn = threading.Lock()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnects. What was confirmed stays confirmed; nothing else is pending."""
        with self._turn:
            self._is_closed = True
            self._connection.close()

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
        """Publishes a batch in one request, and returns how many notices the server accepted.

        The server takes all or none. Notices without `id` get one. Lost connections, timeouts, 5xx and 429
        are tried again with the same ids, for `retry_for` seconds at the most.

        Raises:
            PublishFailed: the batch is not confirmed; `index` names the notice that is wrong, if one is.
        """
        if not notices:
            return 0
        batch = Batch.of(notices)
        patience = Patience(self._retry_for, clock=self._timing.clock, random=self._timing.random)
        while True:
            try:
                return self._attempt(batch, patience)
            except PublishFailed as failure:
                delay = patience.delay_after(failure)
            self._timing.sleep(delay)

    def _attempt(self, batch: Batch, patience: Patience) -> int:
        try:
            with self._turn:
                self._check_open()
                answer = self._connection.request(
                    "POST",
                    PATH,
                    timeout=patience.timeout(self._timeout),
                    body=batch.body,
                    content_type=NDJSON,
                )
        except TransportFailed as error:
            raise batch.not_reached(error) from error
        return batch.confirmed(answer)

    def _check_open(self) -> None:
        if self._is_closed:
            raise PublishFailed("The publisher is closed", code="PUBLISHER_CLOSED")
