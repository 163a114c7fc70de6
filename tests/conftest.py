"""Fixtures for every test."""

from collections.abc import Iterator

import pytest

from support.fake_time import FakeTime
from support.http_stub import StubServer


@pytest.fixture
def stub() -> Iterator[StubServer]:
    """A real HTTP server that gives scripted answers."""
    with StubServer() as server:
        yield server


@pytest.fixture
def fake_time() -> FakeTime:
    """Time that passes only by sleeping, which takes none."""
    return FakeTime()
