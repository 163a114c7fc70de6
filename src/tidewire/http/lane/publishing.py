"""`POST /api/internal/notices` on the lane: whether it is served there, and its confirmation."""

from collections.abc import Callable

from tidewire.core.errors import WireError
from tidewire.http import answers
from tidewire.http.answers import Answer
from tidewire.http.internal import MAX_NOTICES_BYTES
from tidewire.http.lane.head import Head
from tidewire.http.note import Note
from tidewire.http.site import Site

PATH = b"/api/internal/notices"


class Confirmation:
    """The engine's slot of one request to publish."""

    __slots__ = ("_done", "_note")

    def __init__(self, note: Note, done: Callable[[Note, Answer], None]) -> None:
        self._note = note
        self._done = done

    def complete(self, answer: int) -> None:
        """Takes how many notices were taken."""
        self._done(self._note, answers.success({"accepted": answer}))


def body_length(head: Head) -> int | None:
    """How long the body is; None when the request is for the ordinary route: chunked, too long, or asking first."""
    lengths = head.values(b"content-length")
    if len(lengths) != 1 or head.value(b"transfer-encoding") is not None or head.value(b"expect") is not None:
        return None
    length = int(lengths[0])
    return length if length <= MAX_NOTICES_BYTES else None


def is_admitted(note: Note, site: Site) -> bool:
    """Whether the request comes from inside and knows the secret; one that doesn't is refused elsewhere."""
    try:
        site.access.check_address(note.peer, note.headers)
        site.access.check_secret(note.headers, None)
    except WireError:
        return False
    return True
