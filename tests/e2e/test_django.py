"""A Django project beside a real server: its transactions, sessions and state, and what a crash costs (issue 9)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.raw_http import Answer, Closed, RawConnection, request_bytes
from support.server_process import ServerProcess, StartServer, clean_environment, free_port
from support.waiting import eventually

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]
WITHIN = 2.0
"""Seconds in which a logout has ended the session's polls."""


class Project:
    """The project's processes; all are gone after `destroy`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.environment = {
            **clean_environment(),
            "PYTHONPATH": f"{TESTS}:{os.environ.get('PYTHONPATH', '')}",
            "DJANGO_SETTINGS_MODULE": "support.django_project.settings",
            "TEST_DATABASE": str(folder / "project.sqlite3"),
        }
        self._log_path = folder / "project.log"
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *arguments: str) -> str:
        """A command of `manage.py` to its end."""
        done = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, "-m", "django", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command of `manage.py` that goes on."""
        with self._log_path.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own commands
                [sys.executable, "-m", "django", *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def serve(self) -> subprocess.Popen[bytes]:
        """Its pages, once they are there."""
        process = self.start("runserver", "--noreload", f"127.0.0.1:{self.port}")
        eventually(self._answers, what="the project answers")
        return process

    def ask(self, path: str, cookie: str = "", **form: Any) -> Answer:
        """One request to its pages."""
        with RawConnection(self.port) as connection:
            headers = {"Host": "127.0.0.1", "Cookie": cookie, "Connection": "close"}
            connection.send(request_bytes("POST", path, form=form, headers=headers))
            answer = connection.answer()
        assert answer.status == 200, self._log_path.read_text()
        return answer

    def log_in(self, name: str) -> tuple[int, str]:
        """The user's id and cookie."""
        answer = self.ask("/login", name=name)
        return int(answer.body), answer.headers["set-cookie"].partition(";")[0]

    def _answers(self) -> bool:
        try:
            return bool(self.ask("/logout"))
        except (OSError, Closed):
            return False

    def destroy(self) -> None:
        """Ends everything."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with a database and two users."""
    made = Project(tmp_path)
    made.manage("migrate", "--run-syncdb", "--verbosity", "0")
    users = (
        "from django.contrib.auth.models import User\nfor n in ('ada', 'bob'): User.objects.create_user(n)"
    )
    made.manage("shell", "--verbosity", "0", "-c", users)
    yield made
    made.destroy()


@pytest.fixture
def live(project: Project, start_server: StartServer) -> ServerProcess:
    """A server that asks the project, whose pages are served."""
    server = start_server(
        "auth.kind=http",
        f"auth.http_url={project.url}/live/whoami",
        "auth.http_cookies=sessionid",
        f"state.callback_url={project.url}/live/state",
    )
    project.environment["TEST_SERVER"] = server.url
    project.serve()
    return server


def session_headers(cookie: str) -> dict[str, str]:
    return {"Host": "chat.example", "Origin": "https://chat.example", "Cookie": f"other=1; {cookie}"}


def register(server: ServerProcess, cookie: str) -> Answer:
    answer = server.ask(
        "POST", "/json/register", form={"fetch_event_types": ["todos"]}, headers=session_headers(cookie)
    )
    assert answer.status == 200, answer
    return answer


def poll(server: ServerProcess, queue_id: str, cookie: str, last: int) -> RawConnection:
    connection = server.connect()
    query = {"queue_id": queue_id, "last_event_id": last}
    connection.send(request_bytes("GET", "/json/events", query=query, headers=session_headers(cookie)))
    return connection


def test_a_session_has_its_state_and_every_committed_event_and_ends_with_its_logout(
    project: Project, live: ServerProcess
) -> None:
    ada, cookie = project.log_in("ada")
    project.ask("/add", owner=ada, text="before")
    relay = project.start("tidewire_relay")
    registered = register(live, cookie)
    assert list(registered.json["todos"].values()) == ["before"]
    queue_id, last = registered.json["queue_id"], registered.json["last_event_id"]
    project.ask("/add", owner=ada, text="rolled back", then="roll back")
    project.ask("/add", owner=ada, text="committed")
    seen: list[str] = []
    while "committed" not in seen:
        events = poll(live, queue_id, cookie, last).answer().json["events"]
        last = events[-1]["id"]
        seen += [event["text"] for event in events if event["type"] == "todo"]
    # What was there before may be told again; what was rolled back never is.
    assert set(seen) <= {"before", "committed"}

    waiting = poll(live, queue_id, cookie, last)
    assert live.ask("GET", "/health/live").status == 200
    began = time.monotonic()
    project.ask("/logout", cookie)
    assert waiting.answer().json["events"] == []
    assert time.monotonic() - began < WITHIN
    assert poll(live, queue_id, cookie, last).answer().status == 401
    relay.send_signal(signal.SIGTERM)
    assert relay.wait(10) == 0


def test_a_crash_between_commit_and_publish_loses_nothing(project: Project, live: ServerProcess) -> None:
    bob, cookie = project.log_in("bob")
    queue_id = register(live, cookie).json["queue_id"]
    with pytest.raises((Closed, OSError)):
        project.ask("/add", owner=bob, text="the last words", then="die")
    # Nobody is there to publish it, and then somebody is.
    live.restart()
    project.manage("tidewire_relay", "--once")
    project.serve()
    seen: list[Any] = []
    last = -1
    while "the last words" not in [event.get("text") for event in seen]:
        seen += poll(live, queue_id, cookie, last).answer().json["events"]
        last = seen[-1]["id"]


def test_a_relay_waits_for_a_server_that_is_away(project: Project, live: ServerProcess) -> None:
    bob, cookie = project.log_in("bob")
    queue_id = register(live, cookie).json["queue_id"]
    assert live.stop() == 0
    relay = project.start("tidewire_relay")
    project.ask("/add", owner=bob, text="meanwhile")
    live.start()
    events: list[Any] = []
    last = -1
    while "todo" not in [event["type"] for event in events]:
        events = poll(live, queue_id, cookie, last).answer().json["events"]
        last = events[-1]["id"]
    assert events[-1]["text"] == "meanwhile"
    assert relay.poll() is None
