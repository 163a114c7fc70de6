"""Registering: from parameters to the queue that is made (R6.30-R6.36, R6.50-R6.57, R2.5-R2.7)."""

from typing import Any

import pytest

from support.raw_http import Answer
from support.site import LocalSite
from tidewire.core.events.capabilities import CAPABILITY_NAMES, TOP_LEVEL, Capabilities
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.state.limits import IdleTimeouts
from tidewire.http.views.events import DECLARED

NULL_SETTINGS = {"notification_settings_null": True}
MOBILE_AGENT = {"user-agent": "ZulipMobile/27.100 (Android 14)"}


async def register(local: LocalSite, name: str = "ada", /, **parameters: Any) -> Answer:
    headers = parameters.pop("headers", {})
    return await local.ask(name, "POST", "/api/v1/register", form=parameters, headers=headers)


async def create(local: LocalSite, name: str = "ada", /, **parameters: Any) -> Answer:
    headers = parameters.pop("headers", {})
    query = {"dont_block": True, **parameters}
    return await local.ask(name, "GET", "/api/v1/events", query=query, headers=headers)


def spec_of(local: LocalSite, answer: Answer) -> QueueSpec:
    assert answer.status == 200, answer
    descriptor = local.engine.shard.find(answer.json["queue_id"])
    assert descriptor is not None
    return descriptor.spec


async def test_a_minimal_registration_has_the_keys_that_clients_need(local: LocalSite) -> None:
    """R6.57."""
    answer = await register(local)
    assert answer.json == {
        "result": "success",
        "msg": "",
        "queue_id": "queue-0",
        "last_event_id": -1,
        "idle_queue_timeout_secs": 600,
        "zulip_version": "12.0",
        "zulip_merge_base": "12.0",
        "zulip_feature_level": 491,
    }
    spec = spec_of(local, answer)
    assert (spec.user_id, spec.realm_id, spec.event_types, spec.narrow) == (1, 1, None, ())
    assert spec.capabilities == Capabilities(client_gravatar=True)
    assert (spec.client_type_name, spec.all_public_streams) == ("Unspecified", False)


async def test_an_events_request_without_a_queue_makes_one(local: LocalSite) -> None:
    """R6.35: the defaults of the direct route."""
    answer = await create(local)
    assert answer.json == {
        "result": "success",
        "msg": "",
        "events": [],
        "queue_id": "queue-0",
        "idle_queue_timeout_secs": 600,
    }
    assert spec_of(local, answer).capabilities == Capabilities()


async def test_both_ways_make_identical_queues(local: LocalSite) -> None:
    """R6.61."""
    common = {"event_types": ["message"], "narrow": [["channel", "ops"]], "all_public_streams": True}
    declared = dict.fromkeys(DECLARED, True)
    first = await register(
        local, client_capabilities={**NULL_SETTINGS, **declared}, apply_markdown=True, **common
    )
    second = await create(local, client_gravatar=True, apply_markdown=True, **declared, **common)
    assert spec_of(local, first) == spec_of(local, second)
    assert "ignored_parameters_unsupported" not in second.json


async def test_capabilities_have_their_place(local: LocalSite) -> None:
    """R6.50: three by name, the rest in the object; misplaced ones are ignored and said to be."""
    top_level = dict.fromkeys(TOP_LEVEL, True)
    answer = await register(local, client_capabilities={**NULL_SETTINGS, **top_level}, archived_channels=True)
    assert spec_of(local, answer).capabilities == Capabilities(client_gravatar=True)
    assert answer.json["ignored_parameters_unsupported"] == ["archived_channels"]
    answer = await create(local, client_capabilities={"archived_channels": True})
    assert spec_of(local, answer).capabilities == Capabilities()
    assert answer.json["ignored_parameters_unsupported"] == ["client_capabilities"]


@pytest.mark.parametrize("name", CAPABILITY_NAMES)
async def test_each_capability_reaches_the_queue(local: LocalSite, name: str) -> None:
    """R2.1; the last one is worked out and can't be declared (R6.23)."""
    by_name = {name: True} if name in TOP_LEVEL else {}
    in_object = {} if name in TOP_LEVEL else {name: True}
    answer = await register(local, client_capabilities={**NULL_SETTINGS, **in_object}, **by_name)
    assert getattr(spec_of(local, answer).capabilities, name) is True


async def test_the_object_must_hold_its_required_member_and_may_hold_unknown_ones(local: LocalSite) -> None:
    """R6.50."""
    answer = await register(local, client_capabilities={})
    assert answer.json["msg"] == 'client_capabilities["notification_settings_null"] is required'
    answer = await register(local, client_capabilities={**NULL_SETTINGS, "from_the_future": True})
    assert (answer.status, "ignored_parameters_unsupported" in answer.json) == (200, False)
    answer = await register(local, client_capabilities={"notification_settings_null": "yes"})
    assert answer.json["msg"] == 'client_capabilities["notification_settings_null"] is not a boolean'


async def test_null_is_accepted_for_lists_and_client_gravatar(local: LocalSite) -> None:
    """R6.51."""
    answer = await register(
        local, event_types=None, fetch_event_types=None, narrow=None, client_gravatar=None
    )
    spec = spec_of(local, answer)
    assert (spec.event_types, spec.narrow, spec.capabilities.client_gravatar) == (None, (), True)


async def test_snapshot_parameters_are_understood_and_the_rest_is_ignored(local: LocalSite) -> None:
    """R6.50, R6.52."""
    answer = await register(
        local,
        fetch_event_types=["realm_user_groups", "unheard_of"],
        include_subscribers="partial",
        presence_history_limit_days=14,
        event_types=["unheard_of"],
        dont_block=True,
    )
    assert answer.json["ignored_parameters_unsupported"] == ["dont_block"]


@pytest.mark.parametrize("ask", [register, create])
@pytest.mark.parametrize(
    ("requested", "effective"),
    [
        ({}, 600),
        ({"idle_queue_timeout": None}, 600),
        ({"idle_queue_timeout": 0}, 600),
        ({"idle_queue_timeout": 3600}, 3600),
        ({"idle_queue_timeout": "mobile"}, 43200),
        ({"idle_queue_timeout": '"mobile"'}, 43200),
        ({"idle_queue_timeout": 604801}, 604800),
        ({"idle_queue_timeout": 2**63 - 1}, 604800),
        ({"idle_queue_timeout": 1}, 60),
        ({"lifespan_secs": 90}, 90),
        ({"queue_lifespan_secs": 90}, 90),
    ],
)
async def test_idle_timeouts_are_floored_capped_and_reported(
    local: LocalSite, ask: Any, requested: dict[str, Any], effective: int
) -> None:
    """R2.5-R2.7, D11: under each name; the answer says what holds."""
    answer = await ask(local, **requested)
    assert answer.json["idle_queue_timeout_secs"] == effective
    assert spec_of(local, answer).idle_timeout == effective
    assert "ignored_parameters_unsupported" not in answer.json


async def test_idle_timeouts_follow_the_settings(local: LocalSite) -> None:
    local = local.changed(idle_timeouts=IdleTimeouts(default=7, maximum=9, minimum=5))
    for requested, effective in ((None, 7), (1, 5), (100, 9), ("mobile", 9)):
        answer = await register(local, idle_queue_timeout=requested)
        assert answer.json["idle_queue_timeout_secs"] == effective
    unbounded = local.changed(idle_timeouts=IdleTimeouts(default=7, maximum=0, minimum=0))
    for requested, effective in ((1, 1), (10**9, 10**9), ("mobile", 43200)):
        answer = await register(unbounded, idle_queue_timeout=requested)
        assert answer.json["idle_queue_timeout_secs"] == effective


@pytest.mark.parametrize("ask", [register, create])
@pytest.mark.parametrize("value", [-1, True, "desktop", 1.5, [], {}])
async def test_a_wrong_idle_timeout_makes_no_queue(local: LocalSite, ask: Any, value: object) -> None:
    """R2.7, R6.31."""
    answer = await ask(local, idle_queue_timeout=value)
    assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")
    assert local.engine.shard.queues() == 0


@pytest.mark.parametrize("ask", [register, create])
async def test_two_names_of_the_idle_timeout_are_a_conflict(local: LocalSite, ask: Any) -> None:
    """R6.7."""
    answer = await ask(local, idle_queue_timeout=60, lifespan_secs=60)
    assert answer.json["code"] == "REQUEST_CONFUSING_VAR"
    assert (answer.json["var_name1"], answer.json["var_name2"]) == ("idle_queue_timeout", "lifespan_secs")


@pytest.mark.parametrize("ask", [register, create])
async def test_guests_cant_ask_for_all_public_channels(local: LocalSite, ask: Any) -> None:
    """R6.32, D-2."""
    answer = await ask(local, "gil", all_public_streams=True)
    assert (answer.status, answer.json["code"], answer.json["msg"]) == (
        400,
        "BAD_REQUEST",
        "User not authorized for this query",
    )
    assert local.engine.shard.queues() == 0
    assert spec_of(local, await ask(local, "gil")).may_access_public_channels is False
    for name in ("ada", "bob", "botty"):
        assert spec_of(local, await ask(local, name, all_public_streams=True)).all_public_streams


async def test_a_guest_is_refused_before_any_queue_is_looked_up(local: LocalSite) -> None:
    """R6.32."""
    query = {"queue_id": "no", "last_event_id": -1, "all_public_streams": True}
    answer = await local.ask("gil", "GET", "/api/v1/events", query=query)
    assert answer.json["msg"] == "User not authorized for this query"


@pytest.mark.parametrize("ask", [register, create])
async def test_a_wrong_narrow_makes_no_queue(local: LocalSite, ask: Any) -> None:
    """R6.55, R12.4."""
    answer = await ask(local, narrow=[["near", "1"]])
    assert (answer.status, answer.json["msg"]) == (400, "Operator near not supported.")
    assert local.engine.shard.queues() == 0


@pytest.mark.parametrize("ask", [register, create])
async def test_the_client_is_named_by_parameter_or_user_agent(local: LocalSite, ask: Any) -> None:
    """R6.20."""
    answer = await ask(local, client="x" * 40, headers={"user-agent": "curl/8"})
    assert spec_of(local, answer).client_type_name == "x" * 30
    answer = await ask(local, headers={"user-agent": "ZulipPython/0.9.1 (Debian; 12)"})
    assert spec_of(local, answer).client_type_name == "ZulipPython"


@pytest.mark.parametrize("ask", [register, create])
async def test_older_mobile_apps_dont_know_pronouns(local: LocalSite, ask: Any) -> None:
    """R6.23."""
    answer = await ask(local, headers=MOBILE_AGENT)
    assert spec_of(local, answer).capabilities.pronouns_field_type_supported is False


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({}, "Missing 'queue_id' argument"),
        ({"last_event_id": -1}, "Missing 'queue_id' argument"),
        ({"queue_id": "queue-0"}, "Missing 'last_event_id' argument"),
        ({"queue_id": "queue-0", "dont_block": True}, "Missing 'last_event_id' argument"),
        ({"queue_id": "queue-0", "last_event_id": "x"}, "last_event_id is not valid JSON"),
        ({"queue_id": "queue-0", "last_event_id": -1, "dont_block": 1}, "dont_block is not a boolean"),
        (
            {"queue_id": "queue-0", "last_event_id": -1, "user_client": "x" * 31},
            "user_client is too long (limit: 30 characters)",
        ),
    ],
)
async def test_a_poll_says_what_it_lacks(local: LocalSite, query: dict[str, Any], sentence: str) -> None:
    """R6.34, R6.36: with the general code."""
    await register(local)
    answer = await local.ask("ada", "GET", "/api/v1/events", query=query)
    assert (answer.status, answer.json["code"], answer.json["msg"]) == (400, "BAD_REQUEST", sentence)


async def test_a_wrong_last_event_id_leaves_the_queue_as_it_was(local: LocalSite) -> None:
    """R6.40, R6.41, C6."""
    queue_id = await local.register("ada")

    async def poll(last_event_id: int) -> Answer:
        query = {"queue_id": queue_id, "last_event_id": last_event_id, "dont_block": True}
        return await local.ask("ada", "GET", "/api/v1/events", query=query)

    assert (await poll(-1)).json["events"] == []
    answer = await poll(0)
    assert (answer.json["code"], answer.json["msg"]) == ("BAD_REQUEST", "Event 0 was not in this queue")
    for _ in range(3):
        await local.publish("ada", type="t")
    assert (await poll(7)).json["msg"] == "Event 7 was not in this queue"
    assert [event["id"] for event in (await poll(-1)).json["events"]] == [0, 1, 2]
    assert [event["id"] for event in (await poll(1)).json["events"]] == [2]
    assert [event["id"] for event in (await poll(1)).json["events"]] == [2]
    assert (await poll(0)).json["msg"] == "An event newer than 0 has already been pruned!"
    assert [event["id"] for event in (await poll(1)).json["events"]] == [2]


async def test_parameters_of_a_web_apps_poll_are_known(local: LocalSite) -> None:
    """R6.91."""
    queue_id = await local.register("ada")
    query = {"queue_id": queue_id, "last_event_id": -1, "dont_block": True}
    answer = await local.ask(
        "ada", "GET", "/api/v1/events", query={**query, "client_gravatar": True, "slim_presence": True}
    )
    assert "ignored_parameters_unsupported" not in answer.json


async def test_a_deletion_needs_its_queue_and_works_once(local: LocalSite) -> None:
    """R6.63, C27: in the query string or a form."""
    answer = await local.ask("ada", "DELETE", "/api/v1/events")
    assert (answer.json["code"], answer.json["var_name"]) == ("REQUEST_VARIABLE_MISSING", "queue_id")
    for place in ("query", "form"):
        queue_id = await local.register("ada")
        for status in (200, 400):
            answer = await local.ask("ada", "DELETE", "/api/v1/events", **{place: {"queue_id": queue_id}})
            assert answer.status == status
        assert (answer.json["code"], answer.json["queue_id"]) == ("BAD_EVENT_QUEUE_ID", queue_id)


async def test_server_settings_need_nobody_and_mind_no_credentials(local: LocalSite) -> None:
    """R6.15."""
    for headers in ({}, {"authorization": "Basic nonsense"}, {"authorization": "\xff"}, {"host": '["\xff'}):
        answer = await local.ask(None, "GET", "/api/v1/server_settings", headers=headers)
        assert (answer.status, answer.json["zulip_version"]) == (200, "12.0")
        assert answer.json["zulip_feature_level"] == 491


@pytest.mark.parametrize(
    ("name", "code", "traits"),
    [
        ("ada", 100, {"is_admin", "is_owner"}),
        ("bob", 400, set()),
        ("gil", 600, {"is_guest"}),
        ("botty", 400, {"is_bot"}),
    ],
)
async def test_an_account_can_look_at_itself(
    local: LocalSite, name: str, code: int, traits: set[str]
) -> None:
    answer = await local.ask(name, "GET", "/api/v1/users/me")
    me = answer.json
    assert (me["role"], me["email"], me["is_active"]) == (code, f"{name}@test.example", True)
    assert {key for key in ("is_admin", "is_owner", "is_guest", "is_bot") if me[key]} == traits
    assert "api_key" not in answer.body.decode()


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"fetch_event_types": "message"}, "fetch_event_types is not valid JSON"),
        ({"fetch_event_types": {}}, "fetch_event_types is not a list"),
        ({"include_subscribers": "all"}, "include_subscribers is not valid JSON"),
        ({"include_subscribers": 1}, "Invalid include_subscribers"),
        ({"presence_history_limit_days": -1}, "presence_history_limit_days is too small"),
    ],
)
async def test_parameters_of_the_initial_state_are_checked_too(
    local: LocalSite, parameters: dict[str, Any], sentence: str
) -> None:
    """R6.50."""
    answer = await register(local, **parameters)
    assert (answer.status, answer.json["msg"]) == (400, sentence)
    assert local.engine.shard.queues() == 0


@pytest.mark.parametrize("include_subscribers", [True, False, "partial", '"partial"'])
async def test_right_parameters_of_the_initial_state_are_not_called_ignored(
    local: LocalSite, include_subscribers: object
) -> None:
    """R6.51, R6.52."""
    answer = await register(
        local,
        fetch_event_types=["realm_user", "no such"],
        include_subscribers=include_subscribers,
        presence_history_limit_days=3,
    )
    assert (answer.status, "ignored_parameters_unsupported" in answer.json) == (200, False)


@pytest.mark.parametrize("path", ["/json/register", "/json/v1/register", "/api/v1/register"])
@pytest.mark.parametrize("client_gravatar", [True, False])
async def test_nobody_registers_without_an_account(
    local: LocalSite, path: str, client_gravatar: bool
) -> None:
    """R6.59: no realm permits it."""
    form = {"client_gravatar": client_gravatar, "include_subscribers": True}
    answer = await local.ask(None, "POST", path, form=form)
    assert (answer.status, answer.json["code"]) == (401, "UNAUTHORIZED")
    assert local.engine.shard.queues() == 0
