"""A batch on its way: what is sent, what an answer means, and how long to go on trying. Sending is for others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tidewire._http import Answer, Backoff, TransportFailed
from tidewire.publisher.encoding import encode_notices, identified
from tidewire.publisher.errors import PublishFailed, refused

#: Seconds: the first wait's ceiling, and the largest. Short beside the client's, because a caller waits.
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0

PATH = "/api/internal/notices"
NDJSON = "application/x-ndjson"
OK = 200


def bearer(secret: str) -> dict[str, str]:
    """The header that says who publishes.

    Raises:
        PublishFailed: the secret can't stand in it.
    """
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise PublishFailed(
            "The secret must be printable ASCII without spaces or line ends", code="BAD_SECRET"
        )
    return {"Authorization": f"Bearer {secret}"}


class Batch(NamedTuple):
    """Notices, encoded once, so that every attempt sends the same ids."""

    body: bytes
    notice_ids: list[str]

    @classmethod
    def of(cls, notices: Sequence[Mapping[str, Any]]) -> "Batch":
        """Encodes notices, and gives an id to those that have none."""
        batch = identified(notices)
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


class Patience:
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
