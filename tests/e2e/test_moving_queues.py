"""Moving queues from one real server to another: the published client goes on with its queue (C5, R10.9)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.dumps import dump, pair, stored_queue
from support.published_clients import python_client
from support.server_process import KEYS, SECRET, ServerProcess, StartServer, clean_environment, email

pytestmark = pytest.mark.slow


def tidewire(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(  # noqa: S603 - the command is made here
        [sys.executable, "-m", "tidewire", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def of(server: ServerProcess) -> tuple[str, ...]:
    return ("--url", server.url, "--secret", SECRET)


def types(events: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(event["id"], event["type"]) for event in events]


def test_the_published_client_goes_on_with_its_queue_on_another_server(
    start_server: StartServer, tmp_path: Path
) -> None:
    first = start_server()
    with python_client(first.url, email=email("ada"), key=KEYS["ada"]) as client:
        queue_id = client.register(event_types=["deploy", "restart"])["queue_id"]
        first.publish_event("ada", type="deploy", number=1)
        first.publish_event("ada", type="deploy", number=2)
        answer = client.get_events(queue_id=queue_id, last_event_id=-1, dont_block=True)
        assert types(answer["events"]) == [(0, "deploy"), (1, "deploy")]
    moved = tmp_path / "moved.json"
    tidewire("export-dump", *of(first), moved)
    assert first.stop() == 0

    second = start_server()
    assert tidewire("import-dump", *of(second), moved).stdout == f"{moved}: imported 1 of 1 queue\n"
    with python_client(second.url, email=email("ada"), key=KEYS["ada"]) as client:
        answer = client.get_events(queue_id=queue_id, last_event_id=0, dont_block=True)
        assert types(answer["events"]) == [(1, "deploy"), (2, "restart")]
        second.publish_event("ada", type="deploy", number=3)
        answer = client.get_events(queue_id=queue_id, last_event_id=2, dont_block=True)
        assert [event["number"] for event in answer["events"]] == [3]
    second.restart()
    assert types(second.events("ada", queue_id, 2))[0] == (3, "deploy")
    assert "Traceback" not in first.log + second.log


def test_a_dump_of_the_original_goes_into_a_stopped_server_and_is_told_at_the_start(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    mine = server.register("bob")
    server.publish_event("bob", type="deploy")
    assert server.stop() == 0
    old = tmp_path / "old"
    old.mkdir()
    oldest = stored_queue({"type": "deploy", "id": 4})
    del oldest["virtual_events"], oldest["newest_pruned_id"]
    (old / "event_queues.json").write_bytes(dump(pair("1482093786:2", oldest)))
    tidewire("import-dump", "--state-dir", server.state, "--rename", old)
    assert [path.name for path in old.iterdir()] == ["event_queues.json.last"]
    server.start()
    assert types(server.events("ada", "1482093786:2", 3)) == [(4, "deploy"), (5, "restart")]
    assert types(server.events("bob", mine)) == [(0, "deploy"), (1, "restart")]
    tidewire("import-dump", "--state-dir", server.state, old / "event_queues.json.last", code=1)


def test_a_large_dump_goes_through_whole_while_polls_are_answered(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    path = tmp_path / "large.json"
    path.write_bytes(
        dump(*(pair(f"q{n}", stored_queue({"type": "t", "x": f"{n:05}" * 2000})) for n in range(1500)))
    )
    waiting = server.park("ada", server.register("ada"))
    assert "imported 1,500 of 1,500" in tidewire("import-dump", *of(server), path).stdout
    server.publish_event("ada", type="t")
    assert waiting.answer().json["events"][0]["type"] == "t"
    done = tidewire("export-dump", *of(server))
    assert len(json.loads(done.stdout)) == 1501
    assert "slow request" not in server.log
