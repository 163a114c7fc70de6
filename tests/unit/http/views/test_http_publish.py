"""The internal routes: queues on a user's behalf, and publishing (6E)."""

import json
from typing import Any

import pytest

from support.raw_http import Answer
from support.server_process import SECRET
from support.site import LocalSite
from tidewire.http.views.publish import MAX_NOTICES_BYTES

EVENTS = "/api/v1/events/internal"
NOTIFY = "/api/internal/notify_tornado"
NOTICES = "/api/internal/notices"


def notice(**more: Any) -> dict[str, Any]:
    return {"event": {"type": "t"}, "users": [1], **more}


async def publish(local: LocalSite, *notices: object) -> Answer:
    return await local.internal(NOTICES, body="\n".join(json.dumps(item) for item in notices).encode())


async def test_a_queue_is_made_and_read_on_a_users_behalf(local: LocalSite) -> None:
    """R6.68."""
    form = {"user_profile_id": 2, "dont_block": True, "client": "internal", "user_client": "website"}
    answer = await local.internal(EVENTS, form=form)
    assert (answer.json["events"], answer.json["idle_queue_timeout_secs"]) == ([], 600)
    queue_id = answer.json["queue_id"]
    descriptor = local.engine.shard.find(queue_id)
    assert descriptor is not None
    assert (descriptor.spec.user_id, descriptor.spec.client_type_name) == (2, "website")
    await local.publish("bob", type="t")
    read = {"user_profile_id": 2, "queue_id": queue_id, "last_event_id": -1, "dont_block": True}
    for _ in range(2):
        answer = await local.internal(EVENTS, form=read)
        assert [event["id"] for event in answer.json["events"]] == [0]
    assert [event["id"] for event in await local.events("bob", queue_id)] == [0]
    answer = await local.internal(EVENTS, form={**read, "user_profile_id": 1})
    assert answer.json["code"] == "BAD_EVENT_QUEUE_ID"


async def test_the_secret_may_stand_in_the_form_and_is_no_ignored_parameter(local: LocalSite) -> None:
    """R6.66."""
    form = {"secret": SECRET, "user_profile_id": 2, "dont_block": True, "odd": "1"}
    answer = await local.ask(None, "POST", EVENTS, form=form)
    assert answer.json["ignored_parameters_unsupported"] == ["odd"]
    assert SECRET.encode() not in answer.body


async def test_a_user_who_is_not_in_the_users_file_is_described(local: LocalSite) -> None:
    form = {"user_profile_id": 77, "dont_block": True}
    answer = await local.internal(EVENTS, form=form)
    assert (answer.status, "realm_id" in answer.json["msg"]) == (400, True)
    answer = await local.internal(EVENTS, form={**form, "realm_id": 5, "all_public_streams": True})
    assert answer.json["msg"] == "User not authorized for this query"
    described = {**form, "realm_id": 5, "all_public_streams": True, "can_access_public_streams": True}
    answer = await local.internal(EVENTS, form=described)
    descriptor = local.engine.shard.find(answer.json["queue_id"])
    assert descriptor is not None
    assert (descriptor.spec.user_id, descriptor.spec.realm_id) == (77, 5)
    assert descriptor.spec.may_access_public_channels


async def test_a_guest_of_the_users_file_stays_one(local: LocalSite) -> None:
    """R6.32: whatever the caller says of them."""
    form = {"user_profile_id": 3, "dont_block": True, "can_access_public_streams": True}
    answer = await local.internal(EVENTS, form={**form, "all_public_streams": True})
    assert answer.status == 400


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "Missing 'user_profile_id' argument"),
        (-1, "user_profile_id is too small"),
        (2**63, "user_profile_id is too large"),
        ("x", "user_profile_id is not valid JSON"),
        ([1], "user_profile_id is not an integer"),
    ],
)
async def test_the_user_must_be_a_number(local: LocalSite, value: object, sentence: str) -> None:
    form = {"dont_block": True} | ({} if value is None else {"user_profile_id": value})
    assert (await local.internal(EVENTS, form=form)).json["msg"] == sentence


async def test_one_notice_comes_in_a_form(local: LocalSite) -> None:
    """R6.69."""
    queue_id = await local.register("ada")
    assert (await local.internal(NOTIFY, form={"data": notice()})).json == {"result": "success", "msg": ""}
    assert len(await local.events("ada", queue_id)) == 1
    answer = await local.internal(NOTIFY, form={})
    assert (answer.json["code"], answer.json["msg"]) == (
        "REQUEST_VARIABLE_MISSING",
        "Missing 'data' argument",
    )
    answer = await local.internal(NOTIFY, form={"data": "{"})
    assert (answer.status, answer.json["code"]) == (400, "INVALID_NOTICE")


@pytest.mark.parametrize(
    ("body", "accepted"),
    [
        (json.dumps(notice()), 1),
        (json.dumps(notice(), indent=2), 1),
        (json.dumps([notice(), notice()]), 2),
        (json.dumps([notice(), notice()], indent=2), 2),
        ("\n".join([json.dumps(notice())] * 3), 3),
        ("\r\n\r\n".join([json.dumps(notice())] * 3) + "\r\n", 3),
        ("  " + json.dumps(notice()) + "\n\n", 1),
        ("[]", None),
        ("", None),
        (" \n ", None),
    ],
)
async def test_notices_come_alone_in_a_list_or_one_a_line(
    local: LocalSite, body: str, accepted: int | None
) -> None:
    queue_id = await local.register("ada")
    answer = await local.internal(NOTICES, body=body.encode())
    if accepted is None:
        assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")
    else:
        assert answer.json == {"result": "success", "msg": "", "accepted": accepted}
    assert len(await local.events("ada", queue_id)) == (accepted or 0)


@pytest.mark.parametrize(
    "wrong",
    [
        '{"event":{"type":"t"}}',
        '{"event":{},"users":[]}',
        '{"event":{"type":""},"users":[]}',
        '{"event":{"type":7},"users":[]}',
        '{"event":{"type":"t"},"users":[{"id":1}]}',
        '{"event":{"type":"t"},"users":[-1]}',
        '{"event":{"type":"t"},"users":[true]}',
        '{"event":{"type":"t"},"users":[9223372036854775808]}',
        '{"event":{"type":"t"},"users":[1],"extra":1}',
        '{"event":{"type":"t"},"users":[1],"id":""}',
        '{"event":{"type":"t"},"users":[1],"id":"' + "x" * 129 + '"}',
        '{"event":{"type":"t","x":"\\ud800"},"users":[1]}',
        '{"event":{"type":"t","x":NaN},"users":[1]}',
        '{"event":{"type":"t","x":' + "[" * 50_000 + "]" * 50_000 + '},"users":[1]}',
        '"text"',
        "null",
        "\ufeff{}",
    ],
)
async def test_one_wrong_notice_refuses_its_request_and_says_which(local: LocalSite, wrong: str) -> None:
    """D9: nothing of it is taken, remembered ids included."""
    queue_id = await local.register("ada")
    good = json.dumps(notice(id="good"))
    for body in (f"{good}\n{wrong}\n{good}", f"[{good},{wrong}]"):
        answer = await local.internal(NOTICES, body=body.encode())
        assert (answer.status, answer.json["code"]) == (400, "INVALID_NOTICE")
        assert answer.json.get("index", 1) == 1
    assert await local.events("ada", queue_id) == []
    assert (await publish(local, notice(id="good"))).json["accepted"] == 1
    assert len(await local.events("ada", queue_id)) == 1


async def test_a_body_that_is_not_utf8_is_refused(local: LocalSite) -> None:
    answer = await local.internal(NOTICES, body=b'{"event":{"type":"\xff"},"users":[]}')
    assert (answer.status, answer.json["code"]) == (400, "INVALID_NOTICE")


async def test_the_same_notice_under_one_id_is_taken_once(local: LocalSite) -> None:
    """D4: confirmed each time."""
    queue_id = await local.register("ada")
    for _ in range(2):
        assert (await publish(local, notice(id="a"), notice(id="a"))).json["accepted"] == 2
    assert len(await local.events("ada", queue_id)) == 1


async def test_another_notice_under_a_known_id_is_a_conflict_and_says_which(local: LocalSite) -> None:
    """D4."""
    queue_id = await local.register("ada")
    await publish(local, notice(id="a"))
    answer = await publish(local, notice(id="b"), notice(id="a", users=[2]))
    assert (answer.status, answer.json["code"], answer.json["index"]) == (409, "NOTICE_ID_REUSED", 1)
    answer = await publish(local, notice(id="c"), notice(id="c", users=[2]))
    assert (answer.status, answer.json["index"]) == (409, 1)
    assert len(await local.events("ada", queue_id)) == 1


async def test_a_notice_for_a_realm_skips_queues_of_others(local: LocalSite) -> None:
    queue_id = await local.register("ada")
    await publish(local, notice(realm_id=2), notice(realm_id=1))
    assert len(await local.events("ada", queue_id)) == 1


async def test_too_large_a_body_is_refused_before_and_while_it_is_read(local: LocalSite) -> None:
    headers = {"authorization": f"Bearer {SECRET}"}
    said = {**headers, "content-length": str(MAX_NOTICES_BYTES + 1)}
    exchange = local.begin(None, "POST", NOTICES, body=b"x", headers=said)
    assert ((await exchange.answer()).status, exchange.unread) == (413, 1)
    chunks = [b" " * (MAX_NOTICES_BYTES // 2)] * 4
    exchange = local.begin(None, "POST", NOTICES, body=chunks, headers=headers)
    assert ((await exchange.answer()).json["code"], exchange.unread) == ("PAYLOAD_TOO_LARGE", 1)


async def test_who_is_not_internal_is_refused_before_the_body_is_read(local: LocalSite) -> None:
    exchange = local.begin(None, "POST", NOTICES, body=b"x", headers={"authorization": "Bearer wrong"})
    assert ((await exchange.answer()).status, exchange.unread) == (403, 1)
