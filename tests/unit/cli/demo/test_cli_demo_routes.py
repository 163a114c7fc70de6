"""The demo's routes for messages and reactions, in process."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.server_process import users_file
from support.site import LocalSite, local_site
from tidewire.auth.users_file import read_users
from tidewire.cli.demo.board import Board
from tidewire.cli.demo.demo_routes import DemoRoutes
from tidewire.http.app import build_application

USERS = read_users(users_file("ada", "bob", "gil", "botty").encode(), source="users.toml")
DIRECT = {"type": "direct", "to": '["bob@test.example"]', "content": "Hello"}
CHANNEL = {"type": "channel", "to": "general", "topic": "t", "content": "Hello"}


@pytest.fixture
async def site(tmp_path: Path) -> LocalSite:
    local = local_site(tmp_path)
    (realm,) = USERS.realms()
    table = DemoRoutes(Board(realm, USERS.users())).table()
    return replace(local, app=build_application(local.context, table))


async def send(site: LocalSite, form: Mapping[str, Any], name: str | None = "ada") -> dict[str, Any]:
    return (await site.ask(name, "POST", "/api/v1/messages", form=form)).json


@pytest.mark.parametrize(
    "to",
    ["[2]", "2", '["bob@test.example"]', '"bob@test.example"', "bob@test.example", "bob@test.example, 2@"],
)
async def test_recipients_may_be_named_in_every_way_that_clients_use(site: LocalSite, to: str) -> None:
    queue_id = await site.register("bob")
    answer = await send(site, {**DIRECT, "to": to})
    if to.endswith("2@"):
        assert (answer["code"], answer["msg"]) == ("BAD_REQUEST", "Invalid email '2@'")
    else:
        assert answer == {"result": "success", "msg": "", "id": 1}
        assert len(await site.events("bob", queue_id)) == 1


@pytest.mark.parametrize(
    "changes", [{}, {"type": "stream"}, {"to": "1"}, {"to": '["general"]'}, {"to": "[1]"}], ids=str
)
async def test_channels_may_be_named_in_every_way_that_clients_use(
    site: LocalSite, changes: dict[str, str]
) -> None:
    assert (await send(site, {**CHANNEL, **changes}))["id"] == 1


async def test_the_older_name_of_the_topic_is_understood_and_both_are_a_conflict(site: LocalSite) -> None:
    older = {("subject" if name == "topic" else name): value for name, value in CHANNEL.items()}
    assert (await send(site, older))["result"] == "success"
    answer = await send(site, {**CHANNEL, "subject": "t"})
    assert (answer["code"], answer["var_name1"]) == ("REQUEST_CONFUSING_VAR", "topic")


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ({**DIRECT, "type": "letter"}, "BAD_REQUEST", "Invalid type: it is direct or channel"),
        ({**DIRECT, "to": "[9]"}, "BAD_REQUEST", "Invalid user ID 9"),
        ({**DIRECT, "to": "[true]"}, "BAD_REQUEST", "Invalid user ID True"),
        ({**DIRECT, "to": "[]"}, "BAD_REQUEST", "Message must have recipients"),
        ({**DIRECT, "content": " \n"}, "BAD_REQUEST", "Message must not be empty"),
        ({**DIRECT, "content": "x" * 10_001}, "BAD_REQUEST", "content is too long (limit: 10000 characters)"),
        ({**CHANNEL, "to": "tea"}, "BAD_REQUEST", "Channel 'tea' does not exist"),
        ({**CHANNEL, "to": "[1, 2]"}, "BAD_REQUEST", "Expected exactly one channel"),
        ({**CHANNEL, "topic": "x" * 61}, "BAD_REQUEST", "topic is too long (limit: 60 characters)"),
        ({"type": "channel", "to": "1", "content": "x"}, "REQUEST_VARIABLE_MISSING", "Missing 'topic' argument"),
        ({"type": "direct", "content": "x"}, "REQUEST_VARIABLE_MISSING", "Missing 'to' argument"),
        ({"type": "direct", "to": "[2]"}, "REQUEST_VARIABLE_MISSING", "Missing 'content' argument"),
        ({"to": "[2]", "content": "x"}, "REQUEST_VARIABLE_MISSING", "Missing 'type' argument"),
    ],
)  # fmt: skip
async def test_a_wrong_message_is_refused_with_what_is_wrong(
    site: LocalSite, form: dict[str, str], code: str, message: str
) -> None:
    answer = await send(site, form)
    assert (answer["code"], answer["msg"]) == (code, message)


async def test_a_guest_cannot_write_where_they_are_not(site: LocalSite) -> None:
    answer = await send(site, {**CHANNEL, "to": "deployments"}, "gil")
    assert (answer["code"], answer["msg"]) == (
        "BAD_REQUEST",
        "Not authorized to send to channel 'deployments'",
    )


async def test_nobody_writes_or_reacts_without_logging_in(site: LocalSite) -> None:
    assert (await send(site, DIRECT, None))["code"] == "UNAUTHORIZED"
    answer = await site.ask(None, "POST", "/api/v1/messages/1/reactions", form={"emoji_name": "wave"})
    assert answer.status == 401


async def test_a_server_that_stops_takes_no_messages(site: LocalSite) -> None:
    site.context.lifecycle.stopping = True
    assert (await send(site, DIRECT))["code"] == "SERVICE_UNAVAILABLE"


async def react(site: LocalSite, number: str, **form: str) -> dict[str, Any]:
    return (await site.ask("bob", "POST", f"/api/v1/messages/{number}/reactions", form=form)).json


async def test_a_reaction_is_published_to_those_who_got_the_message(site: LocalSite) -> None:
    await send(site, DIRECT)
    queue_id = await site.register("ada", event_types='["reaction"]')
    assert await react(site, "1", emoji_name="wave", message_id="1") == {"result": "success", "msg": ""}
    (event,) = await site.events("ada", queue_id)
    assert (event["user_id"], event["emoji_code"], event["op"]) == (2, "1f44b", "add")
    assert (await react(site, "1", emoji_name="own", emoji_code="7", reaction_type="realm_emoji"))[
        "msg"
    ] == ""


@pytest.mark.parametrize(
    ("number", "form", "message"),
    [
        ("1", {}, "Missing 'emoji_name' argument"),
        ("1", {"emoji_name": "nothing"}, "Emoji 'nothing' does not exist"),
        ("7", {"emoji_name": "wave"}, "Invalid message(s)"),
        ("x", {"emoji_name": "wave"}, "message_id is not valid JSON"),
        ("9" * 30, {"emoji_name": "wave"}, "message_id is too large"),
    ],
    ids=["no emoji", "unknown emoji", "unknown message", "no number", "huge number"],
)
async def test_a_wrong_reaction_is_refused(
    site: LocalSite, number: str, form: dict[str, str], message: str
) -> None:
    await send(site, DIRECT)
    assert (await react(site, number, **form))["msg"] == message
