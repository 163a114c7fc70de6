"""Bytes that connections hold on their way: bodies of requests, and answers that their peers have not read.

The connections report them; the account of memory (`core/memory.py`) has their sums. A *peer* is whatever
stands for a connection: stored and handed back, never called.
"""

from collections.abc import Iterator
from math import inf
from typing import Generic, TypeVar

from tidewire.core.errors import Unavailable

P = TypeVar("P")


ROOM = 0.05
"""Share of the bound that is free after peers were dropped, so that not all are gone through again for the next."""


COPIES = 6
"""Times the bytes of a body that are taken while its request is carried out: as text, as values, as a record, as what is
written, as events. Measured by publishing 10 MB in bodies of 100 bytes to 10 MB: 50 to 75 MB at the most."""

FADING = 0.8
"""Of the largest body of late, each second: the next may be as large."""


def no_room() -> Unavailable:
    """What a request is refused with whose body has no room beside those of others."""
    return Unavailable("The server has no room for this body now; send it again")


class Transit(Generic[P]):
    """The bytes of all connections of one server.

    Attributes:
        bodies: of request bodies that have come in part or whole and are not done with.
        unread: of answers that were written to connections and wait for their peers to read.
        most: how many each of the two may be; infinity: no bound.
        work: bytes to be kept free for the next body that is carried out, at most `most_work`.
    """

    __slots__ = ("_largest", "_peers", "bodies", "most", "most_work", "unread", "work")

    def __init__(self, *, most: float = inf, most_work: float = inf) -> None:
        self.most_work = most_work
        self.work = 0
        self._largest = 0
        self.bodies = 0
        self.unread = 0
        self.most = most
        self._peers: dict[P, int] = {}

    # Bodies.

    def take(self, size: int, held: int) -> bool:
        """Counts bytes of a body of which `held` were counted before; False: there is no room, and nothing was counted.

        A body that is the only one is accepted: how large one may be has bounds of its own.
        """
        total = self.bodies + size
        if total > self.most and self.bodies > held:
            return False
        self.bodies = total
        if held + size > self._largest:
            self._note_largest(held + size)
        return True

    def fade(self) -> None:
        """Once a second: large bodies are less likely the longer ago they came."""
        self._note_largest(int(self._largest * FADING))

    def _note_largest(self, size: int) -> None:
        self._largest = size
        self.work = int(min(size * COPIES, self.most_work))

    def give_back(self, size: int) -> None:
        """The body of so many bytes is done with."""
        self.bodies -= size

    # Answers.

    def hold(self, peer: P, size: int) -> None:
        """The peer has `size` bytes to read, in place of what was said of it before."""
        self.unread += size - self._peers.get(peer, 0)
        self._peers[peer] = size

    def let_go(self, peer: P) -> None:
        """The peer has read what it was given, or is gone; nothing happens when it was not waited for."""
        self.unread -= self._peers.pop(peer, 0)

    def surplus(self) -> list[P]:
        """The peers to be dropped so that unread answers are within their bound; they are waited for no longer."""
        return self.drop(self.unread - self.most * (1 - ROOM)) if self.unread > self.most else []

    def drop(self, excess: float) -> list[P]:
        """Peers that hold at least `excess` bytes, those first that have most to read; they are waited for no longer."""
        return list(self._dropped(excess)) if excess > 0 else []

    def _dropped(self, excess: float) -> Iterator[P]:
        # The sort is stable: of two with as much, the one that has not read for longer goes first.
        for peer, size in sorted(self._peers.items(), key=lambda item: -item[1]):
            if excess <= 0:
                return
            excess -= size
            self.let_go(peer)
            yield peer

    def __len__(self) -> int:
        return len(self._peers)
