"""Replays recorded sequences that publish notification records, and compares those (section 5).

Events are left out of the comparison: `published/` holds sequences whose messages and edits this version
delivers as they were published. Once it shapes them, a file moves to `recorded/`, where all of it is compared.
"""

import json
from pathlib import Path

import pytest

from support.vectors import differences, read_vector
from tidewire.core.idle_timeout import IdleTimeouts
from tidewire.core.state import Limits
from tidewire.engine import Pace
from tidewire.replay.player import Play
from tidewire.replay.scenario import parse_scenario

FILES = sorted(Path(__file__).with_name("published").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_records_that_were_published_are_published(path: Path) -> None:
    vector = read_vector(path)
    assert vector["expect"]["published"]
    play = Play(limits=Limits(offline_after=0), pace=Pace(collect_every=0), timeouts=IdleTimeouts(minimum=0))
    got = json.loads(json.dumps(play.run(parse_scenario(path.read_bytes(), source=path.name))))
    assert [part for part in differences(vector, got) if part.startswith("published")] == []
    assert [step.get("removed") for step in got["steps"]] == [
        step.get("removed") for step in vector["expect"]["steps"]
    ]
