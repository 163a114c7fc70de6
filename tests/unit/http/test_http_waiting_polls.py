"""Polls that wait, and clients that go away at the worst moment: events stay until acknowledged (R1.20)."""

import asyncio

import pytest
from starlette.types import Message

from support import asgi
from support.site import LocalSite
from tidewire.cluster.awaitable import AwaitableWaiter
from tidewire.engine.timing import TICK


async def test_a_waiting_poll_is_answered_by_an_event(local: LocalSite) -> None:
    queue_id = await local.register("ada")
    poll = await local.park("ada", queue_id)
    await local.publish("ada", type="t")
    answer = await poll.answer()
    assert (answer.json["events"], answer.json["queue_id"]) == ([{"type": "t", "id": 0}], queue_id)
    assert local.engine.waiting() == 0


async def test_a_client_that_goes_away_is_noticed_and_logged(local: LocalSite) -> None:
    """R2.21, R11.7: its events are there when it comes back."""
    queue_id = await local.register("ada")
    poll = await local.park("ada", queue_id)
    poll.disconnect()
    await poll.answer()
    assert local.engine.waiting() == 0
    assert [(entry["event"], entry["queue_id"]) for entry in local.log] == [("client disconnected", queue_id)]
    await local.publish("ada", type="t")
    assert [event["id"] for event in await local.events("ada", queue_id)] == [0]


async def test_going_away_counts_as_activity(local: LocalSite) -> None:
    """D-4."""
    queue_id = await local.register("ada")
    poll = await local.park("ada", queue_id)
    local.clock.advance(1000)
    poll.disconnect()
    await poll.answer()
    descriptor = local.engine.shard.find(queue_id)
    assert descriptor is not None
    assert descriptor.last_active == local.clock.now()


@pytest.mark.parametrize("event_first", [True, False])
async def test_a_poll_answered_while_its_client_goes_away_keeps_its_events(
    local: LocalSite, event_first: bool
) -> None:
    """Whichever comes first on the loop, both are there before the request runs again."""
    queue_id = await local.register("ada")
    poll = await local.park("ada", queue_id)
    if event_first:
        await local.publish("ada", type="t")
        poll.disconnect()
    else:
        poll.disconnect()
        await local.publish("ada", type="t")
    await poll.answer()
    assert [event["id"] for event in await local.events("ada", queue_id)] == [0]
    assert await local.events("ada", queue_id, 0) == []


async def test_an_event_between_the_loss_and_its_being_noticed_is_kept(local: LocalSite) -> None:
    """The listener has seen the client go, the request has not run yet, and the engine answers its slot."""
    queue_id = await local.register("ada")
    poll = await local.park("ada", queue_id)
    poll.disconnect()
    for _ in range(6):
        await asyncio.sleep(0)
        if poll.is_answered:
            break
        await local.publish("ada", type="t")
    await poll.answer()
    held = await local.events("ada", queue_id)
    assert [event["id"] for event in held] == list(range(len(held)))
    assert held


async def test_a_poll_with_a_request_body_waits_like_any_other(local: LocalSite) -> None:
    """What is left of the body is not taken for the client's going away."""
    queue_id = await local.register("ada")
    form = {"queue_id": queue_id, "last_event_id": -1}
    poll = local.begin("ada", "GET", "/api/v1/events", form=form)
    await asgi.settle()
    other = local.begin("ada", "GET", "/api/v1/events", query=form, body=[b"x", b"y"])
    await asgi.settle()
    assert (await poll.answer()).json["events"] == []
    assert not other.is_answered
    await local.publish("ada", type="t")
    assert len((await other.answer()).json["events"]) == 1


async def test_a_second_poll_displaces_the_first(local: LocalSite) -> None:
    """R2.18, C7."""
    queue_id = await local.register("ada")
    first = await local.park("ada", queue_id)
    second = await local.park("ada", queue_id)
    assert (await first.answer()).json["events"] == []
    first.disconnect()
    await asgi.settle()
    assert local.engine.waiting() == 1
    await local.publish("ada", type="t")
    assert len((await second.answer()).json["events"]) == 1


async def test_a_poll_that_does_not_block_displaces_too(local: LocalSite) -> None:
    """R2.18, R6.42."""
    queue_id = await local.register("ada")
    first = await local.park("ada", queue_id)
    assert await local.events("ada", queue_id) == []
    assert (await first.answer()).json["events"] == []
    assert local.engine.waiting() == 0


async def test_deleting_the_queue_ends_its_poll(local: LocalSite) -> None:
    """R6.65."""
    queue_id = await local.register("ada")
    poll = await local.park("ada", queue_id)
    answer = await local.ask("ada", "DELETE", "/api/v1/events", query={"queue_id": queue_id})
    assert answer.json == {"result": "success", "msg": ""}
    assert (await poll.answer()).json["events"] == []
    query = {"queue_id": queue_id, "last_event_id": -1}
    assert (await local.ask("ada", "GET", "/api/v1/events", query=query)).json["code"] == "BAD_EVENT_QUEUE_ID"


async def test_all_events_of_one_notice_come_in_one_answer(local: LocalSite) -> None:
    """D-31: the notices of one request are one turn."""
    queue_id = await local.register("ada")
    poll = await local.park("ada", queue_id)
    body = b"\n".join(b'{"event":{"type":"t"},"users":[1]}' for _ in range(3))
    assert (await local.internal("/api/internal/notices", body=body)).json["accepted"] == 3
    assert [event["id"] for event in (await poll.answer()).json["events"]] == [0, 1, 2]


async def test_a_heartbeat_ends_a_poll_whatever_types_it_asked_for(local: LocalSite) -> None:
    """R1.21, C8."""
    queue_id = await local.register("ada", event_types=["message"])
    poll = await local.park("ada", queue_id)
    for _ in range(44):
        local.clock.advance(TICK)
        local.engine.tick()
    await asgi.settle()
    assert not poll.is_answered
    for _ in range(11):
        local.clock.advance(TICK)
        local.engine.tick()
    assert (await poll.answer()).json["events"] == [{"type": "heartbeat", "id": 0}]


async def test_an_answer_to_a_request_that_was_given_up_is_taken_quietly(local: LocalSite) -> None:
    queue_id = await local.register("ada")
    poll = await local.park("ada", queue_id)
    poll.cancel()
    await asgi.settle()
    assert local.engine.waiting() == 0
    await local.publish("ada", type="t")
    assert [event["id"] for event in await local.events("ada", queue_id)] == [0]


async def test_a_slot_gives_the_answer_that_was_there_first() -> None:
    slot: AwaitableWaiter[int] = AwaitableWaiter()
    slot.complete(7)
    assert slot.answer == 7
    assert await slot.wait() == 7
    assert await slot.wait_connected(_never) == 7


async def test_a_slot_wakes_who_waits() -> None:
    slot: AwaitableWaiter[int] = AwaitableWaiter()
    waiting = asyncio.create_task(slot.wait())
    await asyncio.sleep(0)
    slot.complete(7)
    assert await waiting == 7


async def _never() -> Message:
    raise AssertionError("nothing to receive is asked for when the answer is there")
