"""The target of a poll when it is written as clients write it; every other is for the ordinary route."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from tidewire.http.lane.repoll import NUMBER
from tidewire.http.request_log import POLL_PATH, SESSION_POLL_PATH

_PATHS: Mapping[bytes, str] = MappingProxyType(
    {path.encode(): path for path in (POLL_PATH, SESSION_POLL_PATH)}
)

_NAMES = frozenset({b"queue_id", b"last_event_id", b"dont_block", b"client"})
_BOOLEANS: Mapping[bytes, bool] = MappingProxyType({b"true": True, b"false": False})


class Poll(NamedTuple):
    """What a poll asks for, and by which of the two paths."""

    queue_id: str
    last_event_id: int
    block: bool
    client: str | None
    path: str = POLL_PATH


def parse_poll(target: bytes) -> Poll | None:
    """The poll in a target, or None when it needs decoding, checking, or an answer in words."""
    written, _, query = target.partition(b"?")
    path = _PATHS.get(written)
    if path is None or b"%" in query or b"+" in query or not query.isascii():
        return None
    values: dict[bytes, bytes] = {}
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name not in _NAMES or name in values or not value:
            return None
        values[name] = value
    queue_id, last_event_id = values.get(b"queue_id"), values.get(b"last_event_id")
    dont_block = _BOOLEANS.get(values.get(b"dont_block", b"false"))
    if queue_id is None or last_event_id is None or dont_block is None:
        return None
    if not NUMBER.fullmatch(last_event_id):
        return None
    client = values.get(b"client")
    return Poll(
        queue_id.decode(),
        int(last_event_id),
        not dont_block,
        None if client is None else client.decode(),
        path,
    )
