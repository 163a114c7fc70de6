"""What RabbitMQ's notices cost the server: the rate at which one shard takes a full queue in, with each durability."""

import contextlib
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pika

from building import Missing
from columns import Figures, print_columns, rounds_of_servers
from processes import cpu_seconds, free_port, pinned, serving
from talking import Talk, as_user, poll_path
from tidewire.publisher import OneShard, Publisher
from users import serve_command, write_users

NOTICES = 45_000
USERS = 100
"""Each has a queue that takes every notice for its user."""

SIZE = 1000
"""Bytes of a notice."""

QUEUE = "benchmark"
DURABILITIES = ("none", "process", "power")
FLOOR = "pika alone, nothing but acknowledging"


def main(*, rounds: int) -> None:
    """Measures and prints."""
    found: dict[str, list[Figures]] = {FLOOR: [], **{f"Tidewire, {each}": [] for each in DURABILITIES}}
    with tempfile.TemporaryDirectory() as folder, _broker(Path(folder)) as url:
        for _ in range(rounds_of_servers(rounds)):
            found[FLOOR].append(_floor(url))
            for durability in DURABILITIES:
                with tempfile.TemporaryDirectory() as place:
                    found[f"Tidewire, {durability}"].append(_server(url, Path(place), durability))
    print_columns(f"{NOTICES:,} notices of {SIZE} bytes from RabbitMQ into one shard", found, base=FLOOR)


@contextlib.contextmanager
def _broker(folder: Path) -> Iterator[str]:
    """A broker as the tests start it."""
    if shutil.which("rabbitmq-server") is None:
        raise Missing("rabbitmq-server is not installed (apt-get install rabbitmq-server)")
    try:
        support: Any = importlib.import_module("support.broker")
    except ModuleNotFoundError as error:
        raise Missing(f"run it with `make bench`, which finds the tests' broker ({error})") from error
    broker = support.Broker(folder)
    try:
        broker.start()
        yield broker.url
    finally:
        broker.destroy()


def _fill(url: str) -> None:
    """Puts the notices into the queue, and one at the end that user 1 waits for."""
    with Publisher(url, shards=OneShard(QUEUE)) as publisher:
        for start in range(0, NOTICES, 5000):
            publisher.send([_notice(number) for number in range(start, start + 5000)])
        publisher.send([{"event": {"type": "last"}, "users": [1]}])


def _notice(number: int) -> dict[str, Any]:
    users = [number % USERS + 1]
    event = {"type": "step", "n": number, "text": ""}
    bare = {"event": event, "users": users, "id": f"{uuid.uuid4()}"}
    event["text"] = "x" * (SIZE - len(json.dumps(bare)))
    return bare


def _server(url: str, folder: Path, durability: str) -> Figures:
    write_users(folder, USERS)
    port = free_port()
    command = serve_command(
        port, f"bus.url={url}", f"bus.queue={QUEUE}", f"storage.durability={durability}", "log.level=warning"
    )
    with serving(command, port=port, folder=folder), Talk(port) as talk:
        for user in range(1, USERS + 1):
            talk.register(user, event_types=json.dumps(["step"]))
        queue_id = talk.register(1, event_types=json.dumps(["last"]))
    _fill(url)
    with serving(command, port=port, folder=folder) as process, Talk(port) as talk:
        began, cpu = time.perf_counter(), cpu_seconds(process.pid)
        answer = talk.ask("GET", poll_path(queue_id, -1, block=True), as_user(1))
        assert [event["type"] for event in answer["events"]] == ["last"]
        return _figures(time.perf_counter() - began, cpu_seconds(process.pid) - cpu)


def _floor(url: str) -> Figures:
    _fill(url)
    command = pinned([sys.executable, Path(__file__), url], 0)
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this program
    seconds, cpu = json.loads(done.stdout)
    return _figures(seconds, cpu)


def _figures(seconds: float, cpu: float) -> Figures:
    return {"us of CPU each": cpu * 1e6 / NOTICES, "notices a second": NOTICES / seconds}


def consume(url: str) -> None:
    """The floor: takes everything and acknowledges it, in a process of its own."""
    connection = pika.SelectConnection(pika.URLParameters(url), on_open_callback=_opened)
    connection.ioloop.start()


def _opened(connection: Any) -> None:
    connection.channel(on_open_callback=lambda channel: _consume(connection, channel))


def _consume(connection: Any, channel: Any) -> None:
    began, cpu = time.perf_counter(), time.process_time()
    count = 0

    def take(_channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        nonlocal count
        count += 1
        if count % 50 == 0 or count > NOTICES:
            channel.basic_ack(method.delivery_tag, multiple=True)
        if count > NOTICES:
            print(json.dumps([time.perf_counter() - began, time.process_time() - cpu]))
            connection.close()
            connection.add_on_close_callback(lambda *_: connection.ioloop.stop())

    channel.basic_qos(prefetch_count=1000)
    channel.basic_consume(QUEUE, take)


if __name__ == "__main__":
    consume(sys.argv[1])
