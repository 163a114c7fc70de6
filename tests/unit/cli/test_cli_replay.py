"""`tidewire replay`: scenarios in, one line of JSON each out, and sentences for what is no scenario."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from support.dumps import pair, stored_queue
from tidewire.cli.main import main

CLIENT = {"user_profile_id": 10, "realm_id": 2}


def replay(scenario: Any, *arguments: str) -> Result:
    text = scenario if isinstance(scenario, str) else json.dumps(scenario)
    return CliRunner().invoke(main, ["replay", *arguments, "-"], input=text, prog_name="tidewire")


def played(scenario: Any, *arguments: str) -> dict[str, Any]:
    result = replay(scenario, *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    (line,) = result.stdout.splitlines()
    decoded = json.loads(line)
    assert isinstance(decoded, dict)
    return decoded


def test_what_each_client_got_is_printed() -> None:
    notify = {"notify": {"event": {"type": "t"}, "users": [10]}}
    poll = {"poll": {"client": 0, "last_event_id": -1, "block": True}}
    assert played({"name": "n", "clients": [CLIENT], "steps": [poll, notify, poll]}) == {
        "name": "n",
        "register": [{"events": [], "queue_id": "q0"}],
        "steps": [{"pending": True}, {}, {"events": [{"type": "t", "id": 0}]}],
        "completions": [{"step": 1, "queue_id": "q0", "events": [{"type": "t", "id": 0}]}],
        "published": [],
    }


def test_settings_change_what_happens() -> None:
    scenario = {"clients": [CLIENT], "steps": [{"gc": {"advance_secs": 100}}]}
    assert played(scenario)["steps"] == [{"removed": []}]
    assert played(scenario, "--set", "queues.idle_timeout=90")["steps"] == [{"removed": ["q0"]}]


def test_errors_of_a_step_are_results() -> None:
    steps = [
        {"poll": {"client": 7, "last_event_id": -1}},
        {"register": {"realm_id": 1}},
        {"notify": {"event": {}, "users": []}},
        {"poll": {"client": 0, "last_event_id": None}},
    ]
    results = played({"clients": [CLIENT], "steps": steps})["steps"]
    assert [result["error"]["code"] for result in results] == [
        "BAD_EVENT_QUEUE_ID",
        "BAD_REQUEST",
        "INVALID_NOTICE",
        "BAD_REQUEST",
    ]


def test_several_files_give_a_line_each_in_their_order(tmp_path: Path) -> None:
    files = []
    for name in ("b", "a"):
        files.append(tmp_path / name)
        files[-1].write_text('{"steps": []}')
    result = CliRunner().invoke(main, ["replay", *map(str, files)])
    assert [json.loads(line)["name"] for line in result.stdout.splitlines()] == [str(file) for file in files]


def test_a_load_names_the_queues_and_registrations_take_what_is_free() -> None:
    other = pair("q1", user_profile_id=7)
    loaded = [pair("q1", stored_queue({"type": "deploy"}), user_profile_id=3), other, ["q9", {}]]
    steps = [
        {"register": CLIENT},
        {"load": {"dump": loaded, "restart_events": {"now": True}}},
        {"poll": {"client": 1, "last_event_id": -1}},
        {"register": CLIENT},
        {"register": CLIENT},
    ]
    result = replay({"clients": [], "steps": steps})
    _, load, poll, *registered = json.loads(result.stdout)["steps"]
    assert load == {"queues": 1}
    assert [event["type"] for event in poll["events"]] == ["deploy", "restart"]
    assert [one["queue_id"] for one in registered] == ["q0", "q2"]


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("{", ["- is not JSON"]),
        ("", ["- is not JSON"]),
        ([], ["- is no scenario", "`steps`"]),
        ({}, ["- is no scenario", "`steps`"]),
        ({"steps": [1]}, ["steps[0]", "one member, its kind"]),
        ({"steps": [{"poll": {}, "gc": {}}]}, ["steps[0]", "one member, its kind"]),
        ({"steps": [{}, {"poll": []}]}, ["steps[0]"]),
        ({"steps": [{"poll": []}]}, ["steps[0]", "arguments of `poll` must be an object"]),
        ({"clients": {}, "steps": []}, ["`clients` must be a list"]),
        ({"clients": [7], "steps": []}, ["`clients` must be a list"]),
        ({"steps": [{"gc": {}}, {"dance": {}}]}, ["step 1", "can't play `dance`"]),
        ({"steps": [{"load": {}}]}, ["step 0", "`load` needs 'dump'"]),
        ({"steps": [{"poll": {}}]}, ["step 0", "`poll` needs 'client'"]),
        ({"steps": [{"advance": {}}]}, ["step 0", "`advance` needs 'secs'"]),
        ({"steps": [{"advance": {"secs": "x"}}]}, ["step 0", "wrong arguments of `advance`"]),
        ({"steps": [{"advance": {"secs": None}}]}, ["step 0", "wrong arguments of `advance`"]),
        (
            {"clients": [CLIENT], "steps": [{"poll": {"client": 0, "last_event_id": "x"}}]},
            ["step 0", "wrong arguments of `poll`"],
        ),
        (
            {"steps": [{"dump_and_load": {"web_reload": [1]}}]},
            ["step 0", "wrong arguments of `dump_and_load`"],
        ),
    ],
)
def test_what_is_no_scenario_is_said_in_one_line(scenario: Any, words: list[str]) -> None:
    result = replay(scenario)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("tidewire: ")
    for word in words:
        assert word in line
