"""Re-sharding while traffic flows: no client loses an event, gets one twice, or in another order (D7; R9.5 made better)."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.broker import Broker
from support.movers import Source
from support.moving_shards import USERS, Moving
from support.server_process import BEARER
from support.waiting import eventually
from tidewire.config.shards import read_shard_map
from tidewire.publisher import OneShard, Publisher
from tidewire.sharding.shard_map import encode_map

pytestmark = pytest.mark.slow


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[Moving]:
    made = Moving(tmp_path)
    try:
        yield made
    finally:
        made.destroy()


def test_one_to_three_to_four_to_two_shards_under_traffic_d7(moving: Moving) -> None:
    moving.begin(1)
    for count in (3, 4, 2):
        eventually(lambda: moving.source.count > 100 * moving.version, what="there is traffic")
        said = moving.reshard(count)
        assert said["version"] == moving.version
        assert said["moved"] > 0
        users = [moving.status(index)["users"] for index in range(len(moving.shards))]
        assert users == [USERS // count if index < count else 0 for index in range(len(moving.shards))]
    # Those that hold nobody can go.
    moving.alive[:] = moving.ports[:2]
    for shard in moving.shards[2:]:
        assert shard.stop() == 0
    eventually(lambda: moving.source.count > 600, what="it goes on")
    moving.settle()


@pytest.mark.parametrize("victim", ["source", "target"])
@pytest.mark.parametrize(
    "point", ["users move ", "users taken ", "users moved ", "all users handed over", "hand-over begins"]
)
def test_a_shard_is_killed_at_each_point_of_a_hand_over(moving: Moving, victim: str, point: str) -> None:
    moving.begin(2)
    eventually(lambda: moving.source.count > 50, what="there is traffic")
    path = moving.write_map(3, moving.folder / "map-2.toml")
    target = moving.add(path)
    process = moving.apply(path, wait=False)
    watched = target if point == "users taken " else moving.shards[0]
    killed = moving.shards[0] if victim == "source" else target
    eventually(lambda: point in watched.log, what=point)
    killed.signal(signal.SIGKILL)
    killed.wait()
    killed.start()
    if process.wait(60):
        # It was told of the restart, and is asked to go on.
        _, problem = process.communicate()
        assert "does not answer" in problem or "SERVICE_UNAVAILABLE" in problem, problem
        moving.apply(path)
    else:
        moving.finish(process)
    count = moving.source.count
    eventually(lambda: moving.source.count > count + 50, what="traffic goes on")
    moving.settle()
    users = [moving.status(index)["users"] for index in range(3)]
    assert users == [USERS // 3] * 3


def test_a_hand_over_waits_for_a_shard_that_is_gone_and_ends_when_it_comes_back_with_nothing(
    moving: Moving,
) -> None:
    before = moving.write_map(2)
    for _ in range(2):
        moving.add(before)
    after = moving.write_map(3, moving.folder / "map-2.toml")
    moving.add(after)
    gone = moving.shards[1]
    gone.signal(signal.SIGKILL)
    gone.wait()
    body = json.dumps({"after": map_of(after), "before": map_of(before)}).encode()
    for index in (2, 0):
        told = moving.shards[index].ask("POST", "/api/internal/shards/map", headers=BEARER, body=body)
        assert told.status == 200, told
    eventually(lambda: moving.status(0)["waits"], what="it says that it waits")
    shown = moving.run("shards", "show", "--live", "--set", f"shards.map_file={after}")
    (line,) = [line for line in shown.splitlines() if str(gone.port) in line and line.startswith("shard 1")]
    assert "does not answer" in line
    assert f" s: shard {gone.port} does not answer" in shown

    # Its state is lost: whoever had a queue there registers anew.
    shutil.rmtree(gone.state)
    gone.set("shards.map_file", after)
    gone.start()

    def all_say() -> list[object]:
        return [moving.status(index)[name] for index in range(3) for name in ("before", "waits")]

    eventually(lambda: all_say() == [None] * 6, what="the hand-over is over")


def map_of(path: Path) -> object:
    """A map as shards tell it to each other."""
    return json.loads(encode_map(read_shard_map(path)))


def test_a_dry_run_changes_nothing_and_a_map_that_is_not_newer_is_refused(moving: Moving) -> None:
    moving.begin(2)
    path = moving.write_map(1, moving.folder / "map-2.toml")
    said = moving.finish(moving.apply(path, "--dry-run", wait=False))
    assert said["moves"] == [
        {"from": moving.ports[1], "to": moving.ports[0], "users": USERS // 2, "queues": USERS // 2}
    ]
    assert [moving.status(index)["version"] for index in (0, 1)] == [1, 1]
    path.write_text(path.read_text().replace("version = 2", "version = 1"))
    refused = moving.apply(path, wait=False)
    _, problem = refused.communicate(timeout=60)
    assert (refused.returncode, "a version above 1" in problem) == (2, True)
    moving.shards[1].signal(signal.SIGKILL)
    moving.shards[1].wait()
    moving.alive.pop()
    path.write_text(path.read_text().replace("version = 1", "version = 2"))
    alone = moving.apply(path, wait=False)
    _, problem = alone.communicate(timeout=60)
    assert (alone.returncode, "nothing was begun" in problem) == (1, True)
    assert moving.status(0)["version"] == 1


def test_shards_that_share_a_broker_take_each_other_s_notices_while_users_move(
    tmp_path: Path, broker: Broker
) -> None:
    made = Moving(tmp_path, f"bus.url={broker.url}")
    # All of it through one shard's queue: that one sees to the others.
    made.source = BusSource(made.source, broker.url, f"notify_tornado_port_{made.ports[0]}")
    try:
        made.begin(2)
        eventually(lambda: made.source.count > 100, what="there is traffic")
        made.reshard(3)
        eventually(lambda: made.source.count > 200, what="it goes on")
        made.reshard(1)
        count = made.source.count
        eventually(lambda: made.source.count > count + 50, what="it goes on")
        made.settle()
        assert not [line for shard in made.shards for line in shard.log.splitlines() if "dead letter" in line]
    finally:
        made.destroy()


class BusSource(Source):
    """A publisher by way of a broker."""

    def __init__(self, like: Source, url: str, queue: str) -> None:
        super().__init__(like._users, list)
        self._publisher = Publisher(url, shards=OneShard(queue))

    def _publish(self) -> None:
        with self._publisher as publisher:
            while not self.stopped.is_set():
                publisher.send([self._notice() for _ in range(self._batch)])
                # A broker confirms faster than anybody takes.
                self.stopped.wait(0.01)
