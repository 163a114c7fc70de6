"""What of uvicorn the server rests on, beyond its documentation: this fails when a new version changes shape."""

import asyncio
import importlib.metadata
import inspect
import tomllib
from pathlib import Path

import uvicorn
from packaging.requirements import Requirement
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from tidewire.ordinary import Ordinary

PROJECT = Path(__file__).parents[2] / "pyproject.toml"

OVERRIDDEN = {
    "data_received": ["self", "data"],
    "on_message_begin": ["self"],
    "on_url": ["self", "url"],
    "on_header": ["self", "name", "value"],
    "on_message_complete": ["self"],
    "on_response_complete": ["self"],
    "pause_writing": ["self"],
    "resume_writing": ["self"],
    "connection_lost": ["self", "exc"],
    "_start_asgi_task": ["self", "cycle", "app"],
}


async def nothing(_scope: object, _receive: object, _send: object) -> None:
    """An application that does nothing."""


def protocol() -> HttpToolsProtocol:
    config = uvicorn.Config(nothing, ws="none", lifespan="off", log_config=None)
    config.load()
    return HttpToolsProtocol(config=config, server_state=ServerState(), app_state={})


def test_the_version_is_within_the_range_that_was_looked_at() -> None:
    wanted = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    (uvicorns,) = [each for each in map(Requirement, wanted) if each.name == "uvicorn"]
    assert uvicorns.specifier.contains(importlib.metadata.version("uvicorn"))
    assert any(each.operator == "<" for each in uvicorns.specifier)


def test_the_methods_that_are_overridden_are_there_and_take_the_same() -> None:
    for name, parameters in OVERRIDDEN.items():
        assert list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters) == parameters, name
        assert name in Ordinary.__dict__, name


async def test_a_protocol_has_what_is_read_of_it() -> None:
    made = protocol()
    for name in ("parser", "flow", "connections", "pipeline", "headers", "cycle", "transport"):
        assert hasattr(made, name), name
    assert made.connections is made.server_state.connections
    assert callable(made._unset_keepalive_if_required)


def test_a_request_under_way_has_what_is_read_and_set_of_it() -> None:
    source = inspect.getsource(RequestResponseCycle.__init__)
    for name in ("disconnected", "message_event", "more_body", "response_complete", "response_started"):
        assert f"self.{name} = " in source, name
    assert "write_paused" in inspect.getsource(FlowControl.__init__)


def test_whatever_is_given_as_protocol_is_called_for_each_connection() -> None:
    def connect(**_arguments: object) -> asyncio.Protocol:
        raise NotImplementedError

    config = uvicorn.Config(nothing, http=connect, ws="none", lifespan="off", log_config=None)  # type: ignore[arg-type]  # as in `listening.py`
    config.load()
    assert config.http_protocol_class is connect


def test_default_headers_are_a_new_list_when_they_change() -> None:
    """The lane's answers begin with lines that are put together once for each list."""
    source = inspect.getsource(uvicorn.Server.on_tick)
    assert "self.server_state.default_headers = " in source
    assert ".append(" not in source


def test_the_keep_alive_timer_still_has_to_be_taken_care_of() -> None:
    """When this fails, `Ordinary.connection_lost` may have one line less."""
    source = inspect.getsource(HttpToolsProtocol.connection_lost)
    assert (
        "if exc is None:\n            self.transport.close()\n            self._unset_keepalive_if_required()"
        in source
    )
