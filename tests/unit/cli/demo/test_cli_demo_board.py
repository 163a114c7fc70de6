"""The demo's own application: what it publishes for messages and reactions (R4.6, R4.11)."""

from typing import Any

import pytest

from tidewire.cli.demo.board import REMEMBERED, Board, Draft
from tidewire.core.errors import BadRequest
from tidewire.core.ids import RealmId, UserId
from tidewire.core.users import Realm, Role, User

REALM = Realm(id=RealmId(7), host="demo.example", name="Demo")

PUBLIC = {
    "id", "sender_id", "content", "recipient_id", "timestamp", "client", "subject", "topic_links", "is_me_message",
    "reactions", "submessages", "sender_full_name", "sender_email", "sender_realm_str", "display_recipient", "type",
}  # fmt: skip
PRIVATE = {
    "rendered_content", "sender_realm_id", "sender_avatar_source", "sender_avatar_version", "sender_delivery_email",
    "sender_email_address_visibility", "sender_is_mirror_dummy", "recipient_type", "recipient_type_id",
}  # fmt: skip


def user(number: int, name: str, role: Role = Role.MEMBER) -> User:
    return User(
        id=UserId(number),
        realm_id=REALM.id,
        email=f"{name.lower()}@demo.example",
        full_name=name,
        role=role,
    )


ADA, BOB, GIL, BOTTY = USERS = (
    user(1, "Ada"),
    user(2, "Bob"),
    user(3, "Gil", Role.GUEST),
    user(4, "Botty", Role.BOT),
)


@pytest.fixture
def board() -> Board:
    return Board(REALM, USERS)


def draft(sender: User = BOB, content: str = "Hello", **more: Any) -> Draft:
    return Draft(sender=sender, content=content, client="test", at=1_790_000_000, **more)


def wide(notice: Any) -> dict[str, Any]:
    message: dict[str, Any] = notice["event"]["message_dict"]
    return message


def test_a_direct_message_has_every_member_of_a_wide_message_and_goes_to_the_sender_first(
    board: Board,
) -> None:
    posted = board.send_direct(draft(), [ADA])
    event, message = posted.notice["event"], wide(posted.notice)
    assert message.keys() == PUBLIC | PRIVATE
    assert (event["type"], event["message"], message["id"]) == ("message", 1, posted.message_id)
    assert posted.notice["users"] == [{"id": 2, "flags": ["read"]}, {"id": 1, "flags": []}]
    assert (message["type"], message["subject"], message["recipient_type"]) == ("private", "", 1)
    assert message["recipient_type_id"] == ADA.id
    assert [person["email"] for person in message["display_recipient"]] == [ADA.email, BOB.email]
    assert event["all_bot_user_ids"] == [BOTTY.id]
    assert posted.notice["realm_id"] == REALM.id
    assert "stream_name" not in event  # it would let everybody who asks for public channels have it


def test_a_channel_message_says_where_it_is_and_that_the_channel_is_public(board: Board) -> None:
    posted = board.send_to_channel(draft(), board.channels["general"], "tea")
    event, message = posted.notice["event"], wide(posted.notice)
    assert message.keys() == PUBLIC | PRIVATE | {"stream_id"}
    assert (message["type"], message["display_recipient"], message["subject"]) == ("stream", "general", "tea")
    assert (message["stream_id"], message["recipient_type"], message["recipient_type_id"]) == (1, 2, 1)
    assert (event["stream_name"], event["invite_only"], event["realm_id"]) == ("general", False, REALM.id)
    assert [entry["id"] for entry in posted.notice["users"]] == [2, 1, 3, 4]


def test_guests_are_only_in_the_first_channel(board: Board) -> None:
    with pytest.raises(BadRequest, match="Not authorized"):
        board.send_to_channel(draft(GIL), board.channels["deployments"], "t")
    posted = board.send_to_channel(draft(ADA), board.channels["deployments"], "t")
    assert GIL.id not in [entry["id"] for entry in posted.notice["users"]]


def test_a_conversation_keeps_its_recipient_id_whoever_writes(board: Board) -> None:
    first = wide(board.send_direct(draft(BOB), [ADA]).notice)["recipient_id"]
    group = wide(board.send_direct(draft(BOB), [ADA, GIL]).notice)
    channel = wide(board.send_to_channel(draft(), board.channels["general"], "t").notice)["recipient_id"]
    assert wide(board.send_direct(draft(ADA), [BOB, ADA]).notice)["recipient_id"] == first
    assert len({first, group["recipient_id"], channel}) == 3
    assert group["recipient_type"] == 3


def test_a_recipient_named_twice_gets_one_message_and_so_does_who_writes_to_themselves(board: Board) -> None:
    posted = board.send_direct(draft(ADA), [BOB, BOB])
    assert [entry["id"] for entry in posted.notice["users"]] == [1, 2]
    alone = board.send_direct(draft(ADA), [ADA])
    assert alone.notice["users"] == [{"id": 1, "flags": ["read"]}]
    assert wide(alone.notice)["recipient_type_id"] == ADA.id


@pytest.mark.parametrize("mention", ["@**Botty** come", "come, @**Botty|4**"])
def test_a_mention_flags_who_is_meant_only(board: Board, mention: str) -> None:
    posted = board.send_to_channel(draft(content=mention), board.channels["general"], "t")
    assert {entry["id"]: entry["flags"] for entry in posted.notice["users"]} == {
        1: [],
        2: ["read"],
        3: [],
        4: ["mentioned"],
    }


def test_content_becomes_harmless_html(board: Board) -> None:
    message = wide(board.send_direct(draft(content='<b>"&"</b>\n\nmore'), [ADA]).notice)
    assert message["rendered_content"] == "<p>&lt;b&gt;&quot;&amp;&quot;&lt;/b&gt;</p>\n<p>more</p>"
    assert message["content"] == '<b>"&"</b>\n\nmore'


def test_the_senders_queue_and_local_id_are_passed_on_when_given(board: Board) -> None:
    event = board.send_direct(draft(queue_id="q", local_id="7.01"), [ADA]).notice["event"]
    assert (event["sender_queue_id"], event["local_id"]) == ("q", "7.01")
    assert not {"sender_queue_id", "local_id"} & board.send_direct(draft(), [ADA]).notice["event"].keys()


def test_a_reaction_goes_to_all_who_got_the_message_and_is_for_them_alone(board: Board) -> None:
    emoji = {"emoji_name": "wave", "emoji_code": "1f44b", "reaction_type": "unicode_emoji"}
    message_id = board.send_direct(draft(BOB), [ADA]).message_id
    posted = board.react(ADA, message_id, emoji)
    assert posted.notice["event"] == {
        "type": "reaction",
        "op": "add",
        "user_id": 1,
        "message_id": message_id,
        **emoji,
    }
    assert posted.notice["users"] == (2, 1)
    for someone, number in ((GIL, message_id), (ADA, message_id + 1)):
        with pytest.raises(BadRequest, match=r"Invalid message\(s\)"):
            board.react(someone, number, emoji)


def test_only_the_newest_messages_are_remembered(board: Board) -> None:
    for _ in range(REMEMBERED + 1):
        board.send_direct(draft(), [ADA])
    with pytest.raises(BadRequest):
        board.react(ADA, 1, {})
    assert board.react(ADA, 2, {}).message_id == 2
