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
from support.shard_group import free_ports
from support.waiting import eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "django_chat"
SOURCE = EXAMPLE.parents[1] / "src"
TIDEWIRE = [sys.executable, "-m", "tidewire"]
STOP_WITHIN = 60.0


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
        self.shard_ports = [self.server_port]
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
            timeout=120,
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

    def serve_shards(self) -> subprocess.Popen[bytes]:
        """Two shards beside Django, which ask it over HTTP, and the relay."""
        self.shard_ports = free_ports(2)
        self.server_port = self.shard_ports[0]
        self.environment["CHAT_TIDEWIRE"] = f"http://127.0.0.1:{self.server_port}"
        asked = f"http://127.0.0.1:{self.pages_port}/live"
        (self.folder / "tidewire.toml").write_text(
            f"[server]\nport = {self.server_port}\nsecret = 'known-to-everybody'\n"
            f"[auth]\nkind = 'http'\nhttp_url = '{asked}/whoami'\nhttp_cookies = ['sessionid']\n"
            f"[state]\ncallback_url = '{asked}/state'\n"
        )
        process = self._start(
            [*TIDEWIRE, "serve", "--config", str(self.folder / "tidewire.toml"), "--shards", "2"]
        )
        for port in self.shard_ports:
            self._await(f"http://127.0.0.1:{port}/health/ready", process)
        self._start([sys.executable, "manage.py", "tidewire_relay"])
        return process

    def restart_shards(self) -> subprocess.Popen[bytes]:
        """Begins to restart one after the other."""
        settings = str(self.folder / "tidewire.toml")
        return self._start([*TIDEWIRE, "restart", "--config", settings, "--reload-rate", "0"])

    def serve_front(self) -> subprocess.Popen[bytes]:
        """Nginx with the example's own configuration, on other ports."""
        text = (EXAMPLE / "nginx.conf").read_text()
        for usual, own in (("9800", self.server_port), ("8000", self.pages_port), ("8080", self.front_port)):
            assert text.count(f"127.0.0.1:{usual}") == 1
            text = text.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{own}")
        for port in self.shard_ports[1:]:
            first = f"server 127.0.0.1:{self.server_port} max_fails=0;"
            text = text.replace(first, f"{first} server 127.0.0.1:{port} max_fails=0;")
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

    @property
    def pids(self) -> list[int]:
        """Of those that run."""
        return [process.pid for process in self._processes if process.poll() is None]

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
