"""Who a notice without a name is: so that one that the broker delivers again is not carried out again (D6).

A notice is known by its `id`, else by its message's `message_id`; the engine remembers both. One that has neither
gets a name here, which the journal keeps with it:

    amqp-<which run of the server>-<its number>-<up to which number the broker has taken acknowledgements>

So a server that comes back after a crash finds which nameless notices it may have journalled and not acknowledged.
One that is marked as redelivered and has the content of one of these is taken for it. Two notices of the same
content are told apart by how many there are, no further; publishers that care give an id.
"""

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_NAME = re.compile(r"amqp-([0-9a-f]+)-([0-9]+)-([0-9]+)")


class _Taken(NamedTuple):
    """A nameless notice that was journalled; `place` counts deliveries."""

    place: int
    number: int
    digest: bytes


class AnonymousNotices:
    """The notices of one server that came without a name."""

    def __init__(self, *, run: str, window: int, left: Iterable[bytes] = ()) -> None:
        """Takes what an earlier run left.

        Args:
            run: tells this run of the server from others; hexadecimal.
            window: how many deliveries the broker leaves unacknowledged at most.
            left: digests of what was journalled and perhaps not acknowledged.
        """
        self._run = run
        self._window = window
        self._place = 0
        self._number = 0
        self._settled = 0
        self._recent: deque[_Taken] = deque()
        self._before = Counter(left)
        """Journalled on an earlier connection; the broker may not know."""
        self._unseen: Counter[bytes] = Counter()
        """Came on an earlier connection, and was not journalled."""
        self._before_through = 0

    def delivered(self, *, redelivered: bool) -> None:
        """Counts a delivery. Redelivered ones come first on a connection, so a new one ends them."""
        self._place += 1
        if not redelivered and (self._before or self._unseen):
            self._before.clear()
            self._unseen.clear()
            self._settled = max(self._settled, self._before_through)
        # The broker sent this one, so of those before it no more than a window are unacknowledged.
        while self._recent and self._recent[0].place <= self._place - self._window:
            self._settled = self._recent.popleft().number

    def next_name(self) -> str:
        """A name for the notice that was delivered last."""
        self._number += 1
        return f"amqp-{self._run}-{self._number}-{self._settled}"

    def is_repeat(self, digest: bytes) -> bool:
        """Whether a redelivered notice was journalled before; counts it off."""
        for counted, repeat in ((self._unseen, False), (self._before, True)):
            if counted[digest] > 0:
                counted[digest] -= 1
                return repeat
        return False

    def took(self, digest: bytes) -> None:
        """Notes that a nameless notice was journalled."""
        self._recent.append(_Taken(self._place, self._number, digest))

    def lost(self, unseen: Iterable[bytes]) -> None:
        """The connection went away, with notices that were delivered and not journalled."""
        self._before += Counter(taken.digest for taken in self._recent)
        self._recent.clear()
        self._before_through = self._number
        self._unseen += Counter(unseen)


def left_behind(names: Iterator[tuple[str, bytes]], *, window: int) -> list[bytes]:
    """What an earlier run may have journalled and not acknowledged.

    Args:
        names: remembered notice ids with their digests, newest first.
        window: how many there can be at most.
    """
    found: list[bytes] = []
    newest: tuple[str, int] | None = None
    for name, digest in names:
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        run, number, settled = match[1], int(match[2]), int(match[3])
        newest = newest or (run, settled)
        if run != newest[0] or number <= newest[1] or len(found) == window:
            break
        found.append(digest)
    return found
