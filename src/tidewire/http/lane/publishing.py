"""`POST /api/internal/notices` on the lane: whether it is served there, and its confirmation."""

from collections.abc import Callable
from functools import lru_cache

from tidewire.core.errors import WireError
from tidewire.core.notice import Notice
from tidewire.http import answers
from tidewire.http.answers import Answer
from tidewire.http.body import SMALL_BYTES
from tidewire.http.internal import notices_of
from tidewire.http.lane.head import Head
from tidewire.http.neighbours import FORWARDED
from tidewire.http.note import Note
from tidewire.http.publishing import is_at_once
from tidewire.http.request_log import PUBLISH_PATH
from tidewire.http.site import Site
from tidewire.http.wrong_shard import hops_said

PATH = PUBLISH_PATH.encode()

MAX_BYTES = 128 * 1024
"""Of a body that is served here: a hundred notices, or one for some thousand users."""

MAX_OBJECTS = 400
"""In it: no more notices than take a millisecond."""

MAX_VALUES = 20_000
"""In it, by its commas: no more than take a millisecond."""

COUNTS = 64
"""Answers that are kept: publishers send single notices, or batches of the same size."""


class Confirmation:
    """The engine's slot of one request to publish."""

    __slots__ = ("_done", "_note")

    def __init__(self, note: Note, done: Callable[[Note, Answer], None]) -> None:
        self._note = note
        self._done = done

    def complete(self, answer: int) -> None:
        """Takes how many notices were taken."""
        self._done(self._note, confirmation(answer))


class Repetition:
    """The engine's slot of one request to publish whose head was known."""

    __slots__ = ("_began", "_done", "_number")

    def __init__(self, began: float, number: int, done: Callable[[float, int, int], None]) -> None:
        self._began = began
        self._number = number
        self._done = done

    def complete(self, answer: int) -> None:
        """Takes how many notices were taken."""
        self._done(self._began, self._number, answer)


@lru_cache(maxsize=COUNTS)
def confirmation(accepted: int) -> Answer:
    """The answer to a request whose notices were taken."""
    return answers.success({"accepted": accepted})


def body_length(head: Head) -> int | None:
    """How long the body is; None when the request is for the ordinary route: no length, too long, or asking first."""
    length = head.length
    if length is None or length > MAX_BYTES or head.value(b"expect") is not None:
        return None
    return length if head.value(b"content-length") is not None else None


def is_detour(head: Head) -> bool:
    """Whether it was sent on more than once.

    What it brings may be one of several parts, which only the ordinary route tells apart (`Spread`).
    """
    said = head.value(FORWARDED.encode())
    return said is not None and hops_said(said.decode("latin-1")) > 1


def is_admitted(note: Note, site: Site) -> bool:
    """Whether the request comes from inside and knows the secret; one that doesn't is refused elsewhere."""
    try:
        site.access.check_address(note.peer, note.headers)
        site.access.check_secret(note.headers, None)
    except WireError:
        return False
    return True


def read_notices(body: bytes, site: Site) -> list[Notice] | Exception | None:
    """The notices of a body, or what is wrong with it, to be raised once the request is taken.

    None when it is for the ordinary route: reading or carrying them out would hold the loop, so that is done there in
    slices; or some are for other shards.
    """
    if len(body) > SMALL_BYTES and (body.count(b"{") > MAX_OBJECTS or body.count(b",") > MAX_VALUES):
        return None
    try:
        taken = notices_of(body)
    except Exception as error:  # noqa: BLE001 - whatever it is, the connection gets an answer
        return error
    if not is_at_once(taken) or not (site.neighbours is None or site.neighbours.serves_all(taken)):
        return None
    return taken
