"""The pytest plugin: a server in the process of the tests, as a fixture.

pytest loads this at every start, so what the server needs is loaded when a test asks for it.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

SERVER = "tidewire.testing.server"


@pytest.fixture
def make_tidewire_server() -> Iterator[Callable[..., Any]]:
    """Makes servers that stop at the end of the test; takes what `tidewire.testing.server.TidewireServer` does."""
    with contextlib.ExitStack() as servers:

        def make(**arguments: Any) -> Any:
            return servers.enter_context(importlib.import_module(SERVER).TidewireServer(**arguments))

        yield make


@pytest.fixture
def tidewire_server(make_tidewire_server: Callable[..., Any]) -> Any:
    """A `tidewire.testing.server.TidewireServer` with Ada, Bob, Gil and Botty."""
    return make_tidewire_server()
