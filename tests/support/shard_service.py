"""Everything that a service of several shards is made of, real: RabbitMQ, a supervisor with its shards, and nginx.

What may happen to such a service is a method here. They block: call them from a thread beside a loop.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from support.broker import Broker
from support.demo_server import clean_environment, end
from support.events import Json
from support.raw_http import Closed, RawConnection, request_bytes
from support.server_process import REALM, SECRET, free_port
from support.shard_group import free_ports, map_text
from support.waiting import eventually
from tidewire.publisher import ShardQueues
from tidewire.supervisor.control import command
from tidewire.supervisor.shard_process import SupervisorError

TIDEWIRE = [sys.executable, "-m", "tidewire"]

BACK_WITHIN = 120.0
"""Seconds: a broker takes several to come back, on a busy machine many."""


def email(user: int) -> str:
    """The address of a user, by id."""
    return f"user{user}@test.example"


def key(user: int) -> str:
    """The API key of a user."""
    return f"{user:032}"


def users_file(users: Iterable[int]) -> str:
    """A users file with all of them in one realm."""
    entries: list[Json] = [
        {"id": user, "realm_id": 1, "email": email(user), "api_key": key(user), "full_name": f"User {user}"}
        for user in users
    ]
    lines = [
        "[[user]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in entry.items())
        for entry in entries
    ]
    return REALM + "\n".join(lines)


class EvenQueues(ShardQueues):
    """The queues of shards that share all users evenly, for a publisher that puts notices into them itself."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._queues = [f"notify_tornado_port_{port}" for port in ports]

    def queue_of(self, user_id: int) -> str:
        """The queue of the shard that serves a user."""
        return self._queues[user_id % len(self._queues)]

    def queues(self, realm_id: int | None) -> Iterable[str]:
        """All of them."""
        del realm_id
        return self._queues


class ShardService:
    """The service; a context manager that starts it and ends everything of it.

    Attributes:
        ports: of the shards, first of those that the supervisor runs.
        serving: the indices of those that the map in force gives users to.
        port: nginx's.
        map_path: the shard map in force; `write_map` makes another.
        doing: what happens just now, in a few words.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: Iterable[int],
        shards: int = 3,
        room: int = 0,
        wrong_shard: str = "proxy",
    ) -> None:
        """Takes where it lives, and how many shards the supervisor runs; ports beside theirs are kept for `room` more."""
        self.folder = folder
        self.ports = free_ports(shards + room)
        self.serving = list(range(shards))
        self.wrong_shard = wrong_shard
        self.doing = ""
        self.port = free_port()
        self.map_path = folder / "map.toml"
        self.settings = folder / "tidewire.toml"
        self.broker = Broker(_made(folder / "broker"))
        self._nginx_folder = _made(folder / "nginx")
        self._service: subprocess.Popen[bytes] | None = None
        self._nginx: subprocess.Popen[bytes] | None = None
        self._publishers = 1
        (folder / "users.toml").write_text(users_file(users))
        self.write_map(1, shards)
        self.settings.write_text(
            f"[server]\nport = {self.ports[0]}\nsecret = '{SECRET}'\n"
            f"[shards]\nmap_file = 'map.toml'\nwrong_shard = '{wrong_shard}'\n"
            f"[bus]\nurl = '{self.broker.url}'\n[log]\nformat = 'json'\nlevel = 'warning'\n"
        )

    def __enter__(self) -> Self:
        try:
            self.broker.start()
            self.start_shards()
            self.await_shards()
            self._configure_nginx()
            with (self.folder / "nginx.log").open("wb") as log:
                self._nginx = launched([*self._nginx_command(), "-g", "daemon off;"], self.folder, log)
            eventually(self._nginx_answers, what="nginx answers")
        except BaseException:
            self.destroy()
            raise
        return self

    def start_shards(self) -> None:
        """Starts them, under their supervisor."""
        options = ["--config", str(self.settings), "--shards", str(len(self.serving))]
        with (self.folder / "log").open("wb") as log:
            self._service = launched([*TIDEWIRE, "serve", *options], self.folder, log)

    def __exit__(self, *_raised: object) -> None:
        self.destroy()

    def destroy(self) -> None:
        """Ends everything, whatever it does."""
        for process in (self._nginx, self._service):
            if process is not None:
                end(process)
        self.broker.destroy()

    @property
    def log(self) -> str:
        """What the supervisor and the shards have logged."""
        return (self.folder / "log").read_text()

    def new_publishers(self, count: int) -> int:
        """The number of the first of so many publishers that there were not yet."""
        first, self._publishers = self._publishers, self._publishers + count
        return first

    # What may happen to it.

    def stop_broker(self) -> None:
        """RabbitMQ is stopped in order, and comes back."""
        self.broker.stop()
        self.broker.start()
        self.await_shards()

    def kill_broker(self) -> None:
        """RabbitMQ dies, and comes back."""
        self.broker.kill()
        self.broker.start()
        self.await_shards()

    def kill_shard(self, index: int) -> None:
        """A shard dies, and the supervisor starts it again."""
        pid = self._states()[self.ports[index]]["pid"]
        os.kill(pid, signal.SIGKILL)
        eventually(
            lambda: self._states()[self.ports[index]]["pid"] not in {pid, None},
            what="the shard is started again",
            within=BACK_WITHIN,
        )
        self.await_shards()

    def roll(self) -> None:
        """`tidewire restart`."""
        with self.begun("restart", "--config", str(self.settings), "--reload-rate", "0") as restarting:
            assert restarting.stdout is not None
            for number, _ in enumerate(self.serving, start=1):
                self.doing = f"shard {number}"
                restarting.stdout.readline()

    def reload_nginx(self, also: Path | None = None) -> None:
        """The proxy gets its configuration anew, from the map in force, and with the shards of one that comes next."""
        self._configure_nginx(*(() if also is None else ("--also", str(also))))
        assert self._nginx is not None
        before = self._nginx_workers()
        self._nginx.send_signal(signal.SIGHUP)
        eventually(lambda: self._nginx_workers() - before, what="nginx has new workers")

    def write_map(self, version: int, count: int, path: Path | None = None) -> Path:
        """Writes a map by which the first so many shards share all users."""
        path = path or self.map_path
        draft = path.with_suffix(".draft")
        draft.write_text(map_text(version, self.ports[:count], self.ports[:count]))
        draft.replace(path)
        return path

    def tidewire(self, *arguments: str) -> str:
        """Runs another command to its end, which must be a good one; returns what it printed."""
        with self.begun(*arguments) as command:
            out, problem = command.communicate()
        assert command.returncode == 0, out + problem
        return out

    @contextlib.contextmanager
    def begun(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Runs another command beside the block, at whose end it must come to a good one."""
        with subprocess.Popen(  # noqa: S603 - our own command
            [*TIDEWIRE, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=clean_environment(),
        ) as command:
            try:
                yield command
                if command.returncode is None:
                    _, problem = command.communicate()
                    assert command.returncode == 0, problem
            finally:
                command.kill()

    def await_shards(self) -> None:
        """Waits until all shards serve, and have the broker."""
        eventually(self._all_well, what="all shards are ready, with the bus", within=BACK_WITHIN)

    # Looking.

    def _states(self) -> dict[int, dict[str, Any]]:
        return {said["shard"]: said for said in command(self.folder / "state", do="status")}

    def _all_well(self) -> bool:
        assert self._service is not None
        assert self._service.poll() is None, self.log
        try:
            return all(state["ready"] for state in self._states().values()) and self.all_healthy()
        except SupervisorError:
            return False

    def all_healthy(self) -> bool:
        """Whether all shards that have users say that all is well."""
        return all(_health(self.ports[index]) == {"result": "success", "msg": ""} for index in self.serving)

    # nginx.

    def _nginx_command(self) -> list[str]:
        return ["nginx", "-e", "stderr", "-c", str(self._nginx_folder / "nginx.conf")]

    def _configure_nginx(self, *options: str) -> None:
        printed = self.tidewire(
            *("nginx", "--config", str(self.settings), "--listen", f"127.0.0.1:{self.port}"),
            *("--run-directory", str(self._nginx_folder), *options),
        )
        (self._nginx_folder / "nginx.conf").write_text(printed)

    def _nginx_answers(self) -> bool:
        assert self._nginx is not None
        assert self._nginx.poll() is None, (self.folder / "nginx.log").read_text()
        return status(self.port, "/api/v1/server_settings") == 200

    def _nginx_workers(self) -> set[int]:
        assert self._nginx is not None
        children = Path(f"/proc/{self._nginx.pid}/task/{self._nginx.pid}/children")
        return set(map(int, children.read_text().split()))


@contextlib.contextmanager
def log_on_failure(service: ShardService) -> Iterator[None]:
    """Shows the service's log with whatever fails in the block."""
    try:
        yield
    except BaseException as error:
        error.add_note(service.log)
        raise


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def launched(arguments: Sequence[str], folder: Path, log: Any) -> subprocess.Popen[bytes]:
    """A process that writes into a log."""
    return subprocess.Popen(  # noqa: S603 - the commands are made here
        arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=clean_environment()
    )


def status(port: int, path: str) -> int:
    """Of the answer to a GET; 0 when there is none."""
    try:
        with RawConnection(port) as connection:
            return connection.answer_to(request_bytes("GET", path)).status
    except (OSError, Closed):
        return 0


def _health(port: int) -> Json | None:
    try:
        with RawConnection(port) as connection:
            answer = connection.answer_to(request_bytes("GET", "/health/ready"))
    except (OSError, Closed):
        return None
    return answer.json
