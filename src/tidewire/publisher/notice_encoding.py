"""Notices as lines: each gets an id, so that sending it twice is safe, and becomes one line of JSON."""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tidewire.publisher.errors import PublishFailed

#: The code of the server for a notice of the wrong form; what can't even be written down gets the same.
INVALID_NOTICE = "INVALID_NOTICE"


def notice_of(
    event: Mapping[str, Any], users: Iterable[int | Mapping[str, Any]], **optional: str | int | None
) -> dict[str, Any]:
    """One event as a notice; what is None is left out."""
    given = {key: value for key, value in optional.items() if value is not None}
    return {"event": event, "users": list(users), **given}


def identified(notices: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns copies of the notices, each with an id: its own, or a new random one."""
    return [
        {**notice, "id": uuid.uuid4().hex} if notice.get("id") is None else dict(notice) for notice in notices
    ]


def encode_notices(notices: Sequence[Mapping[str, Any]]) -> bytes:
    """Encodes notices as newline-delimited JSON.

    Raises:
        PublishFailed: one of them has no JSON form; `index` says which. Nothing was sent.
    """
    return b"".join(encode_notice(index, notice) for index, notice in enumerate(notices))


def encode_notice(index: int, notice: Mapping[str, Any]) -> bytes:
    """Encodes one notice as a line.

    Raises:
        PublishFailed: it has no JSON form; `index` says which it is.
    """
    try:
        text = json.dumps(notice, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        reason = "a string holds half of a surrogate pair"
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error)
    raise PublishFailed(
        f"The notice has no JSON form: {reason}", code=INVALID_NOTICE, http_status=400, index=index
    )
