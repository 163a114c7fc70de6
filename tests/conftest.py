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
from support.server_process import ServerProcess, StartServer

TESTS = Path(__file__).parent
UNIT = (TESTS / "unit", TESTS / "test_architecture.py")
"""What `make unit` runs: no service, no npm."""

LONGEST = (
    "e2e/test_shards_oracle.py",
    "e2e/test_resharding.py",
    "docs/test_examples.py",
    "e2e/test_benchmarks.py",
    "e2e/test_runtidewire.py",
    "browser/test_console.py",
    "e2e/test_supervisor.py",
    "e2e/test_client_faults.py",
    "examples/test_django_chat.py",
    "e2e/test_kills.py",
    "e2e/test_crowds.py",
    "hostile/test_memory.py",
    "e2e/test_rabbitmq.py",
    "contract/test_bus_contract.py",
    "hostile/test_smuggling.py",
    "properties/test_shard_machine.py",
)
"""Modules that take from half a minute to some minutes, of which each stays with one of the workers: begun first, so that
what comes last is short, and the workers end together."""

# Of a broker that is away pika says at length, as an error, what our own log says in a line: between the lines of a
# failure it would only be in the way.
logging.getLogger("pika").addHandler(logging.NullHandler())
logging.getLogger("pika").propagate = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts what takes longest first, and measures the coverage of the unit tier alone: of others it would tell little."""
    begun = {TESTS / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: begun.get(item.path, len(LONGEST)))
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
