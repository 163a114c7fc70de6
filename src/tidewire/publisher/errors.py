"""The one error of a publisher: something is not confirmed.

TidewireError
├── BadUrl           BAD_URL             the server's address can't be used
└── PublishFailed    the server's code   not confirmed; `retry_helps` says whether sending again may help
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tidewire import TidewireError
from tidewire._http import Answer, BadUrl, error_of

__all__ = ["BadUrl", "PublishFailed", "refused"]

BAD_SHARD_MAP = "BAD_SHARD_MAP"
NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})


class PublishFailed(TidewireError):
    """Notices were not confirmed.

    After `INVALID_NOTICE` and other refusals none of the request's notices was taken. After a failure where
    a retry helps they may have been taken all the same; sending them again with the ids of `notice_ids` is
    safe either way.

    Attributes:
        code: the server's code, or `INVALID_NOTICE`, `CONNECTION_FAILED`, `BAD_ANSWER`, `BAD_SECRET`, `BAD_SHARD_MAP`
            or `PUBLISHER_CLOSED`, found on this side.
        http_status: the answer's status, or the one that comes nearest.
        message: the sentence without the code.
        retry_helps: whether the same notices may be taken later.
        index: the position in the batch, from 0, of the notice that is wrong; None when none is named.
        notice_ids: the ids of the batch, generated ones included; empty when nothing was sent.
        retry_after: seconds that the server asks to wait before trying again; None when it did not say.
        unconfirmed: through RabbitMQ, the ids of the notices that the broker has not confirmed, by queue; all others
            are confirmed.
    """

    code = "PUBLISH_FAILED"

    def __init__(
        self,
        message: str,
        *,
        code: str,
        http_status: int = 500,
        retry_helps: bool = False,
        index: int | None = None,
        notice_ids: Sequence[str] = (),
        retry_after: float | None = None,
        unconfirmed: Mapping[str, Sequence[str]] = NOTHING,
    ) -> None:
        super().__init__(f"{message} ({code})")
        self.message = message
        self.code = code
        self.http_status = http_status
        self.retry_helps = retry_helps
        self.index = index
        self.notice_ids = tuple(notice_ids)
        self.retry_after = retry_after
        self.unconfirmed = {queue: tuple(ids) for queue, ids in unconfirmed.items()}


def refused(answer: Answer, notice_ids: Sequence[str]) -> PublishFailed:
    """Makes the error that an error answer stands for."""
    code, message, data = error_of(answer)
    index = data.get("index")
    is_position = isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(notice_ids)
    return PublishFailed(
        message,
        code=code,
        http_status=answer.status,
        retry_helps=answer.is_transient,
        index=index if is_position else None,
        notice_ids=notice_ids,
        retry_after=answer.retry_after,
    )
