"""Three shards behind a real nginx with the configuration that `tidewire nginx` prints (R9.7-R9.13)."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from support.demo_server import running
from support.programs import require_programs
from support.raw_http import Answer, RawConnection, request_bytes
from support.server_process import (
    BEARER,
    SECRET,
    USER_IDS,
    clean_environment,
    credentials,
    free_port,
    poll_bytes,
)
from support.shard_group import ShardGroup
from support.waiting import eventually

pytestmark = pytest.mark.slow

NAMES = ("ada", "bob", "gil")
"""One user of each shard."""


class Front:
    """nginx, as clients see it, and the shards behind it."""

    def __init__(self, port: int, group: ShardGroup) -> None:
        self.port = port
        self.group = group

    def ask(self, name: str | None, method: str, path: str, **request: object) -> Answer:
        """One request."""
        headers = {**(request.pop("headers", None) or {}), **({} if name is None else credentials(name))}  # type: ignore[dict-item]
        with RawConnection(self.port) as connection:
            return connection.answer_to(request_bytes(method, path, headers=headers, **request))  # type: ignore[arg-type]

    def register(self, name: str) -> str:
        """Makes a queue; whatever shard nginx asks by chance."""
        answer = self.ask(name, "POST", "/api/v1/register", form={"event_types": ["greeting"]})
        assert answer.status == 200, answer
        return str(answer.json["queue_id"])

    def is_there(self) -> bool:
        """Whether requests are answered."""
        try:
            return self.ask(None, "GET", "/api/v1/server_settings").status == 200
        except OSError:
            return False


def print_configuration(folder: Path, group: ShardGroup, port: int) -> Path:
    run = folder / "run"
    run.mkdir()
    command = [sys.executable, "-m", "tidewire", "nginx", "--set", f"shards.map_file={group.map_path}"]
    command += ["--listen", f"127.0.0.1:{port}", "--run-directory", str(run)]
    done = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, text=True, check=True, env=clean_environment(), cwd=folder
    )
    path = folder / "nginx.conf"
    path.write_text(done.stdout)
    return path


@pytest.fixture(params=["proxy", "redirect"], scope="module")
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    require_programs("nginx")
    folder = tmp_path_factory.mktemp("front")
    group = ShardGroup(folder, 3, f"shards.wrong_shard={request.param}")
    port = free_port()
    configuration = print_configuration(folder, group, port)
    nginx = ["nginx", "-e", "stderr", "-c", str(configuration)]
    checked = subprocess.run([*nginx, "-t"], capture_output=True, text=True, check=False)  # noqa: S603 - made here
    assert checked.returncode == 0, checked.stderr
    try:
        group.start()
        output = folder / "nginx.log"
        with running([*nginx, "-g", "daemon off;"], output=output, cwd=folder) as process:
            made = Front(port, group)

            def is_there() -> bool:
                assert process.poll() is None, output.read_text()
                return made.is_there()

            eventually(is_there, what="nginx answers")
            yield made
    finally:
        group.destroy()


def test_each_user_s_queue_is_made_on_the_right_shard_read_and_ended(front: Front) -> None:
    for name in NAMES * 3:
        queue_id = front.register(name)
        home = front.group.shards[USER_IDS[name] % 3]
        assert home.events(name, queue_id) == []
        got: list[Answer] = []

        def poll(name: str = name, queue_id: str = queue_id, got: list[Answer] = got) -> None:
            with RawConnection(front.port) as connection:
                got.append(connection.answer_to(poll_bytes(name, queue_id)))

        waiting = threading.Thread(target=poll)
        waiting.start()
        # Any shard takes a notice, whoever it is for.
        front.group.shards[0].publish_event(*NAMES, type="greeting", text="hello")
        waiting.join(60)
        assert [event["text"] for event in got[0].json["events"]] == ["hello"]
        query = {"queue_id": queue_id}
        assert front.ask(name, "DELETE", "/api/v1/events", query=query).status == 200
        again = front.ask(name, "DELETE", "/api/v1/events", query=query)
        assert (again.status, again.json["code"]) == (400, "BAD_EVENT_QUEUE_ID")


def test_what_a_client_says_of_being_sent_on_does_not_count(front: Front) -> None:
    for _ in range(6):
        answer = front.ask("ada", "POST", "/api/v1/register", form={}, headers={"Tidewire-Forwarded": "1"})
        assert answer.status == 200, answer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/internal/notices"),
        ("POST", "/api/v1/events/internal"),
        ("GET", "/internal/tornado/9800/api/v1/events"),
        ("GET", "/health/ready"),
        ("GET", "/metrics"),
        ("GET", "/console"),
    ],
)
def test_what_is_not_public_is_closed(front: Front, method: str, path: str) -> None:
    answer = front.ask(None, method, path, body=b"{}", headers={"Authorization": f"Bearer {SECRET}"})
    assert answer.status == 404


def test_a_map_is_reloaded_live_and_a_broken_one_changes_nothing(front: Front) -> None:
    group = front.group
    first = group.shards[0]
    group.map_path.write_text("version = x")
    first.signal(signal.SIGHUP)
    eventually(lambda: "shard map is wrong" in first.log, what="the broken map is told of")
    assert front.ask("ada", "POST", "/api/v1/register", form={}).status == 200
    group.write_map(2, default=[group.ports[2]])
    for shard in group.shards:
        shard.signal(signal.SIGHUP)
    eventually(
        lambda: all("shard map reloaded" in shard.log for shard in group.shards), what="the map is read"
    )
    eventually(lambda: all("hand-over is over" in shard.log for shard in group.shards), what="all have moved")
    for name in NAMES:
        # While a user moves, a registration may be told to try again.
        register = partial(front.ask, name, "POST", "/api/v1/register", form={})
        eventually(lambda: register().status == 200, what=f"{name} is where the map says")  # noqa: B023 - called at once
        queue_id = front.register(name)
        assert group.shards[2].events(name, queue_id) == []
    sent = json.dumps({"event": {"type": "greeting"}, "users": [USER_IDS["ada"]]}).encode()
    assert first.ask("POST", "/api/internal/notices", headers=BEARER, body=sent).status == 200
