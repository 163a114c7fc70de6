"""Shards that come and go as processes of their own, with clients and a publisher that go on meanwhile."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.movers import FIRST_USER, Listener, Source, caught_up, check_all, movers_file
from support.server_process import BEARER, SECRET, ServerProcess, clean_environment
from support.shard_group import free_ports
from support.waiting import eventually

USERS = 24
MOST = 4


class Moving:
    """Shards that come and go, on ports beside each other, and traffic."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self.settings = settings
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

    def begin(self, count: int, **listening: Any) -> None:
        """Starts so many shards, and the traffic; `listening` is what clients register with."""
        self.write_map(count)
        for _ in range(count):
            self.add(self.map_path)
        self.listeners = [
            Listener(user_id, lambda: self.alive, reconnects=user_id % 3 == 0, **listening)
            for user_id in range(FIRST_USER, FIRST_USER + USERS)
        ]
        for thread in (*self.listeners, self.source):
            thread.start()

    def add(self, map_path: Path) -> ServerProcess:
        """Starts one more shard."""
        index = len(self.shards)
        folder = self.folder / f"process-{index}"
        folder.mkdir()
        shard = ServerProcess(folder, f"shards.map_file={map_path}", f"shards.index={index}", *self.settings)
        shard.port = self.ports[index]
        shard.users_path.write_text(movers_file(USERS))
        self.shards.append(shard)
        shard.start()
        self.alive.append(shard.port)
        return shard

    def run(self, *arguments: str) -> str:
        """Runs another command to its end, and returns what it printed."""
        command = [sys.executable, "-m", "tidewire", *arguments, "--set", f"server.secret={SECRET}"]
        done = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, check=True, env=clean_environment()
        )
        return done.stdout

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
