"""The shard map as a publisher reads it: where notices go, and what becomes of changes of the file."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tidewire.publisher import AsyncPublisher, BadUrl, OneShard, Publisher, PublishFailed
from tidewire.publisher.map_reader import MapFile
from tidewire.publisher.routing import routed

SHARDS = "".join(f"[[shard]]\nport = {port}\n" for port in (9800, 9801, 9802))
MAP = f'default = [9800, 9801]\n{SHARDS}[[realm]]\nhost = "acme.example"\nports = [9802]\n'
BUS = "amqp://guest:guest@127.0.0.1:1/"
BUS_NAMES = [f"notify_tornado_port_{port}" for port in (9800, 9801, 9802)]


class Clock:
    """Stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def newer_version(file: MapFile) -> int | None:
    return None if file.newer is None else file.newer.map.version


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "shards.toml"
    place.write_text(f"version = 3\n{MAP}")
    return place


def users_by_queue(file: MapFile, **notice: Any) -> dict[str, Any]:
    whole = {"id": "n", "event": {"type": "x"}, "users": [1, 2], **notice}
    return {queue: part["users"] for queue, part in routed(whole, file.shards)}


def test_users_go_to_the_queues_of_their_shards(path: Path) -> None:
    file = MapFile(path, realm_hosts={7: "ACME.example"})
    first, second, third = BUS_NAMES
    assert users_by_queue(file) == {second: [1], first: [2]}
    assert users_by_queue(file, realm_id=6) == {second: [1], first: [2]}
    assert users_by_queue(file, realm_id=7) == {third: [1, 2]}
    public = {"type": "message", "stream_name": "a", "realm_id": 7}
    assert users_by_queue(file, event=public, users=[2]) == {first: [2], third: []}
    assert users_by_queue(MapFile(path), realm_id=7) == {second: [1], first: [2]}


def test_a_changed_file_is_seen_once_a_second_at_most(path: Path) -> None:
    clock = Clock()
    file = MapFile(path, clock=clock)
    path.write_text(f"version = 4\n{MAP.replace('[9800, 9801]', '[9802]')}")
    clock.now += 0.5
    file.look()
    assert newer_version(file) is None
    clock.now += 0.6
    file.look()
    assert newer_version(file) == 4
    assert file.shards.map.version == 3
    clock.now += 5
    assert file.seconds_waiting() == 5
    file.switch()
    assert (file.shards.map.version, newer_version(file)) == (4, None)
    assert users_by_queue(file) == {BUS_NAMES[2]: [1, 2]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("version = 4\ndefault = [1]", "none"),
        ("version = ", "a mistake"),
        (f"version = 2\n{MAP.replace('9801]', '9802]')}", "version above 3"),
        (f"version = 3\n{MAP.replace('9801]', '9802]')}", "version above 3"),
    ],
)
def test_a_wrong_file_changes_nothing_and_is_told_of_once(
    path: Path, caplog: pytest.LogCaptureFixture, content: str, said: str
) -> None:
    clock = Clock()
    file = MapFile(path, clock=clock)
    path.write_text(content)
    with caplog.at_level(logging.WARNING, "tidewire.publisher"):
        for _ in range(3):
            clock.now += 2
            file.look()
    (record,) = caplog.records
    assert said in record.getMessage()
    assert "version 3 stays in force" in record.getMessage()
    assert newer_version(file) is None
    with pytest.raises(PublishFailed) as caught:
        file.load()
    assert caught.value.code == "BAD_SHARD_MAP"
    assert str(path) in caught.value.message
    path.write_text(f"version = 5\n{MAP}")
    file.load()
    assert newer_version(file) == 5


def test_a_file_that_goes_away_changes_nothing(path: Path) -> None:
    file = MapFile(path)
    path.unlink()
    with pytest.raises(PublishFailed, match="no such file"):
        file.load()
    assert file.shards.map.version == 3


def test_a_publisher_says_what_is_wrong_with_its_map(path: Path) -> None:
    for make in (Publisher, AsyncPublisher):
        with pytest.raises(PublishFailed) as caught:
            make(BUS, shard_map=path.with_name("none.toml"))
        assert caught.value.code == "BAD_SHARD_MAP"
        with pytest.raises(BadUrl, match="amqp://"):
            make("http://127.0.0.1:1", secret="s", shard_map=path)
        with pytest.raises(BadUrl, match="not both"):
            make(BUS, shard_map=path, shards=OneShard())
        with pytest.raises(BadUrl, match="shard_map"):
            make(BUS, realm_hosts={1: "a.example"})


def test_the_map_is_read_again_on_request(path: Path) -> None:
    with Publisher(BUS, shard_map=path) as publisher:
        assert publisher.reload_shard_map() == 3
        path.write_text(f"version = 4\n{MAP}")
        assert publisher.reload_shard_map() == 4
        path.write_text("nonsense")
        with pytest.raises(PublishFailed, match="can't be used"):
            publisher.reload_shard_map()
    with (
        Publisher("http://127.0.0.1:1", secret="s") as publisher,
        pytest.raises(PublishFailed, match="without"),
    ):
        publisher.reload_shard_map()
