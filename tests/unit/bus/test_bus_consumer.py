"""What becomes of deliveries, without a broker: the engine's answers are scripted."""

import asyncio
from typing import Any, cast

import pytest

from support.bus_rig import Rig, turn
from tidewire._amqp.broker import Delivery
from tidewire.bus import consumer


@pytest.fixture
async def rig() -> Rig:
    made = Rig()
    await made.connect()
    return made


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
    monkeypatch.setattr(consumer, "TRY_AGAIN", 0.001)
    rig.engine.full = True
    rig.deliver("a", "bad", "a")
    await turn()
    rig.deliver("a")
    await turn()
    assert rig.engine.taken == []
    await asyncio.sleep(0.02)  # several tries, of which one line is written
    assert rig.logged.count(("warning", "notices of the bus wait")) == 1
    rig.engine.full = False
    async with asyncio.timeout(60):
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
