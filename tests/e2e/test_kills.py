"""A few kills of the fault harness; `make soak` has many (issue: nothing is lost)."""

import random
from pathlib import Path

import pytest

from support.kill_run import run

SEED = random.SystemRandom().randrange(10**6)
"""Another one each time: a failure prints it, and `python tests/soak.py --seed N` repeats the plan."""


@pytest.mark.slow
async def test_no_kill_loses_repeats_or_turns_anything(tmp_path: Path) -> None:
    outcome = await run(tmp_path, seed=SEED, kills=6, users=40, every=0.8)
    told = "\n".join([str(outcome), *outcome.oracle.sentences, outcome.log])
    assert not outcome.oracle.counts, told
    assert (outcome.stop_code, outcome.log) == (0, ""), told
    assert outcome.kills.total() == 6, told
    assert outcome.oracle.confirmed > 50, told
