"""A service of several shards, whatever happens to it: nothing lost, repeated or turned, and nobody registers again (D6, D7)."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.programs import require_programs
from support.shard_growth import GrowingService, shards_come_and_go
from support.shard_happenings import HAPPENINGS
from support.shard_oracle import Course, run, users_of
from support.shard_service import ShardService
from tidewire.publisher import OneShard

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEED = random.SystemRandom().randrange(10**6)
"""Another one each time; a failure prints it."""

CLIENTS = 300


@pytest.fixture(params=["proxy", "redirect"], scope="module")
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ShardService]:
    require_programs("nginx", "rabbitmq-server")
    folder = tmp_path_factory.mktemp("service")
    with ShardService(folder, users=users_of(CLIENTS), wrong_shard=request.param) as made:
        yield made


@pytest.mark.parametrize("name", HAPPENINGS)
async def test_nothing_is_lost_repeated_or_turned(service: ShardService, name: str, tmp_path: Path) -> None:
    course = await run(service, HAPPENINGS[name], name=name, seed=SEED, folder=tmp_path, clients=CLIENTS)
    print(course)  # noqa: T201 - the figures are what else it is run for: `pytest -rP` shows them
    check(course, service)


@pytest.mark.parametrize("wrong_shard", ["proxy", "redirect"])
async def test_nothing_is_lost_repeated_or_turned_while_users_move(wrong_shard: str, tmp_path: Path) -> None:
    require_programs("nginx", "rabbitmq-server")
    (tmp_path / "service").mkdir()
    with GrowingService(tmp_path / "service", users=users_of(CLIENTS), wrong_shard=wrong_shard) as service:
        course = await run(
            service,
            lambda _: shards_come_and_go(service),
            name="shards come and go",
            seed=SEED,
            folder=tmp_path,
            clients=CLIENTS,
            # While users move, notices of a publisher are in one queue.
            shard_queues=OneShard(f"notify_tornado_port_{service.ports[0]}"),
        )
        print(course)  # noqa: T201 - see above
        check(course, service)


def check(course: Course, service: ShardService) -> None:
    told = "\n".join([str(course), *course.oracle.sentences, service.log])
    assert not course.oracle.counts, told
    assert "Traceback" not in service.log, told
    assert course.oracle.confirmed > 10, told
    assert course.oracle.events > 10 * CLIENTS, told
