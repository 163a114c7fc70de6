"""`tidewire replay --over http`: the same results as over the engine, and clear words for what can't be played."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from support.vectors import differences, read_vector
from tidewire.cli.main import main
from tidewire.replay import http_player

pytestmark = pytest.mark.slow

RECORDED = Path(__file__).parents[1] / "vectors" / "recorded"

ADA = {"user_profile_id": 10, "realm_id": 2}
BOB = {"user_profile_id": 11, "realm_id": 2, "event_types": ["t"]}
EVENT = {"event": {"type": "t"}, "users": [10, 11]}


def replay(scenario: Any, over: str, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["replay", "--over", over, *arguments, "-"], input=json.dumps(scenario), prog_name="tidewire"
    )


def played(scenario: Any, over: str, *arguments: str) -> dict[str, Any]:
    result = replay(scenario, over, *arguments)
    assert (result.exit_code, result.stderr) == (0, ""), result
    decoded = json.loads(result.stdout)
    assert isinstance(decoded, dict)
    return decoded


def poll(client: int, last_event_id: Any = -1, **arguments: Any) -> dict[str, Any]:
    return {"poll": {"client": client, "last_event_id": last_event_id, **arguments}}


SCENARIOS: dict[str, list[dict[str, Any]]] = {
    "polls that wait are completed": [poll(0, block=True), poll(1, block=True), {"notify": EVENT}],
    "a poll that has something does not wait": [{"notify": EVENT}, poll(0, block=True)],
    "a second poll displaces the first": [poll(0, block=True), poll(0, block=True), {"notify": EVENT}],
    "a poll at once displaces too": [poll(0, block=True), poll(0), {"notify": EVENT}, poll(0)],
    "a connection goes away": [
        poll(0, block=True),
        {"disconnect": {"client": 0}},
        {"notify": EVENT},
        poll(0),
    ],
    "nobody waits on what is disconnected": [{"disconnect": {"client": 0}}, {"disconnect": {"client": 5}}],
    "a queue is deleted under a poll": [poll(0, block=True), {"cleanup": {"client": 0}}, poll(0)],
    "a queue is deleted twice": [{"cleanup": {"client": 0}}, {"cleanup": {"client": 0}}],
    "a stranger deletes": [{"cleanup": {"client": 0, "as_user": 11}}, poll(0, as_user=99)],
    "queues that there are not": [poll(7), {"poll": {"queue_id": "x", "last_event_id": -1}}],
    "ids that there are not": [poll(0, 5), poll(0, None), poll(0, block=True)],
    "registrations": [
        {"register": {"user_profile_id": 12, "realm_id": 3, "narrow": [["is", "dm"]]}},
        {"register": {"user_profile_id": 12, "realm_id": 3, "narrow": [["x", "y"]]}},
        {"register": {"realm_id": 3}},
        {"register": {**BOB, "event_types": 7}},
        {"register": {**BOB, "lifespan_secs": 77, "client_type_name": "n", "all_public_streams": True}},
        {"notify": {**EVENT, "realm_id": 3}},
        {"notify": {"event": {"type": "t"}, "users": [12], "realm_id": 3}},
        poll(2),
        poll(3),
    ],
    "notices that are wrong": [
        {"notify": {"event": {}, "users": []}},
        {"notify": {"event": {"type": "t"}, "users": ["x"]}},
        {"notify": {**EVENT, "id": "n"}},
        {"notify": {**EVENT, "id": "n"}},
        {"notify": {**EVENT, "users": [10], "id": "n"}},
        poll(0),
    ],
    "names of queues in events": [
        {"notify": {"event": {"type": "cleanup_queue", "queue_id": "q1"}, "users": [11]}},
        poll(1),
    ],
    "profile fields for an old app": [
        {"register": {**ADA, "pronouns_field_type_supported": False}},
        {
            "notify": {
                "event": {"type": "custom_profile_fields", "fields": [{"id": 1, "type": 8, "name": "p"}]},
                "users": [10],
            }
        },
        poll(0),
        poll(2),
    ],
    "nobody is to be reloaded": [{"web_reload": {"immediate": True, "count": 3}}, {"web_reload": {}}],
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_ways_give_the_same(name: str) -> None:
    scenario = {"name": name, "clients": [ADA, BOB], "steps": SCENARIOS[name]}
    assert played(scenario, "http") == played(scenario, "engine")


def test_the_outbox_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """R5.18: also when it holds more than one answer has room for."""
    path = next(RECORDED.glob("h088_*.json"))
    vector = read_vector(path)
    monkeypatch.setattr(http_player, "MOST_RECORDS", 1)
    assert len(vector["expect"]["published"]) == 8
    assert differences(vector, played(vector, "http")) == []


def test_settings_reach_the_server() -> None:
    scenario = {"clients": [ADA], "steps": [poll(7)]}
    (result,) = played(scenario, "http", "--set", "compat.legacy_bad_queue_text=always")["steps"]
    assert result["error"]["msg"] == "Bad event queue id: q7"


def test_a_server_that_is_limited_says_so() -> None:
    scenario = {"clients": [ADA], "steps": [poll(0), poll(0)]}
    steps = played(scenario, "http", "--set", "limits.user_requests_per_minute=2")["steps"]
    assert "events" in steps[0]
    assert steps[1]["error"]["code"] == "RATE_LIMIT_HIT"


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ({"steps": [{"gc": {}}]}, ["step 0", "`gc`", "clock", "--over engine"]),
        ({"steps": [{"web_reload": {}}, {"advance": {"secs": 1}}]}, ["step 1", "`advance`", "clock"]),
        ({"steps": [{"dump_and_load": {}}]}, ["step 0", "`dump_and_load`", "restart"]),
        ({"steps": [{"restart_events": {}}]}, ["step 0", "`restart_events`", "restart"]),
        ({"steps": [{"dance": {}}]}, ["step 0", "can't play `dance`"]),
        ({"steps": [{"poll": {}}]}, ["step 0", "`poll` needs 'client'"]),
        ({"clients": [ADA], "steps": [poll(0, "x")]}, ["step 0", "wrong arguments of `poll`"]),
        ({"clients": [ADA], "steps": [poll(0, as_user="x")]}, ["step 0", "wrong arguments of `poll`", "'x'"]),
        ({"clients": [ADA, {**ADA, "realm_id": 3}], "steps": []}, ["user 10", "two realms", "--over engine"]),
    ],
)
def test_what_can_t_be_played_is_said_in_one_line(scenario: Any, words: list[str]) -> None:
    result = replay(scenario, "http")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("tidewire: ")
    for word in words:
        assert word in line
