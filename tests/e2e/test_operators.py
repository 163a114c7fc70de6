"""The operator's commands against a real server, and what can be explained after `kill -9`."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.server_process import SECRET, ServerProcess, clean_environment

pytestmark = pytest.mark.slow

Done = subprocess.CompletedProcess[str]


def run(
    server: ServerProcess, *arguments: str, code: int = 0, text: str = "", secret: str | None = SECRET
) -> Done:
    environment = {**clean_environment(), "TIDEWIRE_URL": server.url}
    if secret is not None:
        environment["TIDEWIRE_SECRET"] = secret
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "tidewire", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
        input=text,
    )
    assert done.returncode == code, done
    return done


def asked(server: ServerProcess, *arguments: str) -> dict[str, Any]:
    answer = json.loads(run(server, *arguments, "--json").stdout)
    assert isinstance(answer, dict)
    return answer


def test_queues_are_listed_and_one_is_shown(server: ServerProcess) -> None:
    first, second = server.register("ada"), server.register("bob")
    server.publish_event("bob", type="deploy", text="hush")
    lines = run(server, "queues").stdout.splitlines()
    assert lines[0].split()[:3] == ["QUEUE", "USER", "CLIENT"]
    # The one that holds something comes first.
    assert [line.split()[0] for line in lines[1:]] == [second, first]
    assert [row["queue_id"] for row in asked(server, "queues", "--user", "1")["queues"]] == [first]
    assert "1 of 2 queues" in run(server, "queues", "--limit", "1").stdout
    shown = run(server, "queue", second).stdout
    assert "holds 0 deploy" in shown
    assert "hush" not in shown
    assert "hush" in run(server, "queue", second, "--payload").stdout


def test_an_event_is_explained_from_the_queue_to_its_end(server: ServerProcess) -> None:
    queue_id = server.register("ada", event_types=["deploy"])
    server.publish({"event": {"type": "deploy"}, "users": [1], "id": "d-1"})
    server.publish_event("ada", type="other")
    assert ": waiting: " in run(server, "explain", queue_id, "0").stdout
    server.events("ada", queue_id)
    assert ": sent: " in run(server, "explain", queue_id, "d-1").stdout
    server.events("ada", queue_id, 0)
    first, second = run(server, "explain", "--user", "1", "--last", "20").stdout.splitlines()
    assert re.search(r"deploy 0: acknowledged: .*last sent \d\d:.*acknowledged \d\d:", first)
    assert "other: refused: the queue does not accept it (rule event_types)" in second
    server.ask_as("ada", "DELETE", "/api/v1/events", query={"queue_id": queue_id})
    (story,) = asked(server, "explain", queue_id, "0")["stories"]
    assert (story["state"], story["ended"]) == ("acknowledged", "deleted")


def test_a_dry_run_says_who_would_get_what(server: ServerProcess, tmp_path: Path) -> None:
    queue_id = server.register("ada")
    server.register("bob", event_types=["message"])
    file = tmp_path / "notice.json"
    file.write_text(json.dumps({"event": {"type": "deploy", "text": "hush"}, "users": [1, 2, 77]}))
    shown = run(server, "explain", "--dry-run", str(file)).stdout
    assert re.search(rf"{queue_id} +1 .* queued ", shown)
    assert "event_types" in shown
    assert shown.splitlines()[-1] == "1 queued, 1 refused; users without a queue: 1"
    assert "hush" in run(server, "explain", "--dry-run", "-", "--payload", text=file.read_text()).stdout
    assert server.events("ada", queue_id) == []


def test_totals_are_printed_and_top_looks_once_without_a_terminal(server: ServerProcess) -> None:
    server.register("ada")
    server.publish_event("ada", type="deploy")
    assert asked(server, "stats")["totals"]["delivered"] == 1
    # Types that are not known are counted together: publishers may make up any number of them.
    assert re.search(r"notices \(other\) +1", run(server, "stats").stdout)
    shown = run(server, "top", "--interval", "0.1").stdout
    assert "SLOWEST QUEUES" in shown
    assert "\x1b" not in shown
    looks = run(server, "top", "--interval", "0.1", "--count", "2", "--json").stdout.splitlines()
    assert [set(json.loads(look)) for look in looks] == [{"rates", "stats", "slowest"}] * 2


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("queue", "nonsense"), 1, "There is no queue nonsense (NOT_FOUND)"),
        (("explain",), 2, "Give one of QUEUE, --user and --dry-run"),
        (("explain", "x", "--user", "1"), 2, "Give one of QUEUE, --user and --dry-run"),
        (("explain", "--dry-run", "/no/such/file"), 2, "No such file"),
        (("queues", "--sort", "beauty"), 2, "'beauty' is not one of"),
        (("stats", "--secret", "wrong"), 1, "Access denied"),
        (("stats", "--url", "nonsense"), 2, "http://host:port"),
        (("stats", "--url", "http://127.0.0.1:9"), 1, "is the server running?"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    shared_server: ServerProcess, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    done = run(shared_server, *arguments, code=code)
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_secret_it_says_where_there_is_one(shared_server: ServerProcess) -> None:
    assert "set TIDEWIRE_SECRET" in run(shared_server, "stats", secret=None, code=2).stderr


def test_after_kill_9_what_is_said_is_still_true(server: ServerProcess) -> None:
    queue_id = server.register("ada", event_types=["deploy"])
    server.publish(*[{"event": {"type": "deploy"}, "users": [1], "id": f"d-{n}"} for n in range(3)])
    server.publish({"event": {"type": "other"}, "users": [1], "id": "o-1"})
    assert len(server.events("ada", queue_id)) == 3
    server.signal(signal.SIGKILL)
    server.wait()
    server.start()
    for number in range(3):
        (story,) = asked(server, "explain", queue_id, f"d-{number}")["stories"]
        assert (story["event_id"], story["type"], story["state"]) == (number, "deploy", "waiting")
    (story,) = asked(server, "explain", queue_id, "o-1")["stories"]
    assert (story["state"], story["rule"]) == ("refused", "event_types")
    assert len(server.events("ada", queue_id)) >= 3
    (story,) = asked(server, "explain", queue_id, "0")["stories"]
    assert story["state"] == "sent"
