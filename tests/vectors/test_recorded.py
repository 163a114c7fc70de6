"""Replays what was recorded of the original system, through the command and in process.

Every recorded sequence is here, and every one must agree.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.server_process import clean_environment
from support.vectors import SETTINGS, Result, Vector, differences, matches, read_vector
from tidewire.core.events.presentation import Presentation
from tidewire.core.state.limits import IdleTimeouts, Limits
from tidewire.engine.timing import EngineTiming
from tidewire.replay.player import Play
from tidewire.replay.scenario import parse_scenario

FILES = sorted(Path(__file__).with_name("recorded").glob("*.json"))


def test_every_sequence_is_there() -> None:
    assert len(FILES) == 132


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_engine_does_what_was_recorded(path: Path) -> None:
    play = Play(
        limits=Limits(offline_after=0),
        timing=EngineTiming(collect_every=0),
        timeouts=IdleTimeouts(minimum=0),
        presentation=Presentation(realm_host="zulip.example.com", avatar_salt="avatarsalt0123456789"),
    )
    # As the command prints it, and another reader reads it.
    got = json.loads(json.dumps(play.run(parse_scenario(path.read_bytes(), source=path.name))))
    assert differences(read_vector(path), got) == []


@pytest.mark.slow
def test_the_command_prints_what_was_recorded_one_line_a_sequence() -> None:
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    done = subprocess.run(  # noqa: S603 - the command is made here
        [sys.executable, "-m", "tidewire", "replay", *settings, *map(str, FILES)],
        capture_output=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["name"] for result in results] == [read_vector(path)["name"] for path in FILES]
    found = {path.name: differences(read_vector(path), got) for path, got in zip(FILES, results, strict=True)}
    assert {name: parts for name, parts in found.items() if parts} == {}


@pytest.mark.slow
def test_a_sequence_may_come_from_standard_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tidewire", "replay", "-"],
        input=FILES[0].read_bytes(),
        capture_output=True,
        env=clean_environment(),
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["name"] == read_vector(FILES[0])["name"]


def result(**parts: Any) -> Result:
    return {"register": [], "steps": [], "completions": [], "published": [], **parts}


def vector(*steps: dict[str, Any], compare: str = "exact", **expected: Any) -> Vector:
    return {"clients": [], "steps": list(steps), "compare": compare, "expect": result(**expected)}


POLL = {"poll": {"client": 0, "last_event_id": -1}}


@pytest.mark.parametrize(
    ("want", "got", "same"),
    [
        ({"a": "$any"}, {"a": [1]}, True),
        ({"a": "$any"}, {}, False),
        ([1, 2], [1, 2.0], True),
        ([1], [True], False),
        ([1], [1, 2], False),
        ({"a": {"b": None}}, {"a": {"b": None}}, True),
        ({"a": 0}, {"a": False}, False),
    ],
)
def test_the_comparator_tells_values_apart(want: object, got: object, same: bool) -> None:
    assert matches(want, got) is same


@pytest.mark.parametrize(
    ("want", "got", "same"),
    [
        ({"events": []}, {"events": []}, True),
        ({"events": []}, {"pending": True}, False),
        ({"events": [{"id": 0}]}, {"events": [{"id": 1}]}, False),
        ({"error": {"code": "A", "msg": "m"}}, {"error": {"code": "A", "msg": "m", "x": 1}}, True),
        ({"error": {"code": "A", "msg": "m"}}, {"error": {"code": "A", "msg": "n"}}, False),
        ({"error": {"code": "A", "msg": "m"}}, {}, False),
        ({"removed": ["q1", "q0"]}, {"removed": ["q0", "q1"]}, True),
        ({"sent": 1}, {"sent": 2}, False),
    ],
)
def test_the_comparator_tells_results_apart(want: Result, got: Result, same: bool) -> None:
    assert (differences(vector(POLL, steps=[want]), result(steps=[got])) == []) is same


def test_the_comparator_takes_completions_in_any_order_and_misses_none() -> None:
    one, two = {"step": 1, "events": ["$any"]}, {"step": 1, "events": []}
    wanted = vector(completions=[one, two])
    assert differences(wanted, result(completions=[two, {**one, "events": [7]}])) == []
    assert differences(wanted, result(completions=[one])) != []
    assert differences(wanted, result(steps=[{}])) == ["steps: 1 results instead of 0"]


def test_the_comparator_can_compare_what_becomes_of_flags() -> None:
    def flags(number: int, operation: str, *messages: int) -> dict[str, Any]:
        event = {"type": "update_message_flags", "op": operation, "flag": "starred", "all": False}
        return {**event, "messages": list(messages), "id": number}

    wanted = vector(POLL, compare="flags_semantic", steps=[{"events": [flags(1, "add", 5, 6)]}])
    assert differences(wanted, result(steps=[{"events": [flags(0, "add", 6), flags(3, "add", 5)]}])) == []
    assert (
        differences(wanted, result(steps=[{"events": [flags(0, "add", 5, 6), flags(3, "remove", 5)]}])) != []
    )
    assert differences(wanted, result(steps=[{"events": [flags(3, "add", 5), flags(0, "add", 6)]}])) != []
