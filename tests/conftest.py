"""Fixtures for every test."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.broker import NOTIFICATIONS, Broker
from support.fake_time import FakeTime
from support.http_stub import StubServer
from support.programs import require_programs

TESTS = Path(__file__).parent
UNIT = (TESTS / "unit", TESTS / "test_architecture.py")
"""What `make unit` runs: no service, no npm."""

# Of a broker that is away pika says at length, as an error, what our own log says in a line: between the lines of a
# failure it would only be in the way.
logging.getLogger("pika").addHandler(logging.NullHandler())
logging.getLogger("pika").propagate = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves all but the unit tier out of the measurement of coverage, which would slow them and add little."""
    for item in items:
        if not any(item.path.is_relative_to(path) for path in UNIT):
            item.add_marker("no_cover")


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
