"""Publishers that split notices by a shard map, over changes of the map: nothing lost, doubled, or out of order (D7)."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.broker import Broker
from support.map_source import MapSource
from support.movers import FIRST_USER, caught_up
from support.moving_shards import USERS, Moving
from support.server_process import clean_environment
from support.shard_group import free_ports, map_text
from support.waiting import eventually
from tidewire._amqp.names import FENCE
from tidewire.publisher import AsyncPublisher, Publisher

pytestmark = pytest.mark.slow

EVERYBODY = range(FIRST_USER, FIRST_USER + USERS)
LISTENING = {"all_public_streams": True}

TAKE = "notify_tornado_port_{}"


@pytest.fixture
def lone_map(tmp_path: Path) -> tuple[Path, list[int]]:
    """A map of two shards that nobody runs, one of them alone for a realm, and their ports."""
    ports = free_ports(2)
    path = tmp_path / "shards.toml"
    realm = f'[[realm]]\nhost = "b.example"\nports = [{ports[1]}]\n'
    path.write_text(map_text(1, ports, ports) + realm)
    return path, ports


def taken(broker: Broker, port: int) -> list[tuple[list[int], str]]:
    """The users of each message in a shard's queue, and which queues got a part."""
    found = broker.take(TAKE.format(port))
    return [
        (json.loads(body)["users"], properties.headers["x-tidewire-parts"])
        for properties, body in found
        if properties.type != FENCE
    ]


def test_the_command_splits_notices_by_the_map(broker: Broker, lone_map: tuple[Path, list[int]]) -> None:
    path, (first, second) = lone_map
    lines = [{"event": {"type": "x"}, "users": [1, 2, 4], "realm_id": realm_id} for realm_id in (1, 2)]
    command = [sys.executable, "-m", "tidewire", "publish", "--bus", broker.url]
    command += ["--shard-map", str(path), "--realm-host", "2=b.example"]
    done = subprocess.run(  # noqa: S603 - our own program
        command,
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
    )
    assert (done.returncode, done.stdout) == (0, "confirmed 2 of 2 notices\n"), done.stderr
    one, other = TAKE.format(first), TAKE.format(second)
    both = {f"{one},{other}", f"{other},{one}"}
    ((evens, parts),) = taken(broker, first)
    assert (evens, parts in both) == ([2, 4], True)
    (odds, whole) = taken(broker, second)
    assert (odds[0], whole) == ([1], ([1, 2, 4], other))


async def test_the_publisher_for_asyncio_splits_notices_by_the_map(
    broker: Broker, lone_map: tuple[Path, list[int]]
) -> None:
    path, (_, second) = lone_map
    async with AsyncPublisher(broker.url, shard_map=path) as publisher:
        await publisher.send_event(event={"type": "x"}, users=[1, 2, 4])
        path.write_text(path.read_text().replace("version = 1", "version = 2"))
        # What nobody has taken yet holds the change up, and nothing else.
        assert await publisher.reload_shard_map() == 1
        await publisher.send_event(event={"type": "x"}, users=[3])
    assert [users for users, _ in taken(broker, second)] == [[1], [3]]


class Deployment:
    """Shards on a broker, and a publisher that has a copy of the map of its own, until it follows that of the shards."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.broker = broker
        self.moving = Moving(folder, f"bus.url={broker.url}")
        self.copy = folder / "copy.toml"

    def begin(self, count: int, *, own_map: bool) -> MapSource:
        """Starts so many shards and the clients; the publisher publishes by itself if it has no map of its own."""
        moving = self.moving
        moving.write_map(count)
        self.copy.write_text(moving.map_path.read_text())
        moving.version = 0
        source = MapSource(EVERYBODY, self.broker.url, self.copy if own_map else moving.map_path)
        moving.source = source
        if own_map:
            source.stopped.set()
        moving.begin(count, **LISTENING)
        return source

    def no_dead_letters(self) -> None:
        """Every shard could make sense of everything."""
        for shard in self.moving.shards:
            assert "dead letter" not in shard.log


@pytest.fixture
def deployment(tmp_path: Path, broker: Broker) -> Iterator[Deployment]:
    made = Deployment(tmp_path, broker)
    try:
        yield made
    finally:
        made.moving.destroy()


def test_a_publisher_follows_the_map_while_shards_come_and_go_d7(deployment: Deployment) -> None:
    source = deployment.begin(2, own_map=False)
    moving = deployment.moving
    for count in (4, 1):
        eventually(lambda: source.count > 100 * moving.version, what="there is traffic")
        moving.reshard(count)
        eventually(
            lambda: source.publisher.reload_shard_map() == moving.version,
            what="the publisher has changed maps",
        )
    last = source.count
    eventually(lambda: source.count > last + 50, what="it goes on")
    moving.settle()
    deployment.no_dead_letters()


def test_a_publisher_with_an_old_map_reaches_everybody_once(deployment: Deployment) -> None:
    """Parts of one notice reach a shard by way of several others then; sent again by the new map, all are known."""
    source = deployment.begin(2, own_map=True)
    moving = deployment.moving
    before = source.send(20)
    moving.reshard(3)
    moving.reshard(1)
    behind = source.send(20)
    eventually(lambda: caught_up(source, moving.listeners), what="all of it is received")
    with Publisher(deployment.broker.url, shard_map=moving.map_path) as other:
        other.send([*before, *behind])
        # Whatever comes twice comes before these.
        other.send([source._notice() for _ in range(100)])
    source.publisher.close()
    moving.settle()
    deployment.no_dead_letters()


def deployment_waiting(deployment: Deployment) -> int:
    """How many messages the shards have not taken."""
    queues = [f"notify_tornado_port_{port}" for port in deployment.moving.ports[:2]]
    return sum(map(deployment.broker.waiting, queues))


def test_a_shard_is_killed_with_a_fence_in_its_queue(deployment: Deployment) -> None:
    source = deployment.begin(2, own_map=True)
    moving = deployment.moving
    source.send(10)
    moving.reshard(3)
    first = moving.shards[0]
    moving.alive.remove(first.port)
    first.signal(signal.SIGSTOP)
    source.send(30)
    deployment.copy.write_text(moving.map_path.read_text())
    # Nobody answers the fence: it goes on by the old map.
    assert source.publisher.reload_shard_map() == 1
    source.send(10)
    first.signal(signal.SIGKILL)
    first.wait()
    first.start()
    moving.alive.append(first.port)
    eventually(lambda: source.publisher.reload_shard_map() == 2, what="the publisher has changed maps")
    source.send(30)
    source.publisher.close()
    moving.settle()
    deployment.no_dead_letters()


def test_a_shard_that_is_gone_with_an_empty_queue_keeps_nobody_waiting(deployment: Deployment) -> None:
    source = deployment.begin(2, own_map=True)
    moving = deployment.moving
    source.send(10)
    moving.reshard(1)
    eventually(lambda: not deployment_waiting(deployment), what="all of it is taken")
    moving.alive.remove(moving.ports[1])
    assert moving.shards[1].stop() == 0
    deployment.copy.write_text(moving.map_path.read_text())
    assert source.publisher.reload_shard_map() == 2
    source.send(10)
    assert deployment.broker.waiting(f"notify_tornado_port_{moving.ports[1]}") == 0
    source.publisher.close()
    moving.settle()
