"""State that a client keeps up to date, from `register` or from the application."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from support.fake_time import FakeTime
from support.http_stub import Reply, StubServer, failure, success
from tidewire.client import AsyncClient, Client, LiveState
from tidewire.state import apply_events, keyed, latest, members

TASKS = keyed("tasks", event_type="task", item="task")
APPLY = {"task": TASKS, "mood": latest("mood", event_type="mood", value="is")}


def task(event_id: int, title: str, **members: Any) -> dict[str, Any]:
    return {"id": event_id, "type": "task", "task": {"id": 7, "title": title}, **members}


def registered(**state: Any) -> Reply:
    return success(queue_id="q1", last_event_id=-1, idle_queue_timeout_secs=600, **state)


@pytest.fixture
def client(stub: StubServer, fake_time: FakeTime) -> Iterator[Client]:
    with Client(stub.url, email="e", api_key="k", _timing=fake_time.timing) as made:
        yield made


def test_the_state_is_the_answers_and_shows_each_event_when_it_is_given(
    stub: StubServer, client: Client
) -> None:
    seen: list[Any] = []
    state = LiveState(APPLY, on_change=lambda state: seen.append(state["tasks"]))
    stub.script(registered(tasks={}, mood="calm"), success(events=[task(0, "a"), task(1, "b")]))
    events = client.events(["task"], state=state)
    assert dict(state) == {"tasks": {}, "mood": "calm"}
    assert stub.asked[0].form["fetch_event_types"] == '["task", "mood"]'
    next(events)
    assert state["tasks"] == {"7": {"id": 7, "title": "a"}}
    next(events)
    assert state["tasks"]["7"]["title"] == "b"
    assert seen == [{}, {"7": {"id": 7, "title": "a"}}, {"7": {"id": 7, "title": "b"}}]


def test_a_new_queue_brings_a_whole_new_state(stub: StubServer, client: Client) -> None:
    """Whatever the lost events did is in it, before `on_gap` is called."""
    state = LiveState(APPLY)
    told: list[Mapping[str, Any]] = []
    stub.script(registered(tasks={}), success(events=[task(0, "a")]))
    stub.script(failure(400, "BAD_EVENT_QUEUE_ID", reason="expired"))
    stub.script(registered(tasks={"8": {"id": 8}}), success(events=[task(5, "c")]))
    events = client.events(state=state, on_gap=lambda _: told.append(dict(state)))
    next(events)
    next(events)
    assert told == [{"tasks": {"8": {"id": 8}}}]
    assert set(state["tasks"]) == {"7", "8"}


def test_state_can_be_read_from_the_application_once_the_queue_is_there(
    stub: StubServer, client: Client
) -> None:
    """R7.2: the queue comes first, so that no change falls between."""
    state = LiveState(APPLY)

    def read() -> dict[str, Any]:
        assert len(stub.asked) == 1
        return {"mood": "read"}

    stub.script(registered(mood="unread"))
    client.events(state=state, read_state=read, fetch_event_types=[])
    assert dict(state) == {"mood": "read"}
    assert stub.asked[0].form["fetch_event_types"] == "[]"


async def test_state_can_be_read_by_a_coroutine_function(stub: StubServer) -> None:
    state = LiveState(APPLY)

    async def read() -> dict[str, Any]:
        return {"mood": "read"}

    stub.script(registered())
    async with AsyncClient(stub.url, email="e", api_key="k") as client:
        await client.events(state=state, read_state=read)
    assert dict(state) == {"mood": "read"}


def test_what_reads_the_state_must_return_a_mapping(stub: StubServer, client: Client) -> None:
    stub.script(registered())
    with pytest.raises(TypeError, match="mapping"):
        client.events(state=LiveState(APPLY), read_state=list)  # type: ignore[arg-type]


def test_a_recovery_is_found_out_at_once_and_told(stub: StubServer, client: Client) -> None:
    """A poll that waits would say nothing until an event comes: a screen would go on showing `offline`."""
    told: list[str] = []
    stub.script(registered(), failure(503, "X"), failure(503, "X"), success(events=[]))
    stub.script(success(events=[{"id": 0, "type": "t"}]))
    events = client.events(
        on_retry=lambda error, _: told.append(error.code), on_recovered=lambda: told.append("again")
    )
    next(events)
    assert told == ["X", "X", "again"]
    assert [poll.query["dont_block"] for poll in stub.polls] == ["false", "true", "true", "false"]


def test_rules_leave_what_they_are_given_as_it_is() -> None:
    before: dict[str, Any] = {"tasks": {"7": {"id": 7, "title": "a"}}, "names": ["x"]}
    kept = {"tasks": {"7": {"id": 7, "title": "a"}}, "names": ["x"]}
    rules = {**APPLY, "names": members("names", event_type="names", items="names")}
    after = apply_events(
        rules,
        before,
        [
            task(0, "b"),
            {"type": "mood", "is": "glad"},
            {"type": "mood"},
            {"type": "names", "names": ["y", "x"]},
            {"type": "other"},
        ],
    )
    assert before == kept
    assert after == {"tasks": {"7": {"id": 7, "title": "b"}}, "mood": "glad", "names": ["x", "y"]}


@pytest.mark.parametrize(
    "event",
    [
        task(0, "b"),
        task(0, "", op="remove"),
        {"type": "mood", "is": "glad"},
        {"type": "names", "op": "add", "names": ["y"]},
        {"type": "names", "op": "remove", "names": ["x", "z"]},
    ],
)
def test_rules_may_see_a_change_that_is_there_already(event: dict[str, Any]) -> None:
    """R7.4."""
    rules = {**APPLY, "names": members("names", event_type="names", items="names")}
    before = {"tasks": {"7": {"id": 7, "title": "a"}}, "names": ["x"]}
    once = apply_events(rules, before, [event])
    assert once != before
    assert apply_events(rules, once, [event]) == once
