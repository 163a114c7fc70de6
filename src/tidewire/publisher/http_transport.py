"""Publishing over HTTP, to one server: what is sent, what an answer means, and how long to go on trying."""

import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tidewire._http import (
    Answer,
    AsyncConnection,
    AsyncTiming,
    Backoff,
    Connection,
    Timing,
    TransportFailed,
    bearer,
)
from tidewire.publisher.errors import BAD_SHARD_MAP, PublishFailed, refused
from tidewire.publisher.notice_encoding import encode_notices

#: Seconds: the first wait's ceiling, and the largest. Short beside the client's, because a caller waits.
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0

PATH = "/api/internal/notices"
NDJSON = "application/x-ndjson"
OK = 200


class HttpTransport:
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
        self._connection = Connection(
            url, headers=_headers(secret), ssl_context=ssl_context, clock=timing.clock
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

    def reload(self) -> int:
        """There is no map to read again."""
        raise _no_map()

    def deliver(self, batch: Sequence[Mapping[str, Any]]) -> int:
        """Publishes notices that have ids, and returns how many the server accepted.

        Raises:
            PublishFailed: they are not confirmed.
        """
        encoded = _Encoded.of(batch)
        patience = _Patience(self._retry_for, clock=self._timing.clock, random=self._timing.random)
        while True:
            try:
                return self._attempt(encoded, patience)
            except PublishFailed as failure:
                delay = patience.delay_after(failure)
            self._timing.sleep(delay)

    def _attempt(self, encoded: "_Encoded", patience: "_Patience") -> int:
        try:
            with self._turn:
                timeout = patience.timeout(self._timeout)
                _check_open(is_closed=self._is_closed)
                answer = self._connection.request(
                    "POST", PATH, timeout=timeout, body=encoded.body, content_type=NDJSON
                )
        except TransportFailed as error:
            raise encoded.not_reached(error) from error
        return encoded.confirmed(answer)


class AsyncHttpTransport:
    """Publishes over HTTP from an event loop; several tasks may publish at once."""

    def __init__(
        self,
        url: str,
        *,
        secret: str,
        timeout: float,
        retry_for: float,
        ssl_context: ssl.SSLContext | None,
        timing: AsyncTiming,
    ) -> None:
        self._connection = AsyncConnection(url, headers=_headers(secret), ssl_context=ssl_context)
        self._timeout = timeout
        self._retry_for = retry_for
        self._timing = timing
        self._is_closed = False

    async def close(self) -> None:
        """Disconnects; attempts under way may still succeed."""
        self._is_closed = True
        await self._connection.close()

    async def reload(self) -> int:
        """There is no map to read again."""
        raise _no_map()

    async def deliver(self, batch: Sequence[Mapping[str, Any]]) -> int:
        """Publishes notices that have ids; returns how many were accepted. Raises `PublishFailed`."""
        encoded = _Encoded.of(batch)
        patience = _Patience(self._retry_for, clock=self._timing.clock, random=self._timing.random)
        while True:
            try:
                return await self._attempt(encoded, patience)
            except PublishFailed as failure:
                delay = patience.delay_after(failure)
            await self._timing.sleep(delay)

    async def _attempt(self, encoded: "_Encoded", patience: "_Patience") -> int:
        _check_open(is_closed=self._is_closed)
        timeout = patience.timeout(self._timeout)
        try:
            answer = await self._connection.request(
                "POST", PATH, timeout=timeout, body=encoded.body, content_type=NDJSON
            )
        except TransportFailed as error:
            raise encoded.not_reached(error) from error
        return encoded.confirmed(answer)


class _Encoded(NamedTuple):
    """Notices, encoded once, so that every attempt sends the same ids."""

    body: bytes
    notice_ids: list[str]

    @classmethod
    def of(cls, batch: Sequence[Mapping[str, Any]]) -> "_Encoded":
        """Encodes notices that have ids."""
        return cls(encode_notices(batch), [str(notice["id"]) for notice in batch])

    def not_reached(self, error: TransportFailed) -> PublishFailed:
        """The failure of an attempt without an answer."""
        return PublishFailed(
            str(error), code=error.code, http_status=503, retry_helps=True, notice_ids=self.notice_ids
        )

    def confirmed(self, answer: Answer) -> int:
        """Returns how many notices an answer confirms; raises `PublishFailed` when it confirms none."""
        body = answer.json or {}
        if answer.status != OK or body.get("result") == "error":
            raise refused(answer, self.notice_ids)
        accepted = body.get("accepted")
        if isinstance(accepted, int):
            return accepted
        # A proxy in between may have answered while the server was away; the ids make a retry safe.
        raise PublishFailed(
            "The answer confirms nothing; is this the URL of a Tidewire server?",
            code="BAD_ANSWER",
            http_status=502,
            retry_helps=True,
            notice_ids=self.notice_ids,
        )


class _Patience:
    """How long one batch is tried."""

    def __init__(self, seconds: float, *, clock: Callable[[], float], random: Callable[[], float]) -> None:
        self._clock = clock
        self._deadline = clock() + seconds
        self._backoff = Backoff(first=FIRST_DELAY, limit=LONGEST_DELAY, random=random)

    def timeout(self, most: float) -> float:
        """Seconds for the next attempt."""
        return max(0.001, min(most, self._deadline - self._clock()))

    def delay_after(self, failure: PublishFailed) -> float:
        """Seconds until the next attempt; raises the failure when there is none."""
        delay = self._backoff.next_delay(failure.retry_after)
        if not failure.retry_helps or self._clock() + delay >= self._deadline:
            raise failure
        return delay


def _headers(secret: str) -> dict[str, str]:
    try:
        return bearer(secret)
    except ValueError:
        raise PublishFailed(
            "The secret must be printable ASCII without spaces or line ends", code="BAD_SECRET"
        ) from None


def _check_open(*, is_closed: bool) -> None:
    if is_closed:
        raise PublishFailed("The publisher is closed", code="PUBLISHER_CLOSED")


def _no_map() -> PublishFailed:
    return PublishFailed("The publisher was made without a shard map", code=BAD_SHARD_MAP)
