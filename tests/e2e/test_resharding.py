"""Re-sharding while traffic flows: no client loses an event, gets one twice, or in another order (D7; R9.5 made better)."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.movers import FIRST_USER, Listener, Source, caught_up, check_all, movers_file
from support.server_process import BEARER, SECRET, ServerProcess, clean_environment
from support.shard_group import free_ports
from support.waiting import eventually

pytestmark = pytest.mark.slow

USERS = 24
MOST = 4


class Moving:
    """Shards that come and go, on ports beside each other, and traffic."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = free_ports(MOST)
        self.map_path = folder / "shards.toml"
        self.version = 0
        self.shards: list[ServerProcess] = []
        self.alive: list[int] = []
        self.listeners: list[Listener] = []
        self.commands: list[subprocess.Popen[str]] = []
        self.source = Source(range(FIRST_USER, FIRST_USER + USERS), lambda: self.alive)

    def write_map(self, count: int, path: Path | None = None) -> Path:
        """Writes the next map, by which everybody is spread over the first so many shards."""
        self.version += 1
        shards = "".join(f"[[shard]]\nport = {port}\n" for port in self.ports[:count])
        place = path or self.map_path
        place.write_text(f"version = {self.version}\ndefault = {self.ports[:count]}\n{shards}")
        return place

    def begin(self, count: int) -> None:
        """Starts so many shards, and the traffic."""
        self.write_map(count)
        for _ in range(count):
            self.add(self.map_path)
        self.listeners = [
            Listener(user_id, lambda: self.alive, reconnects=user_id % 3 == 0)
            for user_id in range(FIRST_USER, FIRST_USER + USERS)
        ]
        for thread in (*self.listeners, self.source):
            thread.start()

    def add(self, map_path: Path) -> ServerProcess:
        """Starts one more shard."""
        index = len(self.shards)
        folder = self.folder / f"process-{index}"
        folder.mkdir()
        shard = ServerProcess(folder, f"shards.map_file={map_path}", f"shards.index={index}")
        shard.port = self.ports[index]
        shard.users_path.write_text(movers_file(USERS))
        self.shards.append(shard)
        shard.start()
        self.alive.append(shard.port)
        return shard

    def apply(self, path: Path, *options: str, wait: bool = True) -> "subprocess.Popen[str]":
        """Runs the command."""
        command = [sys.executable, "-m", "tidewire", "shards", "apply", str(path), "--json", *options]
        command += ["--set", f"shards.map_file={self.map_path}", "--set", f"server.secret={SECRET}"]
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment()
        )
        self.commands.append(process)
        if wait:
            self.finish(process)
        return process

    def finish(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        """Waits for the command's end and returns what it said."""
        out, err = process.communicate(timeout=120)
        logs = "\n".join(
            line
            for shard in self.shards
            for line in shard.log.splitlines()
            if "hand-over" in line and "/api" not in line
        )
        assert process.returncode == 0, (out, err, logs)
        said: dict[str, Any] = json.loads(out)
        self.said = said
        return said

    def reshard(self, count: int) -> dict[str, Any]:
        """From the shards there are to so many."""
        path = self.write_map(count, self.folder / f"map-{self.version + 1}.toml")
        while len(self.shards) < count:
            self.add(path)
        self.apply(path)
        return self.said

    def status(self, index: int) -> dict[str, Any]:
        """What a shard says of itself."""
        answer = self.shards[index].ask("GET", "/api/internal/shards", headers=BEARER)
        assert answer.status == 200, answer
        return answer.json

    def settle(self) -> None:
        """Ends the publisher, and sees that everybody got what it sent."""
        self.source.stopped.set()
        self.source.join(60)
        eventually(lambda: caught_up(self.source, self.listeners), what="all is received")
        check_all(self.source, self.listeners)

    def destroy(self) -> None:
        """Ends all."""
        self.source.stopped.set()
        self.source.abandoned.set()
        for listener in self.listeners:
            listener.stopped.set()
        for process in self.commands:
            process.kill()
            process.communicate()
        for shard in self.shards:
            shard.destroy()
        for thread in (*self.listeners, self.source):
            if thread.is_alive():
                thread.join(60)


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[Moving]:
    made = Moving(tmp_path)
    try:
        yield made
    finally:
        made.destroy()


def test_one_to_three_to_four_to_two_shards_under_traffic_d7(moving: Moving) -> None:
    moving.begin(1)
    for count in (3, 4, 2):
        eventually(lambda: moving.source.count > 100 * moving.version, what="there is traffic")
        said = moving.reshard(count)
        assert said["version"] == moving.version
        assert said["moved"] > 0
        users = [moving.status(index)["users"] for index in range(len(moving.shards))]
        assert users == [USERS // count if index < count else 0 for index in range(len(moving.shards))]
    # Those that hold nobody can go.
    moving.alive[:] = moving.ports[:2]
    for shard in moving.shards[2:]:
        assert shard.stop() == 0
    eventually(lambda: moving.source.count > 600, what="it goes on")
    moving.settle()


@pytest.mark.parametrize("victim", ["source", "target"])
@pytest.mark.parametrize(
    "point", ["users move ", "users taken ", "users moved ", "all users handed over", "hand-over begins"]
)
def test_a_shard_is_killed_at_each_point_of_a_hand_over(moving: Moving, victim: str, point: str) -> None:
    moving.begin(2)
    eventually(lambda: moving.source.count > 50, what="there is traffic")
    path = moving.write_map(3, moving.folder / "map-2.toml")
    target = moving.add(path)
    process = moving.apply(path, wait=False)
    watched = target if point == "users taken " else moving.shards[0]
    killed = moving.shards[0] if victim == "source" else target
    eventually(lambda: point in watched.log, what=point)
    killed.signal(signal.SIGKILL)
    killed.wait()
    killed.start()
    if process.wait(60):
        # It was told of the restart, and is asked to go on.
        _, problem = process.communicate()
        assert "does not answer" in problem or "SERVICE_UNAVAILABLE" in problem, problem
        moving.apply(path)
    else:
        moving.finish(process)
    count = moving.source.count
    eventually(lambda: moving.source.count > count + 50, what="traffic goes on")
    moving.settle()
    users = [moving.status(index)["users"] for index in range(3)]
    assert users == [USERS // 3] * 3


def test_a_dry_run_changes_nothing_and_a_map_that_is_not_newer_is_refused(moving: Moving) -> None:
    moving.begin(2)
    path = moving.write_map(1, moving.folder / "map-2.toml")
    said = moving.finish(moving.apply(path, "--dry-run", wait=False))
    assert said["moves"] == [
        {"from": moving.ports[1], "to": moving.ports[0], "users": USERS // 2, "queues": USERS // 2}
    ]
    assert [moving.status(index)["version"] for index in (0, 1)] == [1, 1]
    path.write_text(path.read_text().replace("version = 2", "version = 1"))
    refused = moving.apply(path, wait=False)
    _, problem = refused.communicate(timeout=60)
    assert (refused.returncode, "a version above 1" in problem) == (2, True)
    moving.shards[1].signal(signal.SIGKILL)
    moving.shards[1].wait()
    moving.alive.pop()
    path.write_text(path.read_text().replace("version = 1", "version = 2"))
    alone = moving.apply(path, wait=False)
    _, problem = alone.communicate(timeout=60)
    assert (alone.returncode, "nothing was begun" in problem) == (1, True)
    assert moving.status(0)["version"] == 1
