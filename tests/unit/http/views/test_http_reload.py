"""`web_reload_clients`: telling the web clients of an earlier process to reload (R6.70, R1.24-R1.28, C22)."""

from typing import Any

import pytest

from support.site import LocalSite

PATH = "/api/internal/web_reload_clients"


async def restarted(local: LocalSite, **event_types: list[str] | None) -> dict[str, str]:
    """Queues by the name of their user, as if an earlier process had made them."""
    queues = {name: await local.register(name, event_types=types) for name, types in event_types.items()}
    local.engine.begin(resumed=False)
    return queues


async def test_all_are_told_when_no_number_is_given(local: LocalSite) -> None:
    """R1.25, R1.26: all that were there before and accept the type."""
    queues = await restarted(local, ada=None, bob=["message"], gil=["web_reload_client"])
    answer = await local.internal(PATH)
    assert (answer.status, answer.json) == (
        200,
        {"result": "success", "msg": "", "sent_events": 2, "complete": True},
    )
    told = {"type": "web_reload_client", "immediate": False, "id": 0}
    assert await local.events("ada", queues["ada"]) == [told]
    assert await local.events("bob", queues["bob"]) == []
    assert await local.events("gil", queues["gil"]) == [told]
    assert (await local.internal(PATH)).json["sent_events"] == 0


async def test_some_are_told_at_a_time_until_fewer_are_left(local: LocalSite) -> None:
    """R6.70."""
    await restarted(local, ada=None, bob=None, gil=None)
    assert (await local.internal(PATH, form={"client_count": 0})).json["complete"] is False
    rounds = [
        (await local.internal(PATH, form={"client_count": 2, "immediate": True})).json for _ in range(3)
    ]
    assert [(each["sent_events"], each["complete"]) for each in rounds] == [(2, False), (1, True), (0, True)]
    assert (await local.internal(PATH, form={"client_count": 0})).json["complete"] is False


async def test_a_new_queue_is_not_told(local: LocalSite) -> None:
    """R1.25: its page is of the present release."""
    queue_id = await local.register("ada")
    assert (await local.internal(PATH)).json["sent_events"] == 0
    assert await local.events("ada", queue_id) == []


async def test_a_queue_that_ended_meanwhile_is_not_counted(local: LocalSite) -> None:
    """R1.27."""
    queues = await restarted(local, ada=None, bob=None)
    await local.ask("ada", "DELETE", "/api/v1/events", query={"queue_id": queues["ada"]})
    assert (await local.internal(PATH)).json["sent_events"] == 1


async def test_the_event_says_whether_at_once(local: LocalSite) -> None:
    """R1.24."""
    queues = await restarted(local, ada=None)
    await local.internal(PATH, form={"immediate": True})
    assert [event["immediate"] for event in await local.events("ada", queues["ada"])] == [True]


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"client_count": -1}, "client_count is too small"),
        ({"client_count": "x"}, "client_count is not valid JSON"),
        ({"immediate": 1}, "immediate is not a boolean"),
    ],
)
async def test_wrong_parameters_are_refused(local: LocalSite, form: dict[str, Any], sentence: str) -> None:
    answer = await local.internal(PATH, form=form)
    assert (answer.status, answer.json["msg"]) == (400, sentence)
