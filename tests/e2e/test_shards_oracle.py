"""A service of three shards, whatever happens to it: nothing lost, repeated or turned, and nobody registers again."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.programs import require_programs
from support.shard_oracle import Course, run, users_of
from support.shard_service import ShardService

pytestmark = pytest.mark.slow

SEED = random.SystemRandom().randrange(10**6)
"""Another one each time; a failure prints it."""

CLIENTS = 300


def nothing(service: ShardService) -> None:
    """An ordinary day."""


def broker_is_stopped(service: ShardService) -> None:
    service.stop_broker()


def broker_is_killed(service: ShardService) -> None:
    service.kill_broker()


def each_shard_is_killed(service: ShardService) -> None:
    for index in range(len(service.ports)):
        service.kill_shard(index)


def rolling_restart(service: ShardService) -> None:
    service.roll()
    service.await_shards()


def nginx_is_reloaded(service: ShardService) -> None:
    service.reload_nginx()


HAPPENS: tuple[Callable[[ShardService], None], ...] = (
    nothing,
    nginx_is_reloaded,
    rolling_restart,
    each_shard_is_killed,
    broker_is_stopped,
    broker_is_killed,
)
"""Whatever may happen; a function that does it to a running service and returns when it is over."""


@pytest.fixture(params=["proxy", "redirect"], scope="module")
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ShardService]:
    require_programs("nginx", "rabbitmq-server")
    folder = tmp_path_factory.mktemp("service")
    with ShardService(folder, users=users_of(CLIENTS), wrong_shard=request.param) as made:
        yield made


@pytest.mark.parametrize("happens", HAPPENS)
async def test_nothing_is_lost_repeated_or_turned(
    service: ShardService, happens: Callable[[ShardService], None], tmp_path: Path
) -> None:
    course = await run(service, happens, name=happens.__name__, seed=SEED, folder=tmp_path, clients=CLIENTS)
    print(course)  # noqa: T201 - the figures are what the test is read for
    check(course, service)


def check(course: Course, service: ShardService) -> None:
    told = "\n".join([str(course), *course.oracle.sentences, service.log])
    assert not course.oracle.counts, told
    assert "Traceback" not in service.log, told
    assert course.oracle.confirmed > 10, told
