"""Publishing over HTTP, to one server."""

import ssl
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tidewire._http import Answer, Backoff, Connection, Timing, TransportFailed
from tidewire.publisher.encoding import encode_notices
from tidewire.publisher.errors import PublishFailed, refused

#: Seconds: the first wait's ceiling, and the largest. Short beside the client's, because a caller waits.
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0

PATH = "/api/internal/notices"
NDJSON = "application/x-ndjson"
OK = 200


class HttpWay:
    """One connection, tried again for a while; see `Publisher` for the arguments."""

    def __init__(
        self,
        url: str,
        *,
        secret: str,
        timeout: float,
        retry_for: float,
        ssl_context: ssl.SSLContext | None,
        timing: Timing,
    ) -> None:
        if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise PublishFailed(
                "The secret must be printable ASCII without spaces or line ends", code="BAD_SECRET"
            )
        self._connection = Connection(
            url,
            headers={"Authorization": f"Bearer {secret}"},
            ssl_context=ssl_context,
            clock=timing.clock,
        )
        self._timeout = timeout
        self._retry_for = retry_for
        self._timing = timing
        self._turn = threading.Lock()
        self._is_closed = False

    def close(self) -> None:
        """Disconnects."""
        with self._turn:
            self._is_closed = True
            self._connection.close()

    def deliver(self, batch: Sequence[Mapping[str, Any]]) -> int:
        """Publishes notices that have ids, and returns how many the server accepted.

        Raises:
            PublishFailed: they are not confirmed.
        """
        body = encode_notices(batch)
        notice_ids = [str(notice["id"]) for notice in batch]
        deadline = self._timing.clock() + self._retry_for
        backoff = Backoff(first=FIRST_DELAY, limit=LONGEST_DELAY, random=self._timing.random)
        while True:
            try:
                return self._attempt(body, notice_ids, deadline)
            except PublishFailed as failure:
                delay = backoff.next_delay(failure.retry_after)
                if not failure.retry_helps or self._timing.clock() + delay >= deadline:
                    raise
            self._timing.sleep(delay)

    def _attempt(self, body: bytes, notice_ids: list[str], deadline: float) -> int:
        try:
            with self._turn:
                timeout = max(0.001, min(self._timeout, deadline - self._timing.clock()))
                self._check_open()
                answer = self._connection.request(
                    "POST", PATH, timeout=timeout, body=body, content_type=NDJSON
                )
        except TransportFailed as error:
            raise PublishFailed(
                str(error), code=error.code, http_status=503, retry_helps=True, notice_ids=notice_ids
            ) from error
        return _confirmed(answer, notice_ids)

    def _check_open(self) -> None:
        if self._is_closed:
            raise PublishFailed("The publisher is closed", code="PUBLISHER_CLOSED")


def _confirmed(answer: Answer, notice_ids: list[str]) -> int:
    """Returns how many notices an answer confirms; raises `PublishFailed` when it confirms none."""
    body = answer.json or {}
    if answer.status != OK or body.get("result") == "error":
        raise refused(answer, notice_ids)
    accepted = body.get("accepted")
    if isinstance(accepted, int):
        return accepted
    # A proxy in between may have answered while the server was away; the ids make a retry safe.
    raise PublishFailed(
        "The answer confirms nothing; is this the URL of a Tidewire server?",
        code="BAD_ANSWER",
        http_status=502,
        retry_helps=True,
        notice_ids=notice_ids,
    )
