"""Power cuts at any call of the file system, and whether all that anybody was told survives (`durability = "power"`)."""

import random

import pytest

from support.power_world import PowerWorld

SEED = random.SystemRandom().randrange(10**9)
"""Others each time; a failure names its own."""

CUTS = 110
"""Of each seed; one takes some 30 ms of CPU."""


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_no_cut_takes_back_what_anybody_was_told(number: int) -> None:
    seed = SEED + number
    world = PowerWorld(seed)
    world.run(CUTS)
    assert not world.oracle.counts, "\n".join([f"seed {seed}", *world.oracle.sentences])
    assert world.cuts.total() == CUTS
    assert min(world.cuts["starting"], world.cuts["running"]) > 0
    assert world.oracle.confirmed > 20
