"""What becomes of deliveries, without a broker: the engine's answers are scripted."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest
import structlog

from tidewire._amqp import Connection, Delivery
from tidewire._bus_names import FENCE
from tidewire.bus import consuming
from tidewire.bus.consuming import Consumer
from tidewire.bus.identity import Nameless
from tidewire.bus.outgoing import Outgoing
from tidewire.core.errors import InvalidNotice, Unavailable
from tidewire.core.notice import Notice
from tidewire.core.remembered import RememberedIds
from tidewire.engine import Engine
from tidewire.ports import Slot


class Shard:
    """What the consumer looks at."""

    remembered = RememberedIds()


class ScriptedEngine:
    """Refuses notices of the type `bad`, fails at `fault`, or at `late` when all is right; is full while `full` is set."""

    shard = Shard()

    def __init__(self) -> None:
        self.full = False
        self.taken: list[str | None] = []
        self.waiting: list[tuple[Slot[int], int]] = []

    def publish(self, notices: Sequence[Notice], slot: Slot[int]) -> None:
        """As the engine does it."""
        for index, notice in enumerate(notices):
            if notice.kind == "bad":
                raise InvalidNotice("bad", index=index)
            if notice.kind == "fault":
                raise ZeroDivisionError
        if self.full:
            raise Unavailable("full")
        if any(notice.kind == "late" for notice in notices):
            raise ZeroDivisionError
        self.taken += [notice.id for notice in notices]
        self.waiting.append((slot, len(notices)))

    def make_durable(self) -> None:
        """Confirms all that was taken."""
        for slot, count in self.waiting:
            slot.complete(count)
        self.waiting.clear()


class Sent(Outgoing):
    """Keeps what is put, and confirms when it is told to."""

    def __init__(self) -> None:
        super().__init__([])
        self.headers: list[Mapping[str, Any]] = []
        self.answers: list[tuple[str, str]] = []
        self.put_into: list[tuple[str, str, dict[str, Any]]] = []
        self.waiting: list[Callable[[], None]] = []

    def put(
        self,
        queue: str,
        body: bytes,
        *,
        message_id: str,
        headers: Mapping[str, Any] | None,
        done: Callable[[], None],
    ) -> None:
        """Keeps it."""
        self.headers.append(headers or {})
        self.put_into.append((queue, message_id, json.loads(body)))
        self.waiting.append(done)

    def answer(self, queue: str, *, kind: str, message_id: str, done: Callable[[], None]) -> None:
        """Keeps it."""
        assert kind == FENCE
        self.answers.append((queue, message_id))
        self.waiting.append(done)

    def confirm(self) -> None:
        """Confirms all that was put."""
        for done in self.waiting:
            done()
        self.waiting.clear()


class StubChannel:
    """A channel that keeps what is acknowledged."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.acknowledged: list[int] = []
        self.take: Callable[[Delivery], None] = lambda _: None

    async def consume(self, _queue: str, *, take: Callable[[Delivery], None], **_more: object) -> str:
        """Notes whom deliveries go to."""
        self.take = take
        return "tag"

    def acknowledge(self, through: int) -> None:
        """Keeps it."""
        self.acknowledged.append(through)


class StubConnection:
    """A connection with one channel."""

    def __init__(self) -> None:
        self.opened = StubChannel()

    async def ensure_queue(self, _name: str) -> None:
        """Always there."""

    async def channel(self) -> StubChannel:
        """The one."""
        return self.opened

    def give_up(self, _reason: str) -> None:
        """Nothing to close."""


class Rig:
    """A consumer with everything around it scripted."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine()
        self.sent = Sent()
        self.logged: list[tuple[str, Any]] = []
        self.consumer = Consumer(
            engine=cast("Engine", self.engine),
            queue="q",
            prefetch=100,
            nameless=Nameless(run="a", window=100),
            outgoing=self.sent,
            log=structlog.wrap_logger(None, processors=[self._keep]),
        )
        self.connection = StubConnection()
        self._tag = 0

    def _keep(self, _logger: Any, level: str, entry: Any) -> Any:
        self.logged.append((level, entry["event"]))
        raise structlog.DropEvent

    async def connect(self) -> StubChannel:
        """Begins on a new connection."""
        self.connection = StubConnection()
        await self.consumer.set_up(cast("Connection", self.connection))
        return self.connection.opened

    def deliver(self, *kinds: str, tries: int = 0, redelivered: bool = False) -> None:
        """Has notices of these types delivered, named n1, n2 and so on."""
        for kind in kinds:
            self._tag += 1
            body: dict[str, Any] = {"event": {"type": kind}, "users": [1]}
            if tries:
                body["failed_tries"] = tries
            raw = json.dumps(body).encode()
            self.connection.opened.take(Delivery(self._tag, redelivered, f"n{self._tag}", raw))

    def fence(self, reply_to: str | None = "answers") -> None:
        """Has a publisher's fence delivered, named like a notice."""
        self._tag += 1
        self.connection.opened.take(Delivery(self._tag, False, f"n{self._tag}", b"{}", FENCE, {}, reply_to))


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.connect()
    return made


async def turn() -> None:
    """Lets what is due have its turn."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_arrives_together_is_one_batch_and_acknowledged_once_durable(rig: Rig) -> None:
    rig.deliver("a", "a", "a")
    await turn()
    assert rig.engine.taken == ["n1", "n2", "n3"]
    assert [count for _, count in rig.engine.waiting] == [3]
    assert rig.connection.opened.acknowledged == []
    rig.engine.make_durable()
    assert rig.connection.opened.acknowledged == [3]


async def test_what_waits_is_counted_from_its_arrival_to_its_acknowledgement(rig: Rig) -> None:
    assert rig.consumer.backlog() == (0, 0.0)
    rig.deliver("a", "a")
    assert rig.consumer.backlog()[0] == 2
    await turn()
    rig.deliver("a")
    waiting, lag = rig.consumer.backlog()
    assert waiting == 3
    assert lag > 0
    await turn()
    rig.engine.make_durable()
    assert rig.consumer.backlog() == (0, 0.0)


async def test_broken_ones_are_dead_letters_and_the_rest_keeps_its_order(rig: Rig) -> None:
    rig.deliver("a", "bad", "a", "bad", "bad", "a")
    await turn()
    assert rig.engine.taken == ["n1", "n3", "n6"]
    assert [(queue, name) for queue, name, _ in rig.sent.put_into] == [
        ("q_dead_letters", name) for name in ("n2", "n4", "n5")
    ]
    rig.engine.make_durable()
    assert rig.connection.opened.acknowledged == []
    rig.sent.confirm()
    assert rig.connection.opened.acknowledged == [6]


async def test_a_fault_in_those_before_a_broken_one_is_that_one_s_alone(rig: Rig) -> None:
    rig.deliver("a", "late", "bad", "a")
    await turn()
    assert rig.engine.taken == ["n1", "n4"]
    assert [(queue, name) for queue, name, _ in rig.sent.put_into] == [("q_dead_letters", "n3"), ("q", "n2")]
    rig.engine.make_durable()
    rig.sent.confirm()
    assert rig.connection.opened.acknowledged == [4]


@pytest.mark.parametrize(("tries", "queue"), [(0, "q"), (2, "q"), (3, "q_dead_letters")])
async def test_one_that_fails_for_no_known_reason_is_tried_four_times_r8_12(
    rig: Rig, tries: int, queue: str
) -> None:
    rig.deliver("a", "fault", "a", tries=tries)
    await turn()
    assert rig.engine.taken == ["n1", "n3"]
    ((where, name, body),) = rig.sent.put_into
    assert (where, name, body["event"]) == (queue, "n2", {"type": "fault"})
    assert body["failed_tries"] == (tries + 1 if queue == "q" else 3)
    rig.engine.make_durable()
    rig.sent.confirm()
    assert rig.connection.opened.acknowledged == [3]


async def test_one_that_always_fails_has_four_attempts_then_one_line_and_others_go_on_c23(rig: Rig) -> None:
    kind, tries = "fault", 0
    attempts = 0
    while True:
        rig.deliver(kind, "a", tries=tries)
        attempts += 1
        await turn()
        queue, _, body = rig.sent.put_into[-1]
        if queue != "q":
            break
        tries = body["failed_tries"]
    assert (attempts, queue) == (4, "q_dead_letters")
    assert rig.logged.count(("error", "notice became a dead letter")) == 1
    assert rig.engine.taken == ["n2", "n4", "n6", "n8"]
    rig.engine.make_durable()
    rig.sent.confirm()
    assert rig.connection.opened.acknowledged[-1] == 8


async def test_while_nothing_can_be_taken_everything_waits_in_order(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consuming, "TRY_AGAIN", 0.001)
    rig.engine.full = True
    rig.deliver("a", "bad", "a")
    await turn()
    rig.deliver("a")
    await turn()
    assert rig.engine.taken == []
    rig.engine.full = False
    async with asyncio.timeout(10):
        while len(rig.engine.taken) < 3:  # noqa: ASYNC110 - the engine is no part of the loop
            await asyncio.sleep(0.001)
    assert rig.engine.taken == ["n1", "n3", "n4"]
    rig.engine.make_durable()
    rig.sent.confirm()
    assert rig.connection.opened.acknowledged[-1] == 4


async def test_after_a_lost_connection_nothing_of_it_is_carried_out_or_acknowledged(rig: Rig) -> None:
    old = rig.connection.opened
    rig.deliver("a")
    await turn()
    rig.deliver("a")
    rig.consumer.lost()
    await turn()
    assert rig.engine.taken == ["n1"]
    new = await rig.connect()
    rig.engine.make_durable()
    # Its acknowledgement goes to its own channel, where nobody hears it any more.
    assert (old.acknowledged, new.acknowledged) == ([1], [])
    rig.deliver("a", redelivered=True)
    await turn()
    assert rig.engine.taken == ["n1", "n3"]


async def test_a_fence_is_answered_when_all_before_it_is_durable_d7(rig: Rig) -> None:
    rig.deliver("a", "a")
    rig.fence()
    rig.deliver("a")
    await turn()
    # What comes behind it does not wait for it.
    await turn()
    assert rig.engine.taken == ["n1", "n2", "n4"]
    assert rig.sent.answers == []
    rig.engine.make_durable()
    assert rig.sent.answers == [("answers", "n3")]
    assert rig.connection.opened.acknowledged == [2]
    rig.sent.confirm()
    assert rig.connection.opened.acknowledged == [2, 4]


async def test_a_fence_waits_for_what_could_not_be_carried_out(rig: Rig) -> None:
    rig.engine.full = True
    rig.deliver("a")
    rig.fence()
    await turn()
    assert rig.sent.answers == []
    rig.engine.full = False
    rig.consumer._release(cast("Any", rig.consumer._held))
    rig.engine.make_durable()
    await turn()
    assert rig.sent.answers == [("answers", "n2")]


async def test_a_fence_alone_is_answered_at_once_and_one_for_nobody_is_dropped(rig: Rig) -> None:
    rig.fence(None)
    rig.fence()
    await turn()
    await turn()
    assert rig.sent.answers == [("answers", "n2")]
    assert rig.connection.opened.acknowledged == [1]


async def test_a_fence_that_a_lost_connection_took_along_comes_again(rig: Rig) -> None:
    rig.deliver("a")
    rig.fence()
    await turn()
    rig.consumer.lost()
    await rig.connect()
    rig.engine.make_durable()
    rig.fence()
    await turn()
    assert rig.sent.answers[-1] == ("answers", "n3")
    rig.sent.confirm()
    assert rig.connection.opened.acknowledged == [3]


async def test_the_headers_of_a_part_stay_with_it_as_a_dead_letter(rig: Rig) -> None:
    body = b'{"event": {"type": "bad"}, "users": [1]}'
    rig.connection.opened.take(Delivery(1, False, "n1", body, None, {"x-tidewire-parts": "a,b"}))
    await turn()
    assert rig.sent.headers[-1]["x-tidewire-parts"] == "a,b"
    assert rig.sent.headers[-1]["x-tidewire-code"] == "INVALID_NOTICE"
