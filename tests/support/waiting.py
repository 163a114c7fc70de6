"""Waiting for what can be observed, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds until a test gives up: far beyond what any awaited thing takes, also on a machine with much else to do."""

PAUSE = 0.01


def eventually(look: Callable[[], T], *, what: str, within: float = PATIENCE) -> T:
    """Looks again and again until there is something true to see, and returns it.

    Raises:
        AssertionError: it did not come in time; says `what` was waited for.
    """
    deadline = time.monotonic() + within
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(PAUSE)
