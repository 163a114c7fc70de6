"""State from the application over HTTP: what it is asked, and what becomes of wrong answers."""

import json
from collections.abc import Iterator

import pytest

from support.http_stub import Reply, StubServer
from tidewire._http.bounded import Caller
from tidewire.core.errors import StateUnavailable
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import User
from tidewire.initial_state import Asked
from tidewire.initial_state.callback import CallbackSource

ADA = User(id=UserId(1), realm_id=RealmId(1), email="ada@test.example", full_name="Ada")
ASKED = Asked(user=ADA, realm=None, queue_id="q", fetch_types=frozenset({"b", "a"}))
GOOD = Reply({"state": {"things": []}, "event_types": ["thing"]})


@pytest.fixture
def application() -> Iterator[StubServer]:
    with StubServer() as stub:
        yield stub


def source(
    application: StubServer,
    failures: list[str],
    *,
    attempts: int = 2,
    max_bytes: int = 10_000,
    timeout: float = 5,
) -> CallbackSource:
    caller = Caller(
        f"{application.url}/state?x=1",
        timeout=timeout,
        max_bytes=max_bytes,
        headers=[("Authorization", "Bearer secret")],
    )
    return CallbackSource(
        caller, attempts=attempts, report=lambda step, error: failures.append(f"{step}: {error}")
    )


async def test_the_application_is_told_who_asks_for_what(application: StubServer) -> None:
    application.replies.append(GOOD)
    draft = await source(application, []).read(ASKED)
    assert (draft.state, draft.event_types) == ({"things": []}, frozenset({"thing"}))
    (asked,) = application.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/state", {"x": "1"})
    assert asked.headers["Authorization"] == "Bearer secret"
    assert json.loads(asked.body) == {
        "step": "read",
        "user_id": 1,
        "realm_id": 1,
        "email": "ada@test.example",
        "queue_id": "q",
        "fetch_event_types": ["a", "b"],
        "event_types": None,
        "options": {},
    }


async def test_the_application_applies_events(application: StubServer) -> None:
    application.replies += [GOOD, Reply({"state": {"things": ["x"]}})]
    draft = await source(application, []).read(ASKED)
    event = {"type": "thing", "op": "add", "name": "x", "id": 0}
    assert await draft.apply([event]) == 1
    assert draft.state == {"things": ["x"]}
    told = json.loads(application.asked[1].body)
    assert (told["step"], told["state"], told["events"]) == ("apply", {"things": []}, [event])


@pytest.mark.parametrize(("applied", "counted"), [(0, 0), (1, 1), (9, 2), (-3, 0)])
async def test_it_may_apply_fewer(application: StubServer, applied: int, counted: int) -> None:
    application.replies += [GOOD, Reply({"state": {}, "applied": applied})]
    draft = await source(application, []).read(ASKED)
    assert await draft.apply([{"type": "thing", "id": 0}, {"type": "thing", "id": 1}]) == counted


async def test_when_it_can_not_apply_the_events_are_left(application: StubServer) -> None:
    application.replies += [GOOD, Reply(status=500), Reply(status=500)]
    failures: list[str] = []
    draft = await source(application, failures).read(ASKED)
    assert await draft.apply([{"type": "thing", "id": 0}]) == 0
    assert draft.state == {"things": []}
    assert failures == ["apply: The application answered 500"]


@pytest.mark.parametrize("first", [Reply(status=503), Reply({}, drop=True), Reply({"state": {}}, cut=True)])
async def test_what_may_have_been_bad_luck_is_tried_again(application: StubServer, first: Reply) -> None:
    application.replies += [first, GOOD]
    assert (await source(application, []).read(ASKED)).state == {"things": []}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(status=302, headers={"Location": "http://127.0.0.1:1/"}), "answered 302"),
        (Reply(status=403), "answered 403"),
        (Reply(b"{"), "truncated"),
        (Reply([1]), "Expected `object`"),
        (Reply({"state": []}), "Expected `object`"),
        (Reply({"state": {"x": "y" * 10_000}}), "larger than 10000 bytes"),
    ],
)
async def test_what_is_no_state_is_not_asked_for_again(
    application: StubServer, reply: Reply, why: str
) -> None:
    application.replies += [reply, GOOD]
    failures: list[str] = []
    with pytest.raises(StateUnavailable):
        await source(application, failures).read(ASKED)
    assert why in failures[0]
    assert len(application.asked) == 1


async def test_no_answer_in_time_is_no_answer(application: StubServer) -> None:
    application.replies.append(Reply(hang=True))
    failures: list[str] = []
    with pytest.raises(StateUnavailable):
        await source(application, failures, attempts=1, timeout=0.05).read(ASKED)
    assert failures == ["read: No answer came within 0.05 seconds"]


async def test_an_application_that_is_not_there_is_said_to_be() -> None:
    failures: list[str] = []
    caller = Caller("http://127.0.0.1:1/", timeout=5, max_bytes=100)
    gone = CallbackSource(caller, attempts=1, report=lambda _, error: failures.append(str(error)))
    with pytest.raises(StateUnavailable):
        await gone.read(ASKED)
    assert "connection failed" in failures[0]
