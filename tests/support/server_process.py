"""A real `tidewire serve`: a process of its own, with its state, users file, port and log."""

import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from support.raw_http import Answer, Closed, RawConnection, basic, request_bytes
from support.stopwatch import Stopwatch
from support.waiting import PATIENCE, eventually

SECRET = "test-secret-that-must-not-be-logged"
KEYS = {"ada": "a" * 32, "bob": "b" * 32, "gil": "g" * 32, "botty": "t" * 32}
USER_IDS = {"ada": 1, "bob": 2, "gil": 3, "botty": 4}
ROLES = {"ada": "owner", "bob": "member", "gil": "guest", "botty": "bot"}

STOP_WITHIN = 5.0
"""Seconds that a stop may take: a second for the polls, three for what is still busy, and some for the rest."""


def email(name: str) -> str:
    """The address of one of the users."""
    return f"{name}@test.example"


def user_entry(name: str, **changes: Any) -> str:
    """A user as it stands in the users file."""
    entry: dict[str, Any] = {
        "id": USER_IDS.get(name, 99),
        "realm_id": 1,
        "email": email(name),
        "api_key": KEYS.get(name, "n" * 32),
        "full_name": name.title(),
        "role": ROLES.get(name, "member"),
        **changes,
    }
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
    return f"[[user]]\n{lines}\n"


REALM = '[[realm]]\nid = 1\nhost = "test.example"\nname = "Test"\n\n'


def users_file(*names: str) -> str:
    """A users file with those users."""
    return REALM + "".join(user_entry(name) for name in names)


class ServerProcess:
    """The process; `start` waits until it can serve, `stop` until it is gone."""

    def __init__(self, directory: Path, *settings: str) -> None:
        self.directory = directory
        self.users_path = directory / "users.toml"
        self.users_path.write_text(users_file(*USER_IDS))
        self.state = directory / "state"
        self.port = free_port()
        self._log_path = directory / "log"
        self._settings: Sequence[str] = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._connections: list[RawConnection] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What it has logged since the first start."""
        return self._log_path.read_text()

    def start(self) -> None:
        """Starts it and waits until it is ready."""
        self.launch()
        eventually(self._is_ready, what="the server is ready")

    def set(self, name: str, value: object) -> None:
        """Another value of a setting, from the next start on."""
        self._settings = [*self._settings, f"{name}={value}"]

    def launch(self, *prefix: str) -> None:
        """Starts it, by a command that runs what follows it if there is a prefix, and does not wait."""
        overrides = (
            f"auth.users_file={self.users_path}",
            f"server.secret={SECRET}",
            "log.level=debug",
            *self._settings,
        )
        command = [*prefix, sys.executable, "-m", "tidewire", "serve", "--port", str(self.port)]
        command += ["--state-dir", str(self.state)]
        command += [part for override in overrides for part in ("--set", override)]
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the command is made here
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=clean_environment(),
            )

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def resident(self, figure: str = "VmRSS") -> int:
        """Bytes of memory that it takes, or with `VmHWM` the most that it ever took."""
        assert self._process is not None
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(f"{figure}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(figure)

    def limit_files(self, size: int | None) -> None:
        """Lets no file of the server grow beyond `size` bytes, which is what a full disk is like; None lifts it."""
        assert self._process is not None
        limit = resource.RLIM_INFINITY if size is None else size
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    def wait(self, within: float = PATIENCE) -> int:
        """Waits for its end and returns the exit code."""
        assert self._process is not None
        return self._process.wait(within)

    def stop(self) -> int:
        """Stops it in order and returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def restart(self, *, keep_state: bool = True) -> None:
        """Stops it and starts it again on the same port, with its state or without."""
        assert self.stop() == 0, self.log
        if not keep_state:
            self.throw_state_away()
        self.start()

    def throw_state_away(self) -> None:
        """Removes snapshots and journal, and nothing else."""
        for pattern in ("snapshot-*", "segment-*", "version"):
            for path in self.state.glob(pattern):
                path.unlink()

    def seconds_to_end(self, watch: Stopwatch) -> float:
        """Waits for its end, which must be a good one, and returns what a stopwatch that counts it shows then."""
        seconds = watch.until(lambda: not self.is_running(), what="the server has ended")
        assert self.wait() == 0, self.log
        return seconds

    def destroy(self) -> None:
        """Ends it whatever it does, and the connections to it."""
        for connection in self._connections:
            connection.close()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    # Requests.

    def connect(self) -> RawConnection:
        """A connection to it; it is closed with the server, if not before."""
        connection = RawConnection(self.port)
        self._connections.append(connection)
        return connection

    def ask(self, method: str, path: str, **request: Any) -> Answer:
        """One request on a connection of its own; the keywords are those of `request_bytes`."""
        with RawConnection(self.port) as connection:
            connection.send(request_bytes(method, path, **request))
            return connection.answer(to_head=method == "HEAD")

    def ask_as(self, name: str, method: str, path: str, **request: Any) -> Answer:
        """The same with a user's credentials."""
        headers = {**request.pop("headers", {}), **credentials(name)}
        return self.ask(method, path, headers=headers, **request)

    def register(self, name: str, **parameters: Any) -> str:
        """Registers a queue and returns its id."""
        answer = self.ask_as(name, "POST", "/api/v1/register", form=parameters)
        assert answer.status == 200, answer
        queue_id = answer.json["queue_id"]
        assert isinstance(queue_id, str)
        return queue_id

    def events(self, name: str, queue_id: str, last_event_id: int = -1) -> list[dict[str, Any]]:
        """What a queue holds, without waiting."""
        query = {"queue_id": queue_id, "last_event_id": last_event_id, "dont_block": True}
        answer = self.ask_as(name, "GET", "/api/v1/events", query=query)
        assert answer.status == 200, answer
        events = answer.json["events"]
        assert isinstance(events, list)
        return events

    def park(self, name: str, queue_id: str, last_event_id: int = -1) -> RawConnection:
        """Sends a poll that waits, and returns its connection once the server has it parked."""
        connection = self.connect()
        connection.send(poll_bytes(name, queue_id, last_event_id))
        # One loop, one order: what was sent before is handled before a later connection's request.
        assert self.ask("GET", "/health/live").status == 200
        return connection

    def publish(self, *notices: Mapping[str, Any]) -> Answer:
        """Publishes notices."""
        return self.ask("POST", "/api/internal/notices", headers=BEARER, body=json.dumps(notices).encode())

    def publish_event(self, *names: str, **event: Any) -> None:
        """Publishes one event and sees it confirmed."""
        answer = self.publish({"event": event, "users": [USER_IDS[name] for name in names]})
        assert answer.status == 200, answer

    def _is_ready(self) -> bool:
        assert self.is_running(), self.log
        try:
            return self.ask("GET", "/health/ready").status == 200
        except (OSError, Closed):
            return False


StartServer: TypeAlias = Callable[..., ServerProcess]
"""Starts a server with `section.key=value` settings."""

BEARER = {"Authorization": f"Bearer {SECRET}"}


def credentials(name: str) -> dict[str, str]:
    """The `Authorization` header of one of the users."""
    return {"Authorization": basic(email(name), KEYS[name])}


def poll_bytes(name: str, queue_id: str, last_event_id: int = -1) -> bytes:
    """A poll that waits."""
    query = {"queue_id": queue_id, "last_event_id": last_event_id}
    return request_bytes("GET", "/api/v1/events", query=query, headers=credentials(name))


def clean_environment() -> dict[str, str]:
    """The environment without the tester's own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TIDEWIRE_")}


def free_port() -> int:
    """A free port below the range that outgoing connections take theirs from."""
    for port in random.sample(range(15000, 32000), 100):
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")
