"""What of uvicorn the server rests on, beyond its documentation: this fails when a new version changes shape.

None of its protocols is used: it starts, keeps the date, and stops.
"""

import importlib.metadata
import inspect
import tomllib
from pathlib import Path

import uvicorn
from packaging.requirements import Requirement
from uvicorn.server import ServerState

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_version_is_within_the_range_that_was_looked_at() -> None:
    wanted = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    (uvicorns,) = [each for each in map(Requirement, wanted) if each.name == "uvicorn"]
    assert uvicorns.specifier.contains(importlib.metadata.version("uvicorn"))
    assert any(each.operator == "<" for each in uvicorns.specifier)


def test_default_headers_are_a_new_list_when_they_change() -> None:
    """The lane's answers begin with lines that are put together once for each list."""
    source = inspect.getsource(uvicorn.Server.on_tick)
    assert "self.server_state.default_headers = " in source
    assert ".append(" not in source


def test_a_stop_asks_connections_to_end_and_waits_for_them_and_for_tasks() -> None:
    state = ServerState()
    assert (state.connections, state.tasks) == (set(), set())
    assert "for connection in list(self.server_state.connections):\n            connection.shutdown()" in (
        inspect.getsource(uvicorn.Server.shutdown)
    )
    waiting = inspect.getsource(uvicorn.Server._wait_tasks_to_complete)
    assert "while self.server_state.connections and" in waiting
    assert "while self.server_state.tasks and" in waiting


def test_what_is_overridden_is_there_and_takes_the_same() -> None:
    for name, parameters in {
        "startup": ["self", "sockets"],
        "shutdown": ["self", "sockets"],
        "capture_signals": ["self"],
    }.items():
        assert list(inspect.signature(getattr(uvicorn.Server, name)).parameters) == parameters, name


def test_a_server_starts_without_sockets_of_its_own() -> None:
    """Accepting connections is not uvicorn's either."""
    assert "if sockets is not None:" in inspect.getsource(uvicorn.Server.startup)
