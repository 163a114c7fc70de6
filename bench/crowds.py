"""A crowd of waiting clients: what others notice of a fan-out to 15,000, and how long a stop takes with 10,000."""

import contextlib
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from building import built
from candidates import OPTIONS, notice
from columns import Figures, alternate_runs, print_columns, rounds_of_servers
from load import LoadFailed
from processes import LOAD_CORE, free_port, pinned, serving
from talking import Talk, as_user, poll_path
from users import serve_command, write_users

FAIR, STOP = 15_000, 10_000
"""Clients that wait."""
WATCHED = 10.0
"""Seconds, with a fan-out in every second one."""
CALM = 3.0
"""Seconds until all wait again after a fan-out."""


def fairness(*, rounds: int) -> None:
    """An unrelated request beside the fan-out, on the lane and on the ordinary routes."""
    found = alternate_runs({f"{FAIR:,} waiting clients": _fairness}, rounds=rounds_of_servers(rounds))
    print_columns("Requests of others while a fan-out is flushed", found)


def stopping(*, rounds: int) -> None:
    """SIGTERM to the end of the process."""
    found = alternate_runs({f"{STOP:,} waiting clients": _stop}, rounds=rounds_of_servers(rounds))
    print_columns("A stop", found)


@contextlib.contextmanager
def _crowd(folder: Path, clients: int, every: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server that has just begun to tell all those clients something, and does so again `every` so many seconds.

    Gives its process and its port.
    """
    port = free_port()
    write_users(folder, clients + 1)
    (folder / "body").write_text(notice(range(1, clients + 1)))
    with ExitStack() as stack:
        server = stack.enter_context(serving(serve_command(port), port=port, folder=folder))
        watcher = stack.enter_context(Talk(port))
        queue_id = watcher.register(1)
        command: list[str | Path] = [built("fanout"), "--port", str(port), "-n", str(clients), "-q", *OPTIONS]
        command += ["--rate", str(1 / every), "--warmup", "600", "--pub-body", f"@{folder / 'body'}"]
        generator = subprocess.Popen(pinned(command, LOAD_CORE), stderr=subprocess.DEVNULL)  # noqa: S603 - our own
        stack.callback(generator.wait)
        stack.callback(generator.kill)
        _await_event(watcher, queue_id, generator)
        yield server, port


def _await_event(watcher: Talk, queue_id: str, generator: subprocess.Popen[bytes]) -> None:
    """The first fan-out comes when all clients wait; a heartbeat is the time to see whether it can come at all."""
    acknowledged = -1
    while generator.poll() is None:
        answer = watcher.ask("GET", poll_path(queue_id, acknowledged, block=True), as_user(1))
        for event in answer["events"]:
            acknowledged = event["id"]
            if event["type"] == "benchmark":
                return
    raise LoadFailed("the clients could not all be had; are enough open files allowed?")


def _fairness(folder: Path) -> Figures:
    stranger = FAIR + 1
    with _crowd(folder, FAIR, every=2) as (_, port), Talk(port) as other:
        poll = poll_path(other.register(stranger), -1, block=False)
        polled, looked = [], []
        until = time.monotonic() + WATCHED
        while time.monotonic() < until:
            polled.append(_taken(lambda: other.ask("GET", poll, as_user(stranger))))
            looked.append(_taken(lambda: other.ask("GET", "/health/ready", {})))
    return {
        "poll: longest ms": max(polled),
        "poll: p99 ms": statistics.quantiles(polled, n=100)[98],
        "health: longest ms": max(looked),
    }


def _taken(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _stop(folder: Path) -> Figures:
    with _crowd(folder, STOP, every=1000) as (server, _):
        time.sleep(CALM)
        began = time.perf_counter()
        server.send_signal(signal.SIGTERM)
        code = server.wait(60)
        taken = time.perf_counter() - began
    assert code == 0
    return {"seconds": taken}
