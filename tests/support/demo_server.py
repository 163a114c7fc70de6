"""Runs `tidewire demo` as a process of its own, on a free port, with its own state directory."""

import contextlib
import http.client
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# Below the range from which Linux takes the ports of outgoing connections.
PORTS = range(20_000, 32_000)
START_DEADLINE = 60.0


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A demo that answers."""

    port: int
    output: Path

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at the moment."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("found no free port")


def clean_environment() -> dict[str, str]:
    """The environment without what would change a command's settings or where Python looks."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TIDEWIRE_", "DJANGO_", "PYTHON", "VIRTUAL_ENV", "COV_"))
    }


@contextlib.contextmanager
def running(
    command: list[str], *, output: Path, cwd: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a process for the time of the block; what it prints goes into `output`."""
    with (
        output.open("wb") as stream,
        subprocess.Popen(  # noqa: S603 - commands of this repository's own pages and tests
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=environment if environment is not None else clean_environment(),
        ) as process,
    ):
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process by its id: politely, then not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


@contextlib.contextmanager
def demo_server(tidewire: list[str], folder: Path, *options: str) -> Iterator[DemoServer]:
    """Runs a demo for the time of the block.

    Args:
        tidewire: the command, as a list of arguments.
        folder: an empty folder to run in; the state goes below it.
        options: further options of `tidewire demo`.
    """
    port = free_port()
    output = folder / "demo.log"
    command = [*tidewire, "demo", "--port", str(port), "--state-dir", str(folder / "state"), *options]
    with running(command, output=output, cwd=folder) as process:
        _await_ready(process, port, output)
        yield DemoServer(port, output)


def _await_ready(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline and process.poll() is None:
        if health(port) == http.client.OK:
            return
        time.sleep(0.05)
    raise RuntimeError(f"the demo did not start:\n{output.read_text()}")


def health(port: int) -> int | None:
    """The status that `/health/ready` answers; None when nobody does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        with connection.getresponse() as response:
            response.read()
            return response.status
    except OSError:
        return None
    finally:
        connection.close()
