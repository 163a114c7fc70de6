"""The Django chat example as processes: its pages, the server inside Django, and nginx in front of both."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from support.demo_server import free_port
from support.server_process import clean_environment
from support.waiting import eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "django_chat"
SOURCE = EXAMPLE.parents[1] / "src"
STOP_WITHIN = 10.0


def is_there(url: str) -> bool:
    """Whether somebody answers, whatever it is."""
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own address
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


class Chat:
    """The processes; all are gone after `destroy`."""

    def __init__(self, folder: Path, database: Path | None = None) -> None:
        self.folder = folder
        self.pages_port, self.server_port, self.front_port = (free_port() for _ in range(3))
        self.environment = {
            **clean_environment(),
            "PYTHONPATH": str(SOURCE),
            "DJANGO_SETTINGS_MODULE": "project.settings",  # other tests set it for the whole process
            "CHAT_DATABASE": str(folder / "chat.sqlite3"),
            "CHAT_TIDEWIRE": f"http://127.0.0.1:{self.server_port}",
        }
        if database is not None:
            shutil.copy(database, folder / "chat.sqlite3")
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """Where browsers go."""
        return f"http://127.0.0.1:{self.front_port}"

    @property
    def log(self) -> str:
        """What all of them have written."""
        return (self.folder / "chat.log").read_text(errors="replace")

    def manage(self, *arguments: str) -> str:
        """A command of `manage.py` to its end."""
        done = subprocess.run(  # noqa: S603 - the example's own commands
            [sys.executable, "manage.py", *arguments],
            cwd=EXAMPLE,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def serve_pages(self) -> subprocess.Popen[bytes]:
        """Django, once it answers."""
        arguments = ("runserver", "--noreload", "--skip-checks", f"127.0.0.1:{self.pages_port}")
        process = self._start([sys.executable, "manage.py", *arguments])
        self._await(f"http://127.0.0.1:{self.pages_port}/accounts/login/", process)
        return process

    def serve_events(self, *options: str) -> subprocess.Popen[bytes]:
        """The server inside Django, once it answers."""
        state = f"storage.directory={self.folder / 'state'}"
        process = self._start(
            [sys.executable, "manage.py", "runtidewire", "--relay", "--set", state, *options]
        )
        self._await(f"http://127.0.0.1:{self.server_port}/health/ready", process)
        return process

    def serve_front(self) -> subprocess.Popen[bytes]:
        """Nginx with the example's own configuration, on other ports."""
        text = (EXAMPLE / "nginx.conf").read_text()
        for port, own in (("9800", self.server_port), ("8000", self.pages_port), ("8080", self.front_port)):
            assert text.count(f"127.0.0.1:{port}") == 1
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{own}")
        (self.folder / "nginx.conf").write_text(text)
        environment = {**self.environment, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        nginx = shutil.which("nginx", path=environment["PATH"]) or "nginx"
        command = [nginx, "-e", "stderr", "-p", str(self.folder), "-c", "nginx.conf", "-g", "daemon off;"]
        process = self._start(command)
        self._await(f"{self.url}/accounts/login/", process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Ends a process in order."""
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_WITHIN)

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "chat.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - the example's own commands
                command, cwd=EXAMPLE, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._processes.append(process)
        return process

    def _await(self, url: str, process: subprocess.Popen[bytes]) -> None:
        def look() -> bool:
            assert process.poll() is None, self.log
            return is_there(url)

        eventually(look, what=f"{url} answers")

    def destroy(self) -> None:
        """Ends everything."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def made_database(folder: Path) -> Path:
    """The example's database with its people and channels, to be copied for each test."""
    chat = Chat(folder)
    chat.manage("migrate", "--verbosity", "0")
    chat.manage("fill")
    return folder / "chat.sqlite3"
