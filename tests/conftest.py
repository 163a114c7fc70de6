"""Fixtures for every test."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from support.broker import NOTIFICATIONS, Broker
from support.fake_time import FakeTime
from support.http_stub import StubServer
from support.programs import require_programs

# How long an example takes says more of what else runs on the machine.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


@pytest.fixture
def stub() -> Iterator[StubServer]:
    """A real HTTP server that gives scripted answers."""
    with StubServer() as server:
        yield server


@pytest.fixture
def fake_time() -> FakeTime:
    """Time that passes only by sleeping, which takes none."""
    return FakeTime()


@pytest.fixture(scope="session")
def running_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """RabbitMQ, started once for all tests that need it."""
    require_programs("rabbitmq-server", "epmd")
    broker = Broker(tmp_path_factory.mktemp("broker"))
    try:
        broker.start()
        yield broker
    finally:
        broker.destroy()


@pytest.fixture
def broker(running_broker: Broker) -> Broker:
    """RabbitMQ, running, without notifications of other tests; queues for notices are for each test to name."""
    running_broker.delete(*NOTIFICATIONS)
    return running_broker
