"""Registering with the state: queue, reading, events in between, and the cursor (R7.1-R7.12, D-34, C28)."""

import asyncio
from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest

from support import asgi
from support.application import Things
from support.raw_http import Answer
from support.site import LocalSite
from tidewire.core.errors import StateUnavailable
from tidewire.initial_state import Asked, Event, Provider, State, StateProvider
from tidewire.initial_state.combined import Assembly
from tidewire.initial_state.functions import FunctionsSource


def with_providers(local: LocalSite, *providers: StateProvider, timeout: float = 5.0) -> LocalSite:
    def report(fetch_type: str, step: str, error: Exception) -> None:
        local.context.log.error("state provider failed", fetch_type=fetch_type, step=step, exc_info=error)

    return local.changed(state=Assembly([FunctionsSource(providers, report=report)], timeout=timeout))


async def register(local: LocalSite, **parameters: Any) -> Answer:
    return await local.ask("ada", "POST", "/api/v1/register", form=parameters)


async def change(local: LocalSite, things: Things, op: str, name: str) -> None:
    await local.publish("ada", **things.change(op, name))


def replayed(answer: Answer, events: Iterable[Event]) -> list[str]:
    """What a client makes of the answer and the events after it."""
    things = set(answer.json["things"])
    for event in events:
        if event["type"] == "thing":
            (things.add if event["op"] == "add" else things.discard)(event["name"])
    return sorted(things)


async def test_the_state_stands_beside_the_queue(local: LocalSite) -> None:
    things = Things(["a"])
    answer = await register(with_providers(local, things.provider()), fetch_event_types=["things"])
    assert (answer.json["things"], answer.json["last_event_id"]) == (["a"], -1)
    assert things.asked[0].user.id == 1
    assert things.asked[0].realm is not None
    assert things.asked[0].queue_id == answer.json["queue_id"]


@pytest.mark.parametrize(
    ("fetched", "event_types", "wanted"),
    [
        (None, None, True),
        (["things"], ["other"], True),
        (None, ["other"], False),
        (["other"], ["things"], False),
    ],
)
async def test_what_is_fetched_is_what_was_asked_for(
    local: LocalSite, fetched: Any, event_types: Any, wanted: bool
) -> None:
    """R7.2: `fetch_event_types`, else `event_types`, else all."""
    site = with_providers(local, Things(["a"]).provider())
    answer = await register(site, fetch_event_types=fetched, event_types=event_types)
    assert ("things" in answer.json) is wanted


CHANGES = [("add", "b"), ("remove", "a")]


@pytest.mark.parametrize("places", list(product(["before", "unread", "read", "after"], repeat=2)))
async def test_changes_at_any_moment_are_in_the_answer_or_come_after_it(
    local: LocalSite, places: tuple[str, str]
) -> None:
    """C28: between queue and snapshot, between snapshot and events, and around; equal to a fresh snapshot."""
    things = Things(["a"])
    site = with_providers(local, things.provider())
    changes = dict(zip(CHANGES, places, strict=True))

    async def at(place: str) -> None:
        for op, name in (each for each, moment in changes.items() if moment == place):
            await change(site, things, op, name)

    await at("before")
    things.hold()
    exchange = site.begin("ada", "POST", "/api/v1/register", form={})
    await things.reading.wait()
    await at("unread")
    # What is read is what there is now; the change after it comes before the answer, but not into what was read.
    seen = set(things.names)
    for op, name in (each for each, moment in changes.items() if moment == "read"):
        event = things.change(op, name)
        await site.publish("ada", **event)
    now, things.names = things.names, seen
    things.go_on.set()
    answer = await exchange.answer()
    things.names = now
    await at("after")
    queue_id, last = answer.json["queue_id"], answer.json["last_event_id"]
    events = await site.events("ada", queue_id, last)
    assert replayed(answer, events) == sorted(things.names) == ["b"]
    # What is in the answer doesn't come again (R7.3).
    inside = [moment for moment in places if moment in ("unread", "read")]
    assert last == len(inside) - 1
    assert len(events) == places.count("after")


async def test_an_event_that_nobody_applies_is_left_for_the_client_with_all_behind_it(
    local: LocalSite,
) -> None:
    """R7.7, D-34."""
    things = Things()
    things.hold()
    site = with_providers(local, things.provider())
    exchange = site.begin("ada", "POST", "/api/v1/register", form={})
    await things.reading.wait()
    await change(site, things, "add", "early")
    await site.publish("ada", type="typing", op="start")
    await site.publish("ada", type="unheard_of")
    things.names.discard("late")
    event = {"type": "thing", "op": "add", "name": "late"}
    await site.publish("ada", **event)
    things.go_on.set()
    answer = await exchange.answer()
    assert answer.json["things"] == ["early"]
    assert answer.json["last_event_id"] == 1
    rest = await site.events("ada", answer.json["queue_id"], 1)
    assert [each["type"] for each in rest] == ["unheard_of", "thing"]


async def test_an_event_that_can_not_be_applied_is_left_for_the_client(local: LocalSite) -> None:
    things = Things()
    things.hold()

    def fails(_state: State, _event: Event) -> None:
        raise RuntimeError("a bug")

    broken = Provider(fetch_type="things", event_types=frozenset({"thing"}), read=things.read, apply=fails)
    site = with_providers(local, broken)
    exchange = site.begin("ada", "POST", "/api/v1/register", form={})
    await things.reading.wait()
    await change(site, things, "add", "x")
    things.go_on.set()
    answer = await exchange.answer()
    assert (answer.status, answer.json["last_event_id"]) == (200, -1)
    assert site.log[-1]["event"] == "state provider failed"


def read_in_a_thread(_asked: Asked) -> State:
    """A plain function."""
    return {"things": ["from a thread"]}


async def test_a_plain_function_may_wait(local: LocalSite) -> None:
    site = with_providers(local, Provider(fetch_type="things", read=read_in_a_thread))
    assert (await register(site)).json["things"] == ["from a thread"]


async def test_a_provider_that_fails_leaves_no_queue(local: LocalSite) -> None:
    """R7.10."""

    async def fails(_asked: Asked) -> State:
        raise RuntimeError("no database")

    site = with_providers(local, Provider(fetch_type="things", read=fails))
    answer = await register(site)
    assert (answer.status, answer.json["code"]) == (503, StateUnavailable.code)
    assert "database" not in answer.json["msg"]
    assert site.engine.shard.queues() == 0
    assert site.log[-1]["event"] == "state provider failed"


async def test_a_provider_that_takes_too_long_leaves_no_queue(local: LocalSite) -> None:
    things = Things()
    things.hold()
    answer = await register(with_providers(local, things.provider(), timeout=0.01))
    assert (answer.status, answer.json["code"]) == (503, StateUnavailable.code)
    assert local.engine.shard.queues() == 0


async def test_a_queue_that_ends_meanwhile_is_said_to(local: LocalSite) -> None:
    things = Things()
    things.hold()
    site = with_providers(local, things.provider())
    exchange = site.begin("ada", "POST", "/api/v1/register", form={})
    await things.reading.wait()
    site.engine.revoke([1])  # type: ignore[list-item]  # ids of tests are plain
    things.go_on.set()
    answer = await exchange.answer()
    assert (answer.status, answer.json["code"], answer.json["reason"]) == (
        503,
        "STATE_UNAVAILABLE",
        "revoked",
    )


async def test_a_request_that_is_given_up_leaves_no_queue(local: LocalSite) -> None:
    things = Things()
    things.hold()
    site = with_providers(local, things.provider())
    exchange = site.begin("ada", "POST", "/api/v1/register", form={})
    await things.reading.wait()
    exchange.cancel()
    await asgi.settle()
    assert site.engine.shard.queues() == 0


async def test_two_registrations_read_at_the_same_time(local: LocalSite) -> None:
    things = Things()
    things.hold()
    site = with_providers(local, things.provider())
    both = [site.begin("ada", "POST", "/api/v1/register", form={}) for _ in range(2)]
    await asgi.settle()
    assert len(things.asked) == 2
    things.go_on.set()
    answers = await asyncio.gather(*(each.answer() for each in both))
    assert len({answer.json["queue_id"] for answer in answers}) == 2
