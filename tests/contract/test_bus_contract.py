"""What holds for a publisher, a shard and its workers, whichever bus is between them."""

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.broker import NOTIFICATIONS, Broker
from support.server_process import BEARER, SECRET, USER_IDS, ServerProcess
from support.waiting import eventually
from support.whole_messages import message_event, recipients
from tidewire.publisher import OneShard, Publisher, PublishFailed

pytestmark = pytest.mark.slow

Note = dict[str, Any]


class Bus(ABC):
    """One bus with a server on it, and how tests see what only differs in form."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server

    @abstractmethod
    def publisher(self) -> Publisher:
        """A publisher on this bus."""

    @abstractmethod
    def refused(self, raw: bytes) -> tuple[str, str]:
        """Publishes something broken; returns the notice's id and the code it was refused with."""

    @abstractmethod
    def await_handed_on(self) -> None:
        """Returns when the server knows which notifications have got where they go."""

    @abstractmethod
    def notifications(self, count: int) -> list[tuple[str, int]]:
        """Takes `count` push notifications when they are there: id and message of each."""

    def states(self, queue_id: str, count: int) -> list[int]:
        """The numbers of a queue's events, once there are `count`."""

        def look() -> list[int] | None:
            events = self.server.events("ada", queue_id)
            return [event["n"] for event in events] if len(events) >= count else None

        return eventually(look, what=f"{count} events") or []


class MemoryBus(Bus):
    """The embedded one, over HTTP."""

    def publisher(self) -> Publisher:
        """A publisher on this bus."""
        return Publisher(self.server.url, secret=SECRET)

    def refused(self, raw: bytes) -> tuple[str, str]:
        """The code, and the id it was refused under."""
        answer = self.server.ask("POST", "/api/internal/notices", headers=BEARER, body=raw)
        assert answer.status in {400, 409}
        return json.loads(raw).get("id", ""), answer.json["code"]

    def notifications(self, count: int) -> list[tuple[str, int]]:
        """Takes them."""
        path = f"/api/internal/outbox/{NOTIFICATIONS[0]}"

        def look() -> list[Note] | None:
            records: list[Note] = self.server.ask("GET", path, headers=BEARER).json["records"]
            return records if len(records) >= count else None

        records = eventually(look, what=f"{count} notifications") or []
        through = records[-1]["position"]
        self.server.ask("DELETE", path, headers=BEARER, query={"through": through})
        return [(record["id"], record["record"]["message_id"]) for record in records]

    def await_handed_on(self) -> None:
        """It was told by whoever took them."""


class RabbitBus(Bus):
    """RabbitMQ."""

    def __init__(self, server: ServerProcess, broker: Broker, queue: str) -> None:
        super().__init__(server)
        self._broker = broker
        self._queue = queue

    def publisher(self) -> Publisher:
        """A publisher on this bus."""
        return Publisher(self._broker.url, shards=OneShard(self._queue))

    def refused(self, raw: bytes) -> tuple[str, str]:
        """The code, and the id it was refused under."""
        self._broker.put(self._queue, raw)
        found = eventually(lambda: self._broker.take(f"{self._queue}_dead_letters"), what="a dead letter")
        ((properties, body),) = found
        assert body == raw
        return properties.message_id, properties.headers["x-tidewire-code"]

    def notifications(self, count: int) -> list[tuple[str, int]]:
        """Takes them."""
        eventually(lambda: self._broker.waiting(NOTIFICATIONS[0]) >= count, what=f"{count} notifications")
        return [
            (properties.message_id, json.loads(body)["message_id"])
            for properties, body in self._broker.take(NOTIFICATIONS[0])
        ]

    def await_handed_on(self) -> None:
        """When the broker has confirmed them."""
        eventually(
            lambda: b"\ntidewire_outbox_records 0.0\n" in self.server.ask("GET", "/metrics").body,
            what="the outbox is empty",
        )


@pytest.fixture(params=["memory", "rabbitmq"])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bus]:
    """A bus with a fresh server."""
    made: Bus
    if request.param == "memory":
        server = ServerProcess(tmp_path)
        made = MemoryBus(server)
    else:
        broker: Broker = request.getfixturevalue("broker")
        queue = f"notices-{uuid.uuid4()}"
        server = ServerProcess(tmp_path, f"bus.url={broker.url}", f"bus.queue={queue}")
        made = RabbitBus(server, broker, queue)
    server.start()
    yield made
    server.destroy()


def notice(number: int, **more: Any) -> Note:
    return {"event": {"type": "step", "n": number}, "users": [USER_IDS["ada"]], **more}


def test_notices_arrive_once_and_in_order_singly_and_in_batches(bus: Bus) -> None:
    queue_id = bus.server.register("ada", event_types=["step"])
    with bus.publisher() as publisher:
        for number in range(20):
            publisher.send([notice(number)])
        assert publisher.send([notice(number) for number in range(20, 700)]) == 680
        publisher.send_event(event={"type": "step", "n": 700}, users=[USER_IDS["ada"]], realm_id=1)
    assert bus.states(queue_id, 701) == [*range(701)]


def test_a_repeated_id_is_carried_out_once(bus: Bus) -> None:
    queue_id = bus.server.register("ada", event_types=["step"])
    with bus.publisher() as publisher:
        publisher.send([notice(1, id="one")])
        assert publisher.send([notice(1, id="one"), notice(2, id="two")]) == 2
        publisher.send([notice(2, id="two"), notice(3)])
    assert bus.states(queue_id, 3) == [1, 2, 3]


def test_an_id_with_other_content_is_refused_and_said(bus: Bus) -> None:
    queue_id = bus.server.register("ada", event_types=["step"])
    with bus.publisher() as publisher:
        publisher.send([notice(1, id="one")])
        assert bus.states(queue_id, 1) == [1]
        assert bus.refused(json.dumps(notice(2, id="one")).encode()) == ("one", "NOTICE_ID_REUSED")
        publisher.send([notice(3)])
    assert bus.states(queue_id, 2) == [1, 3]


@pytest.mark.parametrize(
    "broken",
    [
        b'{"id": "x", "event": {"n": 1}, "users": [1]}',
        b'{"id": "x", "event": {"type": "step"}, "users": ["ada"]}',
        b'{"id": "x", "event": {"type": "presence", "user_id": []}, "users": [1], "more": 1}',
    ],
)
def test_a_broken_notice_is_refused_and_stops_nothing(bus: Bus, broken: bytes) -> None:
    queue_id = bus.server.register("ada", event_types=["step"])
    with bus.publisher() as publisher:
        publisher.send([notice(1)])
        _, code = bus.refused(broken)
        publisher.send([notice(2)])
    assert code == "INVALID_NOTICE"
    assert bus.states(queue_id, 2) == [1, 2]


def test_the_publisher_says_which_notice_has_no_form_of_one(bus: Bus) -> None:
    with bus.publisher() as publisher, pytest.raises(PublishFailed) as caught:
        publisher.send([notice(1), {"event": {"n": 2}, "users": [1]}])
    assert (caught.value.code, caught.value.index, caught.value.retry_helps) == ("INVALID_NOTICE", 1, False)


def test_what_was_carried_out_survives_a_kill_and_comes_once(bus: Bus) -> None:
    queue_id = bus.server.register("ada", event_types=["step"])
    with bus.publisher() as publisher:
        publisher.send([notice(number) for number in range(100)])
        assert bus.states(queue_id, 100) == [*range(100)]
        bus.server.destroy()
        bus.server.start()
        publisher.send([notice(number) for number in range(100, 200)])
        assert bus.states(queue_id, 200) == [*range(200)]


def test_notifications_reach_their_worker_once_over_a_kill(bus: Bus) -> None:
    users = recipients([USER_IDS["bob"]])
    with bus.publisher() as publisher:
        publisher.send([{"event": message_event(number, direct=True), "users": users} for number in (7, 8)])
        first = bus.notifications(2)
        # What the server has not seen confirmed it sends again after a kill, under the same id.
        bus.await_handed_on()
        bus.server.destroy()
        bus.server.start()
        publisher.send([{"event": message_event(9, direct=True), "users": users}])
        second = bus.notifications(1)
    assert [message for _, message in first + second] == [7, 8, 9]
    assert len({name for name, _ in first + second}) == 3
