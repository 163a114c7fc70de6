"""One turn of the loop: how much is written in it to polls, so that large answers to some don't keep others waiting.

To encode and write a megabyte takes some milliseconds. When a thousand polls with such answers come or become ready
together, each turn takes a few of them, and everything else has its turn in between.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from tidewire.core.state.state import Batch

TURN_BYTES = 1_048_576
"""Bytes of large answers in one turn; the one that passes it is written whole. Some two to five milliseconds."""


SMALL = 16_384
"""Bytes of an answer that never waits, however full the turn is, and never fills it: whoever asks for little is not to stand in
line behind those who ask for much. A turn has a hundred or two of them at most."""


def is_small(answer: Batch) -> bool:
    """Whether an answer need not wait; its entries are looked at until they are too many bytes."""
    left = SMALL
    for _, body, suffix in answer.entries:
        left -= len(body) + len(suffix)
        if left < 0:
            return False
    return True


class Waiting(Protocol):
    """A poll whose answer waits for a turn."""

    def complete(self, answer: Batch) -> None:
        """Takes the answer."""


class Turn:
    """The turn of the loop that is under way.

    Attributes:
        written: bytes of large answers since the last time that it was full; to be raised by whoever writes one.
    """

    __slots__ = ("_call_soon", "_waiting", "written")

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        """Takes what calls a function on the loop's next turn."""
        self._call_soon = call_soon
        self._waiting: deque[tuple[Waiting, Batch]] = deque()
        self.written = 0

    def wait(self, poll: Waiting, answer: Batch) -> None:
        """Has a poll get its answer in a later turn, in its order; called when this one is full."""
        if not self._waiting:
            self._call_soon(self._next)
        self._waiting.append((poll, answer))

    def _next(self) -> None:
        self.written = 0
        waiting = self._waiting
        while waiting and self.written <= TURN_BYTES:
            poll, answer = waiting.popleft()
            poll.complete(answer)
        if waiting:
            self._call_soon(self._next)
