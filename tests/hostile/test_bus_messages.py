"""Messages that nobody should send, through a real RabbitMQ: each costs itself alone, and a broker that is away few lines."""

import contextlib
import json
import re
import struct
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pika
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.broker import Broker
from support.raw_properties import SHORTS, RawProperties, nested, put_raw, table
from support.server_process import USER_IDS, ServerProcess
from support.waiting import eventually
from tidewire.publisher import OneShard, Publisher

pytestmark = pytest.mark.slow

PATIENCE = 60.0


def step(number: int, **more: Any) -> bytes:
    return json.dumps({"event": {"type": "step", "n": number}, "users": [USER_IDS["ada"]], **more}).encode()


class Victim:
    """A server on a queue of its own, and what it says of it."""

    def __init__(self, broker: Broker, directory: Path, *settings: str, queue: str = "") -> None:
        self.broker = broker
        self.queue = queue or f"notices-{uuid.uuid4()}"
        self.server = ServerProcess(directory, f"bus.url={broker.url}", f"bus.queue={self.queue}", *settings)
        self.server.start()
        self.events = self.server.register("ada", event_types=["step"], idle_queue_timeout=100_000)
        self.sent = 0

    @property
    def dead(self) -> str:
        """The queue of dead letters."""
        return f"{self.queue}_dead_letters"

    def numbers(self) -> list[int]:
        """What Ada has got."""
        return [event["n"] for event in self.server.events("ada", self.events)]

    def put(self, *messages: tuple[pika.BasicProperties, bytes]) -> int:
        """Puts them before a good notice, and waits until that has come through; returns how many the broker took."""
        taken = 0
        with contextlib.suppress(pika.exceptions.AMQPError), self.broker.channel() as channel:
            channel.confirm_delivery()
            for properties, body in messages:
                if not put_raw(channel, self.queue, body, properties):
                    break
                taken += 1
        expected = self.sent = self.sent + 1
        self.broker.put(self.queue, step(expected, id=f"good-{expected}"))
        eventually(lambda: self.numbers()[-1:] == [expected], what="the good notice", within=PATIENCE)
        eventually(lambda: self.unacknowledged() == 0, what="everything is acknowledged", within=PATIENCE)
        return taken

    def unacknowledged(self) -> float:
        """Deliveries that the server has taken and not acknowledged."""
        metrics = self.server.ask("GET", "/metrics").body.decode()
        found = re.search(r"^tidewire_bus_\w*waiting\w*(?:\{[^}]*\})? (\S+)$", metrics, re.MULTILINE)
        assert found is not None, [line for line in metrics.splitlines() if "bus" in line]
        return float(found[1])


@pytest.fixture
def victim(broker: Broker, tmp_path: Path) -> Iterator[Victim]:
    made = Victim(broker, tmp_path)
    yield made
    made.server.destroy()


FAR = table([(b"when", b"T" + struct.pack(">Q", 2**62))])
NO_NUMBER = table([(b"what", b"d" + struct.pack(">d", float("nan")))])
INFINITE = table([(b"what", b"f" + struct.pack(">f", float("inf")))])
LARGE = table([(b"much", b"S" + struct.pack(">I", 130_000) + b"x" * 130_000)])
BAD_KEY = table([(b"\xff\xfe", b"V"), (b"x-tidewire-parts", b"x" + struct.pack(">I", 2) + b"\xff\xff")])

POISON: dict[str, tuple[pika.BasicProperties, bytes]] = {
    "a member with a long name": (RawProperties({}), json.dumps({"x" * 200_000: 1}).encode()),
    "an id of bytes": (RawProperties({"message_id": b"\xff" * 200}), step(-1)[:-1]),
    "a type and a queue of bytes": (RawProperties({"type": b"\xff", "reply_to": b"\xfe"}), b"{}"),
    "a fence for nobody": (RawProperties({"type": b"tidewire.fence", "reply_to": b"nobody" * 40}), b"{}"),
    "a fence with an id of bytes": (
        RawProperties({"type": b"tidewire.fence", "reply_to": b"nobody", "message_id": b"\xff" * 255}),
        b"{}",
    ),
    "a time after all times": (RawProperties({}, FAR), b"{"),
    "a number that is none": (RawProperties({"message_id": b"n"}, NO_NUMBER), b"{"),
    "a number without end": (RawProperties({"content_type": b"\xff"}, INFINITE), b"{"),
    "a header of a frame's length": (RawProperties({}, LARGE), b"{"),
    "headers of bytes": (RawProperties({}, BAD_KEY), b"{"),
    "a deep header": (RawProperties({}, table([(b"deep", nested(10_000))])), b"{"),
    "deep JSON": (RawProperties({}), b"[" * 100_000),
    "no text": (RawProperties({"content_encoding": b"gzip"}), b"\xff" * 1000),
    "tries without end": (RawProperties({}), json.dumps({"failed_tries": -(10**400)}).encode()),
}


BEYOND_THE_BROKER = {"a number that is none", "a number without end"}
"""Erlang has no such numbers."""


def test_each_poison_costs_itself_alone_over_redelivery_reconnect_and_restart(
    broker: Broker, victim: Victim
) -> None:
    taken = {}
    for name, poison in POISON.items():
        if victim.put(poison):
            taken[name] = poison
        assert victim.numbers() == [*range(1, victim.sent + 1)], name
    # A broker may refuse what it can't read itself.
    assert set(POISON) - set(taken) <= BEYOND_THE_BROKER
    letters = broker.take(victim.dead)
    bad = [body for name, (_, body) in taken.items() if "a fence" not in name]
    assert [body for _, body in letters] == bad
    for properties, _ in letters:
        assert properties.headers["x-tidewire-code"] == "INVALID_NOTICE"
        assert len(properties.headers["x-tidewire-reason"].encode()) < 1100
        assert len(properties.message_id) <= 128
    assert victim.server.log.count("bus is away") == 0
    assert "Traceback" not in victim.server.log
    # All of them at once, with a server that is killed in the middle and comes back.
    before = victim.sent
    victim.server.destroy()
    victim.sent += 200
    with broker.channel() as channel:
        for number in range(before + 1, victim.sent + 1):
            channel.basic_publish("", victim.queue, step(number, id=f"good-{number}"))
            for properties, body in taken.values():
                channel.basic_publish("", victim.queue, body, properties)
    victim.server.start()
    eventually(lambda: len(victim.numbers()) > before + 20, what="some came", within=PATIENCE)
    victim.server.destroy()
    victim.server.start()
    eventually(lambda: len(victim.numbers()) >= victim.sent, what="all came", within=PATIENCE)
    assert victim.numbers() == [*range(1, victim.sent + 1)]
    eventually(lambda: broker.waiting(victim.queue) == 0, what="nothing is left", within=PATIENCE)
    eventually(lambda: victim.unacknowledged() == 0, what="everything is acknowledged", within=PATIENCE)
    assert victim.server.log.count("bus is away") == 0


@pytest.fixture(scope="module")
def lasting(running_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    made = Victim(running_broker, tmp_path_factory.mktemp("victim"))
    yield made
    made.server.destroy()


SHORT_BYTES = st.binary(max_size=255) | st.sampled_from([b"", b"tidewire.fence", b"\xff" * 255, b"60000"])
FIELDS = st.one_of(
    st.just(b"V"),
    st.integers(0, 255).map(lambda n: b"t" + bytes((n,))),
    st.integers(0, 255).map(lambda n: b"b" + bytes((n,))),
    st.binary(min_size=4, max_size=4).map(lambda raw: b"I" + raw),
    st.binary(min_size=8, max_size=8).map(lambda raw: b"l" + raw),
    st.binary(min_size=8, max_size=8).map(lambda raw: b"d" + raw),
    st.binary(min_size=4, max_size=4).map(lambda raw: b"f" + raw),
    st.binary(min_size=5, max_size=5).map(lambda raw: b"D" + raw),
    st.binary(min_size=8, max_size=8).map(lambda raw: b"T" + raw),
    st.binary(max_size=40).map(lambda raw: b"S" + struct.pack(">I", len(raw)) + raw),
    st.binary(max_size=40).map(lambda raw: b"x" + struct.pack(">I", len(raw)) + raw),
    st.integers(1, 60).map(nested),
)
TABLES = st.lists(st.tuples(st.binary(max_size=20), FIELDS), max_size=4).map(table)
DRAWN = st.tuples(
    st.builds(
        RawProperties,
        st.dictionaries(st.sampled_from(sorted(set(SHORTS) - {"expiration"})), SHORT_BYTES, max_size=4),
        st.none() | TABLES,
    ),
    st.binary(max_size=100) | st.sampled_from([b"{}", b"null", b'{"id": 1}', b"[" * 10_000]),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(messages=st.lists(DRAWN, min_size=5, max_size=12))
def test_no_message_that_the_broker_takes_is_more_than_a_dead_letter(
    lasting: Victim, messages: list[tuple[pika.BasicProperties, bytes]]
) -> None:
    lasting.put(*messages)
    assert lasting.numbers() == [*range(1, lasting.sent + 1)]
    assert lasting.server.log.count("bus is away") == 0
    assert "Traceback" not in lasting.server.log


def test_a_queue_of_dead_letters_that_is_full_stops_nobody(broker: Broker, tmp_path: Path) -> None:
    queue = f"notices-{uuid.uuid4()}"
    with broker.channel() as channel:
        arguments = {"x-max-length": 0, "x-overflow": "reject-publish"}
        channel.queue_declare(f"{queue}_dead_letters", durable=True, arguments=arguments)
    victim = Victim(broker, tmp_path, "bus.prefetch=10", queue=queue)
    try:
        # As many as may be under way: nothing else comes before they are done with.
        victim.put(*[(RawProperties({}), b"{")] * 10)
        assert victim.server.log.count("dead letter is lost") == 10
        assert victim.numbers() == [1]
    finally:
        victim.server.destroy()


def test_a_long_id_is_published_and_known_again(broker: Broker, victim: Victim) -> None:
    """128 characters may be more bytes than AMQP has room for in an id."""
    name = "\U0001f600" * 128
    with Publisher(broker.url, shards=OneShard(victim.queue)) as publisher:
        for _ in range(2):
            publisher.send_event(id=name, event={"type": "step", "n": 1}, users=[USER_IDS["ada"]])
        publisher.send_event(event={"type": "step", "n": 2}, users=[USER_IDS["ada"]])
    eventually(lambda: victim.numbers() == [1, 2], what="once each", within=PATIENCE)


def test_a_broker_that_is_away_is_a_line_when_it_goes_and_one_when_it_is_back(
    broker: Broker, tmp_path: Path
) -> None:
    victim = Victim(broker, tmp_path)
    try:
        eventually(lambda: "bus is there" in victim.server.log, what="it is there", within=PATIENCE)
        assert victim.server.log.count("bus is there") == 1
        before = len(victim.server.log.splitlines())
        broker.kill()
        eventually(lambda: "bus is away" in victim.server.log, what="it says so", within=PATIENCE)
        # Attempts go on meanwhile, and nothing is written of them.
        until = time.monotonic() + 8
        eventually(lambda: time.monotonic() > until, what="some attempts")
        broker.start()
        eventually(lambda: victim.server.log.count("bus is there") == 2, what="it is back", within=PATIENCE)
        lines = victim.server.log.splitlines()[before:]
        said = [line for line in lines if "request" not in line and "/health/" not in line]
        about = [
            line for line in said if "bus" in line or "pika" in line or "5672" in line or "Error" in line
        ]
        away = [line for line in about if "bus is away" in line or "bus is still away" in line]
        back = [line for line in about if "bus is there" in line]
        assert len(back) == 1
        assert len([line for line in away if "still" not in line]) == 1
        assert len(about) == len(away) + len(back), about
        assert broker.url.replace("guest:guest@", "") in away[0]
        assert "guest" not in "".join(about)
    finally:
        victim.server.destroy()
