"""Replays what was recorded against real servers, over HTTP: every sequence that needs neither a clock nor a restart."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.server_process import clean_environment
from support.vectors import SETTINGS, Vector, differences, read_vector
from tidewire.config import load
from tidewire.replay.http_player import NEEDS_MORE, play_over_http
from tidewire.replay.scenario import parse_scenario

pytestmark = pytest.mark.slow


def is_playable(vector: Vector) -> bool:
    return not any(step.keys() & NEEDS_MORE.keys() for step in vector["steps"])


FILES = [
    path
    for path in sorted(Path(__file__).with_name("recorded").glob("*.json"))
    if is_playable(read_vector(path))
]


def test_about_half_of_the_sequences_can_be_played() -> None:
    assert len(FILES) >= 64


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_server_does_what_was_recorded(path: Path) -> None:
    settings = load(file=None, environ={}, overrides=SETTINGS)
    scenario = parse_scenario(path.read_bytes(), source=path.name)
    got = json.loads(json.dumps(asyncio.run(play_over_http(scenario, settings))))
    assert differences(read_vector(path), got) == []


def test_the_command_prints_the_same_as_over_the_engine() -> None:
    files = [str(path) for path in FILES[:3]]
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    lines = []
    for over in ("http", "engine"):
        done = subprocess.run(  # noqa: S603 - the command is made here
            [sys.executable, "-m", "tidewire", "replay", "--over", over, *settings, *files],
            capture_output=True,
            env=clean_environment(),
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        lines.append([json.loads(line) for line in done.stdout.splitlines()])
    assert lines[0] == lines[1]
