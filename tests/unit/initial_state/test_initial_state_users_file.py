"""What the server says by itself: the members that published clients look for (R6.57, R6.58, R6.89)."""

from pathlib import Path
from typing import Any

import msgspec

from support.server_process import users_file
from tidewire.auth import UsersFileAuthenticator
from tidewire.core.ids import UserId
from tidewire.initial_state import Asked
from tidewire.initial_state.combined import Assembly
from tidewire.initial_state.functions import FunctionsSource
from tidewire.initial_state.users_file_source import DefaultSource

TERMINAL = frozenset(
    [
        "realm",
        "presence",
        "subscription",
        "message",
        "starred_messages",
        "update_message_flags",
        "muted_topics",
        "realm_user",
        "realm_user_groups",
        "update_global_notifications",
        "update_display_settings",
        "user_settings",
        "realm_emoji",
        "zulip_version",
    ]
)
"""What zulip-term fetches (R6.88)."""

READ_BY_TERMINAL = {
    *[
        "max_message_id",
        "user_id",
        "email",
        "full_name",
        "realm_name",
        "subscriptions",
        "muted_topics",
        "realm_user_groups",
    ],
    *["realm_emoji", "realm_users", "cross_realm_bots", "presences", "unread_msgs", "starred_messages"],
    *["twenty_four_hour_time", "pm_content_in_desktop_notifications", "realm_message_retention_days"],
    *["realm_allow_message_editing", "realm_message_content_edit_limit_seconds", "realm_allow_edit_history"],
}
"""What it reads from the answer, beside what is always there (R6.89)."""


async def state(
    folder: Path, fetch_types: frozenset[str] | None, name: str = "bob", max_users: int = 2
) -> dict[str, Any]:
    path = folder / "users.toml"
    path.write_text(users_file("ada", "bob"))
    users = UsersFileAuthenticator(path=path)
    user = users.user(UserId({"ada": 1, "bob": 2}[name]))
    assert user is not None
    asked = Asked(user=user, realm=users.realm(user.realm_id), queue_id="q", fetch_types=fetch_types)
    draft = await DefaultSource(users, max_users=max_users, now=lambda: 7.0).read(asked)
    read: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(draft.state))
    return read


async def test_the_terminal_client_finds_what_it_reads(tmp_path: Path) -> None:
    assert READ_BY_TERMINAL - (await state(tmp_path, TERMINAL)).keys() == set()


async def test_a_registration_for_messages_has_the_members_of_messages(tmp_path: Path) -> None:
    """R6.57."""
    assert (await state(tmp_path, frozenset({"message"}))).keys() == {"max_message_id", "unread_msgs"}


async def test_only_what_was_asked_for_is_there(tmp_path: Path) -> None:
    assert await state(tmp_path, frozenset({"unheard_of"})) == {}
    assert len(await state(tmp_path, None)) > 50


async def test_the_people_are_those_of_the_realm_and_the_own_account_is_named(tmp_path: Path) -> None:
    found = await state(tmp_path, frozenset({"realm_user"}))
    assert [person["full_name"] for person in found["realm_users"]] == ["Ada", "Bob"]
    assert (found["user_id"], found["full_name"], found["is_admin"]) == (2, "Bob", False)


async def test_all_people_of_a_large_realm_go_to_who_asks_for_them_and_not_to_who_asks_for_everything(
    tmp_path: Path,
) -> None:
    assert "realm_users" in await state(tmp_path, None, max_users=2)
    unnamed = await state(tmp_path, None, max_users=1)
    assert not unnamed.keys() & {"realm_users", "realm_non_active_users", "cross_realm_bots"}
    assert (unnamed["user_id"], unnamed["full_name"]) == (2, "Bob")
    named = await state(tmp_path, frozenset({"realm_user"}), max_users=1)
    assert [person["full_name"] for person in named["realm_users"]] == ["Ada", "Bob"]


async def test_no_event_is_taken_from_a_client_that_has_only_this(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    path.write_text(users_file("ada"))
    users = UsersFileAuthenticator(path=path)
    whole = Assembly(
        [DefaultSource(users, max_users=1), FunctionsSource([], report=lambda *_: None)], timeout=5
    )
    (ada,) = users.users()
    draft = await whole.read(Asked(user=ada, realm=None, queue_id="q"))
    assert await draft.apply([{"type": "typing", "id": 0}, {"type": "message", "id": 1}]) == 0
