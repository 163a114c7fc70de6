"""Clocks that are set and machines that sleep: nobody's queue expires by it (D12)."""

import pytest

from support.core_rig import Rig
from tidewire.engine.clock import ShardClock

HOURS = 5 * 3600.0


class Times:
    """A wall clock and a monotonic one."""

    def __init__(self, rig: Rig) -> None:
        self.wall = rig.clock.time
        self.monotonic = 0.0

    def clock(self) -> ShardClock:
        """A shard's clock over these."""
        return ShardClock(wall=lambda: self.wall, monotonic=lambda: self.monotonic)

    def run(self, rig: Rig, seconds: int) -> None:
        """Lets a server run."""
        for _ in range(seconds):
            self.wall += 1
            self.monotonic += 1
            rig.engine.tick()


def rig_with_times() -> tuple[Rig, Times]:
    """An engine by a real clock, with one queue that is idle; it expires after 600 s."""
    rig = Rig()
    times = Times(rig)
    rig.engine._clock = times.clock()
    rig.register()
    return rig, times


@pytest.mark.parametrize("hours", [HOURS, -HOURS])
def test_a_wall_clock_that_is_set_expires_nobody(hours: float) -> None:
    rig, times = rig_with_times()
    times.run(rig, 100)
    times.wall += hours
    times.run(rig, 450)
    assert rig.engine.shard.queues() == 1
    times.run(rig, 200)
    assert rig.engine.shard.queues() == 0


def test_a_machine_that_slept_expires_nobody() -> None:
    rig, times = rig_with_times()
    times.run(rig, 100)
    times.wall += HOURS
    times.monotonic += HOURS
    times.run(rig, 450)
    assert rig.engine.shard.queues() == 1
    times.run(rig, 200)
    assert rig.engine.shard.queues() == 0


@pytest.mark.parametrize("hours", [HOURS, -HOURS])
def test_a_clock_that_is_set_while_the_server_is_down_expires_nobody(hours: float) -> None:
    rig, times = rig_with_times()
    times.run(rig, 100)
    rig.clock.time = max(times.wall + hours, rig.engine.shard.recorded_at)  # as `app/build.py` begins
    rig.recover()
    later = Times(rig)
    rig.engine._clock = ShardClock(
        wall=lambda: later.wall, monotonic=lambda: later.monotonic, floor=rig.engine.shard.recorded_at
    )
    later.run(rig, 400)
    assert rig.engine.shard.queues() == 1
