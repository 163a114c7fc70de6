"""Server processes: each on a core of its own, ended when it has been measured."""

import contextlib
import os
import random
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

SERVER_CORE = 0
LOAD_CORE = 1
"""What makes the load must not take the server's time; on a machine with one core nothing is pinned."""

START_WITHIN = 120.0
"""Seconds until a server must accept connections: a busy machine, and a state of 50,000 queues."""

STOP_WITHIN = 30.0
"""Seconds until a server that was told to end is killed."""


def pinned(command: Sequence[str | Path], core: int) -> list[str]:
    """The command, on one core where there are several."""
    taskset = shutil.which("taskset")
    prefix = [taskset, "-c", str(core)] if taskset and (os.cpu_count() or 1) > 1 else []
    return [*prefix, *map(str, command)]


@contextlib.contextmanager
def serving(command: Sequence[str | Path], *, port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server that accepts connections on the port; its log is the file `log` in the folder.

    Raises:
        RuntimeError: it did not start.
    """
    log_path = folder / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own commands
            pinned(command, SERVER_CORE), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
        )
    try:
        _await(process, port, log_path)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    deadline = time.monotonic() + START_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{log_path.read_text(errors='replace')[-2000:]}")


def cpu_seconds(pid: int) -> float:
    """CPU time that all threads of a process have had, user and system."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def free_port() -> int:
    """A free port below the range that outgoing connections take theirs from."""
    for port in random.sample(range(15000, 32000), 100):
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")


def allow_many_files() -> int:
    """Lets this process and its children open as many files as they may; returns how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
