"""`tidewire serve --shards`: several real shards as one service."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.demo_server import end
from support.raw_http import Closed, RawConnection, request_bytes
from support.server_process import SECRET, USER_IDS, clean_environment, credentials, users_file
from support.shard_group import free_ports, map_text
from support.waiting import eventually

pytestmark = pytest.mark.slow

NAMES = ("ada", "bob", "gil")
TIDEWIRE = [sys.executable, "-m", "tidewire"]


class Service:
    """Three shards under a supervisor, and their one log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = free_ports(3)
        (folder / "users.toml").write_text(users_file(*USER_IDS))
        self.settings = folder / "tidewire.toml"
        self.settings.write_text(
            f"[server]\nport = {self.ports[0]}\nsecret = '{SECRET}'\n[log]\nformat = 'json'\n"
        )
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(f"\0tidewire-test-{os.getpid()}-{self.ports[0]}")
        self.notified.settimeout(60)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Starts it, and does not wait."""
        environment = {
            **clean_environment(),
            "NOTIFY_SOCKET": f"@tidewire-test-{os.getpid()}-{self.ports[0]}",
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [*TIDEWIRE, "serve", "--config", str(self.settings), "--shards", "3", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=environment,
            )
        return self.process

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs another command to its end."""
        return subprocess.run(  # noqa: S603 - our own command
            [*TIDEWIRE, *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=clean_environment(),
        )

    @property
    def log(self) -> list[dict[str, object]]:
        """The entries so far."""
        lines = (self.folder / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def entries(self, event: str) -> list[dict[str, object]]:
        """Those of one kind."""
        return [entry for entry in self.log if entry["event"] == event]

    def ask(self, name: str, method: str, path: str, port: int | None = None) -> int:
        """The status of one request; 0 when nobody answers."""
        try:
            with RawConnection(port or self.ports[0]) as connection:
                return connection.answer_to(
                    request_bytes(method, path, headers=credentials(name), form={})
                ).status
        except (OSError, Closed):
            return 0

    def pid_of(self, port: int) -> int:
        """The shard's process, by the lock of its directory."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                index = self.ports.index(port)
                if b"shards.index=%d" % index in words and str(self.settings).encode() in words:
                    return int(entry.name)
        raise AssertionError(f"no process of {port}")

    def destroy(self) -> None:
        """Ends it whatever it does."""
        self.notified.close()
        if self.process is not None:
            end(self.process)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    made.destroy()


@pytest.fixture
def running_service(service: Service) -> Service:
    service.start()
    assert service.notified.recv(100) == b"READY=1"
    return service


def test_all_shards_run_as_one_service(running_service: Service) -> None:
    service = running_service
    assert len(service.entries("all shards ready")) == 1
    assert {entry["shard"] for entry in service.entries("listening")} == set(service.ports)
    for name in NAMES:
        assert service.ask(name, "POST", "/api/v1/register") == 200
    folders = sorted(path.name for path in (service.folder / "state").glob("shard-*"))
    assert folders == [f"shard-{port}" for port in service.ports]

    restarted = service.run("restart", "--config", str(service.settings))
    assert (restarted.returncode, restarted.stderr) == (0, "")
    assert [line.split()[1] for line in restarted.stdout.splitlines()[:3]] == list(map(str, service.ports))
    assert restarted.stdout.count("told 1 web clients to reload") == 3
    recovered = service.entries("recovered")
    assert {entry["shard"]: entry["queues"] for entry in recovered} == dict.fromkeys(service.ports, 1)
    assert not any(entry["crashed"] for entry in recovered)

    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(service.entries("shard map reloaded")) == 3, what="each shard got SIGHUP")
    service.process.terminate()
    assert service.process.wait(60) == 0
    assert service.notified.recv(100) == b"STOPPING=1"
    assert [service.ask("ada", "GET", "/health/live", port) for port in service.ports] == [0, 0, 0]


def test_shards_of_a_map_start_in_a_directory_that_is_not_there_yet(service: Service) -> None:
    (service.folder / "map.toml").write_text(map_text(1, service.ports, service.ports))
    service.start("--set", "shards.map_file=map.toml")
    assert service.notified.recv(100) == b"READY=1"


def test_a_shard_that_is_killed_comes_back_and_the_others_stay(running_service: Service) -> None:
    service = running_service
    victim = service.ports[1]
    os.kill(service.pid_of(victim), signal.SIGKILL)
    eventually(
        lambda: [entry["shard"] for entry in service.entries("listening")].count(victim) == 2,
        what="the shard is back",
    )
    (ended,) = service.entries("shard ended")
    assert (ended["shard"], ended["code"]) == (victim, -signal.SIGKILL)
    for port in (service.ports[0], service.ports[2]):
        assert [entry["shard"] for entry in service.entries("listening")].count(port) == 1


def test_a_restart_refuses_nobody_and_loads_the_next_process_before_it_stops_the_one_that_runs(
    running_service: Service,
) -> None:
    service = running_service
    statuses: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            statuses.append(service.ask("ada", "GET", "/health/live", service.ports[1]))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        restarted = service.run("restart", "--config", str(service.settings))
    finally:
        over.set()
        asking.join()
    assert restarted.returncode == 0, restarted.stderr
    assert set(statuses) == {200}


def test_the_next_process_serves_while_the_one_before_still_ends_its_connections_r9_15(
    running_service: Service,
) -> None:
    service = running_service
    # A request whose body never comes whole is busy for seconds: longer than the next process takes.
    unfinished = request_bytes("POST", "/api/v1/register", headers=credentials("ada"), form={"narrow": "[]"})[
        :-1
    ]
    with RawConnection(service.ports[0]) as connection:
        connection.send(unfinished)
        assert service.ask("ada", "GET", "/health/live") == 200
        restarted = service.run("restart", "--config", str(service.settings), "--reload-rate", "0")
        assert restarted.returncode == 0, restarted.stderr

    def told_since() -> list[str]:
        """What the port's processes said since the next one listens."""
        told = [str(entry["event"]) for entry in service.log if entry.get("shard") == service.ports[0]]
        return told[len(told) - told[::-1].index("listening") :]

    eventually(
        lambda: "stopped" in told_since(), what="the one before has stopped after the next one listened"
    )


def test_a_restart_with_a_users_file_that_is_wrong_leaves_the_shards_alone(running_service: Service) -> None:
    service = running_service
    pids = [service.pid_of(port) for port in service.ports]
    (service.folder / "users.toml").write_text("[[user]]\n")
    done = service.run("restart", "--config", str(service.settings))
    assert (done.returncode, "the one that runs goes on" in done.stderr) == (1, True)
    assert [service.pid_of(port) for port in service.ports] == pids


def test_a_restart_with_settings_that_can_t_be_used_leaves_the_shards_alone(running_service: Service) -> None:
    service = running_service
    pids = [service.pid_of(port) for port in service.ports]
    right = service.settings.read_text()
    service.settings.write_text(right + "[queues]\nrules = 'nowhere:RULES'\n")
    done = service.run("restart", "--config", str(service.settings))
    service.settings.write_text(right)
    assert done.returncode == 1
    assert "the one that runs goes on" in done.stderr
    assert [service.pid_of(port) for port in service.ports] == pids
    assert service.run("restart", "--config", str(service.settings)).returncode == 0


def test_a_port_that_somebody_else_has_ends_it_with_a_word(service: Service) -> None:
    with socket.create_server(("127.0.0.1", service.ports[1])):
        assert service.start().wait(60) == 1
    assert "Address already in use" in (service.folder / "log").read_text()


def test_shards_end_with_a_supervisor_that_is_killed(running_service: Service) -> None:
    service = running_service
    assert service.process is not None
    service.process.kill()
    service.process.wait(60)
    eventually(
        lambda: [service.ask("ada", "GET", "/health/live", port) for port in service.ports] == [0, 0, 0],
        what="the shards are gone",
    )


def test_a_second_supervisor_is_refused(running_service: Service) -> None:
    done = running_service.run("serve", "--config", str(running_service.settings), "--shards", "3")
    assert done.returncode == 1
    assert "another supervisor" in done.stderr


def test_settings_that_no_shard_can_start_with_end_it_with_code_2(service: Service) -> None:
    process = service.start("--set", "queues.rules=nowhere:RULES")
    assert process.wait(60) == 2
    assert "nowhere" in (service.folder / "log").read_text()


def test_more_shards_than_the_map_has_are_refused(service: Service) -> None:
    (service.folder / "map.toml").write_text(f"[[shard]]\nport = {service.ports[0]}\n")
    done = service.run(
        "serve", "--config", str(service.settings), "--shards", "2", "--set", "shards.map_file=map.toml"
    )
    assert done.returncode == 2
    assert "at most 1" in done.stderr


def test_a_restart_without_a_supervisor_fails(service: Service) -> None:
    (service.folder / "state").mkdir()
    done = service.run("restart", "--config", str(service.settings))
    assert (done.returncode, done.stdout) == (1, "")
    assert "no supervisor" in done.stderr
