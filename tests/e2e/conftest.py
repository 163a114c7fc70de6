"""Fixtures of the tests over real sockets and processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.collector import Collector
from support.server_process import ServerProcess, StartServer


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers with `section.key=value` settings; all are gone after the test."""
    started: list[ServerProcess] = []

    def start(*settings: str) -> ServerProcess:
        directory = tmp_path / f"server-{len(started)}"
        directory.mkdir()
        server = ServerProcess(directory, *settings)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.destroy()


@pytest.fixture
def server(start_server: StartServer) -> ServerProcess:
    """A server of the test's own."""
    return start_server()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for a module's tests, which leave it as they found it; at its end the log must be clean."""
    server = ServerProcess(tmp_path_factory.mktemp("shared"))
    server.start()
    yield server
    is_running = server.is_running()
    code = server.stop() if is_running else None
    server.destroy()
    assert is_running
    assert code == 0
    assert "Traceback" not in server.log, server.log


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector of spans."""
    with Collector() as collector:
        yield collector
