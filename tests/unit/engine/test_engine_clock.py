"""The shard's time (D12)."""

from hypothesis import given
from hypothesis import strategies as st

from tidewire.engine.clock import ShardClock


class Times:
    """A wall clock and a monotonic one, moved by hand."""

    def __init__(self) -> None:
        self.wall = 5000.0
        self.monotonic = 100.0

    def pass_by(self, seconds: float) -> None:
        """Time as it usually passes."""
        self.wall += seconds
        self.monotonic += seconds

    def clock(self, floor: float = 0.0) -> ShardClock:
        """A clock that reads these."""
        return ShardClock(wall=lambda: self.wall, monotonic=lambda: self.monotonic, floor=floor)


def test_the_clock_starts_at_wall_time() -> None:
    assert Times().clock().now() == 5000.0


def test_the_clock_never_starts_below_the_newest_journalled_time() -> None:
    assert Times().clock(floor=6000.0).now() == 6000.0


def test_the_clock_follows_the_monotonic_time_between_ticks() -> None:
    times = Times()
    clock = times.clock()
    times.monotonic += 3
    times.wall += 500
    assert clock.now() == 5003.0


def test_a_gap_of_more_than_ten_seconds_counts_as_one_and_is_said() -> None:
    times = Times()
    clock = times.clock()
    times.pass_by(3600)
    assert clock.now() == 5001.0
    assert clock.skipped == 3599.0


def test_ten_seconds_are_no_skip() -> None:
    times = Times()
    clock = times.clock()
    times.pass_by(10)
    assert clock.tick() == 5010.0
    assert clock.skipped == 0.0


def test_a_wall_clock_set_forwards_is_met_by_a_twentieth_of_the_time_that_passes() -> None:
    times = Times()
    clock = times.clock()
    times.wall += 3600
    times.pass_by(1)
    assert clock.tick() == 5001.05
    for _ in range(100_000):
        times.pass_by(1)
        now = clock.tick()
    assert now == times.wall


def test_a_wall_clock_set_backwards_slows_the_time_and_never_turns_it() -> None:
    times = Times()
    clock = times.clock()
    times.wall -= 3600
    times.pass_by(1)
    assert clock.tick() == 5000.95
    for _ in range(100_000):
        times.pass_by(1)
        now = clock.tick()
    assert now == times.wall


def test_a_tick_does_not_go_back_behind_a_reading_just_before_it() -> None:
    times = Times()
    clock = times.clock()
    times.wall -= 3600
    times.pass_by(0.99)
    read = clock.now()
    times.pass_by(0.01)
    assert clock.tick() >= read


@given(
    st.lists(
        st.tuples(st.booleans(), st.floats(0, 30), st.floats(-100, 100)),
        max_size=30,
    )
)
def test_whatever_the_wall_clock_does_time_rises_and_no_step_is_longer_than_what_passed(
    steps: list[tuple[bool, float, float]],
) -> None:
    times = Times()
    clock = times.clock()
    last = clock.now()
    since_tick = 0.0
    for ticks, seconds, jump in steps:
        times.pass_by(seconds)
        times.wall += jump
        since_tick += min(seconds, 10)
        now = clock.tick() if ticks else clock.now()
        allowed = min(seconds, 10) + (0.05 * since_tick if ticks else 0)
        assert last <= now <= last + allowed + 1e-6
        last = now
        since_tick = 0.0 if ticks else since_tick
