"""What a person starts: the demo, and servers with other logs and addresses."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.raw_http import Closed, RawConnection, basic, request_bytes
from support.server_process import StartServer, clean_environment, free_port, users_file
from support.waiting import eventually
from tidewire.client import Client

pytestmark = pytest.mark.slow


def is_ready(port: int) -> bool:
    try:
        with RawConnection(port) as connection:
            connection.send(request_bytes("GET", "/health/ready"))
            return connection.answer().status == 200
    except (OSError, Closed):
        return False


def operate(
    command: str, port: int, secret: str, *arguments: str, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """What an operator's command prints."""
    reached = ["--url", f"http://127.0.0.1:{port}", "--secret", secret]
    return subprocess.run(  # noqa: S603 - the command is made here
        [sys.executable, "-m", "tidewire", command, *reached, *arguments],
        input=text,
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
        check=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_works_as_its_own_text_says_and_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    out, err = tmp_path / "out", tmp_path / "err"
    environment = {**clean_environment(), "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with out.open("wb") as stdout, err.open("wb") as stderr:
        demo = subprocess.Popen(  # noqa: S603 - the command is made here
            [sys.executable, "-m", "tidewire", "demo", "--quiet", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=tmp_path,
            env=environment,
        )
    try:
        eventually(lambda: is_ready(port), what="the demo is ready")
        guide = eventually(out.read_text, what="the demo says how to use it")
        assert f"http://127.0.0.1:{port}" in guide
        # The lines to paste, taken from the text itself.
        notice, secret = re.search(r"echo '(.*)' \|.* --secret (\S+) -", guide).groups()  # type: ignore[union-attr]
        with Client(f"http://127.0.0.1:{port}", email="ada@demo.example", api_key="a" * 32) as client:
            events = client.events()
            done = operate("publish", port, secret, "-", text=notice)
            assert done.stdout == "confirmed 1 of 1 notices\n"
            assert next(events)["type"] == json.loads(notice)["event"]["type"]
        assert operate("loglevel", port, secret, "warning").stdout == "warning (before: info)\n"
        demo.send_signal(number)
        assert demo.wait(60) == 0
    finally:
        if demo.poll() is None:
            demo.kill()
        demo.wait()
    assert "Traceback" not in err.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["err", "out"]


def test_a_log_in_json_is_json_in_every_line(start_server: StartServer) -> None:
    server = start_server("log.format=json")
    queue_id = server.register("bob")
    query = {"queue_id": queue_id, "last_event_id": -1}
    server.ask_as("ada", "GET", "/api/v1/events", query=query)
    with server.connect() as connection:
        connection.send(b"\x00\r\n\r\n")
        assert connection.answer().status == 400
    server.users_path.write_text("no TOML")
    eventually(lambda: "users file" in server.log, what="a complaint about the users file")
    assert server.stop() == 0
    entries = [json.loads(line) for line in server.log.splitlines()]
    assert all({"event", "level", "timestamp"} <= entry.keys() for entry in entries)
    assert {"warning", "error", "info"} <= {entry["level"] for entry in entries}


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback address."""
    try:
        with socket.socket(socket.AF_INET6) as candidate:
            candidate.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_a_server_may_listen_on_ipv6(tmp_path: Path) -> None:
    (tmp_path / "users.toml").write_text(users_file("ada"))
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - the command is made here
            [
                sys.executable,
                "-m",
                "tidewire",
                "serve",
                "--host",
                "::1",
                "--port",
                str(port),
                "--set",
                "server.secret=s",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=tmp_path,
            env=clean_environment(),
        )

    def status(request: bytes) -> int:
        try:
            with socket.create_connection(("::1", port), timeout=60) as connection:
                connection.sendall(request)
                return int(connection.recv(65536).split(b" ")[1])
        except (ConnectionRefusedError, IndexError):
            return 0

    try:
        eventually(lambda: status(request_bytes("GET", "/health/ready")) == 200, what="the server is ready")
        key = {"Authorization": basic("ada@test.example", "a" * 32)}
        assert status(request_bytes("POST", "/api/v1/register", headers=key)) == 200
        body = b'{"event":{"type":"t"},"users":[1]}'
        secret = {"Authorization": "Bearer s"}
        assert status(request_bytes("POST", "/api/internal/notices", headers=secret, body=body)) == 200
        server.terminate()
        assert server.wait(60) == 0
    finally:
        if server.poll() is None:
            server.kill()
        server.wait()


def test_a_secret_is_made_kept_for_its_owner_and_used_again(start_server: StartServer) -> None:
    """R6.66: with none given."""
    server = start_server("server.secret=")
    file = server.state / "secret"
    secret = file.read_text().strip()
    assert file.stat().st_mode & 0o077 == 0
    body = b'{"event":{"type":"t"},"users":[1]}'
    for _ in range(2):
        bearer = {"Authorization": f"Bearer {secret}"}
        assert server.ask("POST", "/api/internal/notices", headers=bearer, body=body).status == 200
        bearer = {"Authorization": "Bearer "}
        assert server.ask("POST", "/api/internal/notices", headers=bearer, body=body).status == 400
        server.restart()
    assert secret not in server.log


def contents(state: Path) -> dict[str, bytes]:
    """The files of a state directory."""
    return {file.name: file.read_bytes() for file in state.iterdir() if file.is_file()}


def test_state_that_cant_be_read_is_left_alone(start_server: StartServer) -> None:
    """One line, code 1, and every file is as it was."""
    server = start_server()
    server.register("ada")
    assert server.stop() == 0
    version = server.state / "version"
    for content in (b"tidewire state 2\n", b"tidewire state 99\n"):
        version.write_bytes(content)
        before = contents(server.state)
        done = subprocess.run(  # noqa: S603 - the command is made here
            [
                sys.executable,
                "-m",
                "tidewire",
                "serve",
                "--port",
                str(server.port),
                "--state-dir",
                str(server.state),
                "--set",
                f"auth.users_file={server.users_path}",
            ],
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=60,
            check=False,
        )
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert str(server.state) in done.stderr
        assert contents(server.state) == before
