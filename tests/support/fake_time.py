"""Time and chance for tests: sleeping is recorded and takes no time."""

from tidewire._http import AsyncTiming, Timing


class FakeTime:
    """A clock that only sleeping moves, and dice that always fall in the middle."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Moves the clock, at once."""
        self.sleeps.append(seconds)
        self.now += seconds

    async def sleep_on_the_loop(self, seconds: float) -> None:
        """The same for whoever awaits it."""
        self.sleep(seconds)

    @property
    def timing(self) -> Timing:
        """This time, as constructors take it."""
        return Timing(sleep=self.sleep, clock=lambda: self.now, random=lambda: 0.5)

    @property
    def async_timing(self) -> AsyncTiming:
        """The same for those that run on a loop."""
        return AsyncTiming(sleep=self.sleep_on_the_loop, clock=lambda: self.now, random=lambda: 0.5)
