"""What becomes of a message that the broker does not take: tried again, tried alone, given up."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

import pytest

from tidewire._amqp.broker import BrokerLost, Connection
from tidewire._amqp.confirms import PublishOutcome, Sender
from tidewire.bus import producer
from tidewire.bus.broker_connection import Reconnecting
from tidewire.bus.producer import MOST_REFUSALS, Producer


class ScriptedSender:
    """Gives every message its fate by the message's body."""

    is_open = True

    def __init__(self, fate: Callable[[bytes, int], PublishOutcome]) -> None:
        self._fate = fate
        self.connection = self
        self.published: list[bytes] = []
        self.under_way = 0
        self.most_under_way = 0
        self.declared: list[str] = []

    async def publish(self, _queue: str, body: bytes, **_more: object) -> PublishOutcome:
        """Takes a turn of the loop."""
        self.published.append(body)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return self._fate(body, self.published.count(body))

    async def ensure_queue(self, name: str) -> None:
        """Notes it."""
        self.declared.append(name)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "PAUSE", 0.0)
    monkeypatch.setattr(producer, "LONGEST_PAUSE", 0.0)


async def put(sender: ScriptedSender, *bodies: bytes) -> tuple[list[bytes], list[tuple[bytes, str]]]:
    """What was done with and what failed, of messages that were put at once."""
    made = Producer([], chance=lambda: 0.5)
    made._sender = cast("Sender", sender)
    done: list[bytes] = []
    failed: list[tuple[bytes, str]] = []
    for body in bodies:
        made.put(
            "q",
            body,
            message_id="m",
            headers=None,
            done=lambda body=body: done.append(body),  # type: ignore[misc]
            failed=lambda reason, body=body: failed.append((body, reason)),  # type: ignore[misc]
        )
    async with asyncio.timeout(60):
        while len(done) + len(failed) < len(bodies):  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0)
    return done, failed


async def test_what_the_broker_refuses_for_good_is_given_up_and_what_it_takes_in_the_end_is_not() -> None:
    sender = ScriptedSender(
        lambda body, time: (
            PublishOutcome.CONFIRMED if body == b"late" and time > 3 else PublishOutcome.REFUSED
        )
    )
    done, failed = await put(sender, b"late", b"never")
    assert (done, failed) == ([b"late"], [(b"never", "refused by the broker")])
    assert sender.published.count(b"never") == MOST_REFUSALS


async def test_what_was_lost_with_a_connection_is_tried_for_ever() -> None:
    sender = ScriptedSender(lambda _, time: PublishOutcome.CONFIRMED if time > 50 else PublishOutcome.LOST)
    assert await put(sender, b"one") == ([b"one"], [])


async def test_what_ends_the_channel_pays_alone() -> None:
    """All that was under way is lost with it; afterwards each is tried by itself."""
    alone: list[int] = []

    def fate(body: bytes, time: int) -> PublishOutcome:
        if time == 1:
            return PublishOutcome.FAULT
        alone.append(sender.under_way)
        return PublishOutcome.FAULT if body == b"poison" else PublishOutcome.CONFIRMED

    sender = ScriptedSender(fate)
    done, failed = await put(sender, b"a", b"poison", b"b")
    assert (sorted(done), [body for body, _ in failed]) == ([b"a", b"b"], [b"poison"])
    assert sender.most_under_way == 3
    assert set(alone) == {0}


async def test_what_can_not_be_sent_is_given_up_at_once() -> None:
    sender = ScriptedSender(lambda *_: PublishOutcome.UNSENDABLE)
    assert await put(sender, b"odd") == ([], [(b"odd", "it can't be sent")])
    assert len(sender.published) == 1


async def test_a_queue_that_is_gone_is_made_again() -> None:
    sender = ScriptedSender(
        lambda _, time: PublishOutcome.UNROUTABLE if time == 1 else PublishOutcome.CONFIRMED
    )
    assert await put(sender, b"one") == ([b"one"], [])
    assert sender.declared == ["q"]


# Coming back.


class Scripted:
    """A connection that is lost at once, under a clock that stands still unless it is told otherwise."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.closed.set_result("frame too large")

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(("stood", "grows"), [(0.0, True), (11.0, False)])
async def test_a_connection_that_does_not_last_is_tried_ever_more_slowly(
    monkeypatch: pytest.MonkeyPatch, stood: float, grows: bool
) -> None:
    delays: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(delay: float) -> None:
        delays.append(delay)
        if len(delays) == 8:
            raise asyncio.CancelledError
        await real_sleep(0)

    monkeypatch.setattr("tidewire.bus.broker_connection.asyncio.sleep", sleep)
    now = [0.0]

    async def connect() -> Connection:
        return cast("Connection", Scripted())

    async def set_up(_connection: Connection) -> None:
        now[0] += 1

    def on_up(up: bool) -> None:
        now[0] += stood if up else 0

    reasons: list[str] = []
    link = Reconnecting(
        name="in",
        connect=connect,
        set_up=set_up,
        on_up=on_up,
        on_failure=reasons.append,
        chance=lambda: 1.0,
        timer=lambda: now[0],
        log=cast("Any", None),
    )
    with contextlib.suppress(asyncio.CancelledError):
        await link._run()
    assert reasons == ["frame too large"] * 8
    assert (delays[-1] == 2.0) is grows
    assert (set(delays) == {0.1}) is not grows


async def test_the_same_fault_again_and_again_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Log:
        """Keeps."""

        def exception(self, event: str, **_: object) -> None:
            """Keeps it."""
            said.append(event)

    async def connect() -> Connection:
        if len(reasons) == 5:
            raise asyncio.CancelledError
        raise ZeroDivisionError if len(reasons) < 4 else BrokerLost("away")

    reasons: list[str] = []
    monkeypatch.setattr("tidewire.bus.broker_connection.LONGEST_DELAY", 0.0)
    link = Reconnecting(
        name="in",
        connect=connect,
        set_up=cast("Any", None),
        on_up=cast("Any", None),
        on_failure=reasons.append,
        chance=lambda: 0.0,
        timer=lambda: 0.0,
        log=cast("Any", Log()),
    )
    with contextlib.suppress(asyncio.CancelledError):
        await link._run()
    assert said == ["bus failed"]
    assert reasons[-1] == "away"
