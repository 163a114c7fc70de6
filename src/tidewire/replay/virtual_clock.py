"""A clock that moves only when told to."""


class VirtualClock:
    """A `Clock` for scenarios; nothing is ever skipped."""

    skipped = 0.0

    def __init__(self, start: float) -> None:
        self._now = start

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        self._now += seconds

    def now(self) -> float:
        """The time."""
        return self._now

    def tick(self) -> float:
        """The time; there is nothing to correct."""
        return self._now
