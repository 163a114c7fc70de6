"""A Django project's processes, and what its users and browsers ask of it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.raw_http import Answer, Closed, RawConnection, request_bytes
from support.server_process import clean_environment, free_port
from support.waiting import eventually

TESTS = Path(__file__).parents[1]


class Project:
    """The project's processes; all are gone after `destroy`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.database = folder / "project.sqlite3"
        self.environment = {
            **clean_environment(),
            "PYTHONPATH": f"{TESTS}:{os.environ.get('PYTHONPATH', '')}",
            "DJANGO_SETTINGS_MODULE": "support.django_project.settings",
            "TEST_DATABASE": str(self.database),
            "TEST_REQUESTS": str(folder / "requests"),
        }
        self.folder = folder
        self._log_path = folder / "project.log"
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What its processes have written."""
        return self._log_path.read_text()

    def requests(self) -> list[str]:
        """The paths of all requests that went through its middleware."""
        path = self.folder / "requests"
        return path.read_text().split() if path.exists() else []

    def manage(self, *arguments: str) -> str:
        """A command of `manage.py` to its end."""
        done = subprocess.run(  # noqa: S603 - our own commands
            [sys.executable, "-m", "django", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
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
        assert answer.status == 200, self.log
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

    @property
    def pids(self) -> list[int]:
        """Of those that run."""
        return [process.pid for process in self._processes if process.poll() is None]

    def destroy(self) -> None:
        """Ends everything."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def made_database(folder: Path) -> Path:
    """A database with the tables and two users, to be copied for each test."""
    project = Project(folder)
    project.manage("migrate", "--run-syncdb", "--verbosity", "0")
    users = (
        "from django.contrib.auth.models import User\nfor n in ('ada', 'bob'): User.objects.create_user(n)"
    )
    project.manage("shell", "--verbosity", "0", "-c", users)
    return project.database


def session_headers(cookie: str) -> dict[str, str]:
    """Of a page's request, which shows its session."""
    return {"Host": "127.0.0.1", "Origin": "http://127.0.0.1", "Cookie": f"other=1; {cookie}"}
