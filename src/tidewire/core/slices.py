"""Work in slices: a generator that yields wherever somebody else may have a turn, and returns what came of it.

The core says where it can be interrupted; its driver (the loop, a test, or `finished`, which never stops) says
what happens in between. A slice is bounded by what is done in it, never by time, so the core needs no clock.
"""

from collections.abc import Generator
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Work: TypeAlias = Generator[None, None, T]


def finished(work: Work[T]) -> T:
    """Does all of it at once.

    Args:
        work: what is to be done.

    Returns:
        What came of it; whatever it raises is raised here.
    """
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
