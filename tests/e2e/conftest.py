"""Fixtures of the tests over real sockets and processes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.collector import Collector
from support.django_process import Project, made_database
from support.server_process import ServerProcess, StartServer


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


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a Django project with two users."""
    return made_database(tmp_path_factory.mktemp("database"))


@pytest.fixture
def project(tmp_path: Path, database: Path) -> Iterator[Project]:
    """A Django project with two users; all its processes are gone after the test."""
    made = Project(tmp_path)
    shutil.copy(database, made.database)
    yield made
    made.destroy()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector of spans."""
    with Collector() as collector:
        yield collector
