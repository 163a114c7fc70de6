"""Long work on the loop: one slice at a time for the whole server, and a turn for everybody else between two.

A thread would not help: what takes long is decoding in C, which holds the interpreter's lock.
"""

import asyncio
from typing import TypeVar

from tidewire.core.slices import Work

T = TypeVar("T")


class Turns:
    """Takes work in turn, however many requests bring some.

    With a slice of each of them in every turn of the loop, a hundred requests would hold it a hundred times as long as
    one. So between two turns one slice is done, and whoever has the next to do waits in line.
    """

    def __init__(self) -> None:
        self._line = asyncio.Lock()
        self.slices = 0
        """How many there were."""

    async def do(self, work: Work[T]) -> T:
        """Does all of a piece of work.

        Args:
            work: yields where it may be interrupted.

        Returns:
            What came of it; whatever it raises is raised here.
        """
        while True:
            async with self._line:
                self.slices += 1
                try:
                    next(work)
                except StopIteration as end:
                    result: T = end.value
                    return result
                finally:
                    # Within the lock: or else everybody who is about to begin would have a slice in this turn too.
                    await asyncio.sleep(0)
