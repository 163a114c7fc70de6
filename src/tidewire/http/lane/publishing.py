"""`POST /api/internal/notices` on the lane: whether a request may, and what is done with its body."""

from collections.abc import Callable

import msgspec
from starlette.datastructures import Headers

from tidewire.core.errors import BadRequest, WireError
from tidewire.core.notice import decode_notices
from tidewire.http.internal import MAX_NOTICES_BYTES
from tidewire.http.lane.head import Head
from tidewire.http.site import Site

PATH = b"/api/internal/notices"

_ENCODER = msgspec.json.Encoder()


class Confirmation:
    """The engine's slot of one request to publish."""

    __slots__ = ("_done",)

    def __init__(self, done: Callable[[bytes], None]) -> None:
        self._done = done

    def complete(self, answer: int) -> None:
        """Takes how many notices were taken."""
        self._done(accepted_body(answer))


def accepted_body(accepted: int) -> bytes:
    """The answer's body."""
    return _ENCODER.encode({"result": "success", "msg": "", "accepted": accepted}) + b"\n"


def body_length(head: Head) -> int | None:
    """How long the body is; None when the request is for the ordinary route: chunked, too long, or asking first."""
    lengths = head.values(b"content-length")
    if len(lengths) != 1 or head.value(b"transfer-encoding") is not None or head.value(b"expect") is not None:
        return None
    length = int(lengths[0])
    return length if length <= MAX_NOTICES_BYTES else None


def is_admitted(head: Head, address: str, site: Site) -> bool:
    """Whether the request comes from inside and knows the secret; one that doesn't is refused elsewhere."""
    headers = Headers(raw=list(head.headers))
    try:
        site.access.check_address(address, headers)
        site.access.check_secret(headers, None)
    except WireError:
        return False
    return True


def publish(body: bytes, site: Site, slot: Confirmation) -> None:
    """Takes the notices in a body.

    Raises:
        WireError: the body is wrong, or they can't be taken now; none was.
    """
    notices = decode_notices(body)
    if not notices:
        raise BadRequest("The request has no notice in its body")
    site.lifecycle.check_serving()
    site.engine.publish(notices, slot)
