"""What a notice must be (R4.1)."""

from collections.abc import Callable
from typing import Any

import pytest

from support.events import notice
from support.messages import WIDE, message
from tidewire.core.delivery.processors import check_event
from tidewire.core.errors import InvalidNotice
from tidewire.core.events.encoding import encode_body
from tidewire.core.notices.notice import MAX_DEPTH, MAX_ID, decode_notice
from tidewire.core.notices.request_body import decode_notices

DEPLOY = {"type": "deploy"}
NO_IDS: tuple[Any, ...] = (-1, MAX_ID + 1, True, 1.0, "1", None, {"id": 1})
NO_FLAGS: tuple[Any, ...] = (None, "read", {}, [1], [["read"]])
NO_USERS: tuple[Any, ...] = (
    {},
    {"id": "1"},
    {"id": True},
    {"id": [1]},
    {"id": -1},
    {"id": MAX_ID + 1},
    *({"id": 1, "flags": flags} for flags in NO_FLAGS),
)
NO_MESSAGES: tuple[Any, ...] = (
    {"type": "message"},
    message({"message_dict": None}),
    message({"message_dict": [WIDE]}),
    *(message({"message_dict": {**WIDE, name: None}}) for name in ("id", "type", "sender_id", "content")),
    message({"message_dict": {name: value for name, value in WIDE.items() if name != "rendered_content"}}),
    message(sender_delivery_email=7),
    message(sender_avatar_version="2"),
    message(sender_avatar_source="U", sender_realm_id=None),
    message(edit_history=["x"]),
    message({"realm_id": "1"}),
    message({"user_ids_without_access_to_sender": ["1"]}),
)


def from_depth(depth: int, call: Callable[[], object]) -> object:
    """Calls from far down the stack."""
    return call() if depth == 0 else from_depth(depth - 1, call)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"event":{"type":"x"}}',
        b'{"users":[1]}',
        b'{"event":[],"users":[1]}',
        b'{"event":{},"users":[1]}',
        b'{"event":{"type":""},"users":[1]}',
        b'{"event":{"type":7},"users":[1]}',
        b'{"event":{"type":"x"},"users":1}',
        b'{"event":{"type":"x"},"users":[1],"more":1}',
        b'{"event":{"type":"x"},"users":[1],"id":""}',
        b'{"event":{"type":"x"},"users":[1],"id":7}',
        b'{"event":{"type":"x"},"users":[1],"realm_id":-1}',
        b'{"event":{"type":"x","v":1e999},"users":[1]}',
        notice(DEPLOY, id="a" * 129),
        notice(DEPLOY, realm_id=MAX_ID + 1),
        *(notice(DEPLOY, [user]) for user in NO_IDS),
        *(notice(message(), [user]) for user in NO_USERS),
        *(notice({"type": "update_message"}, [user, {"id": 2}]) for user in NO_USERS),
    ],
)
def test_what_is_no_notice_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidNotice):
        decode_notice(raw)


@pytest.mark.parametrize("event", NO_MESSAGES)
def test_a_message_that_could_never_be_delivered_is_refused(event: Any) -> None:
    with pytest.raises(InvalidNotice, match="type message"):
        check_event(event)


def test_the_refusal_of_a_message_says_what_is_wrong_and_where() -> None:
    with pytest.raises(InvalidNotice, match=r"Expected `str`, got `int` - at `\$\.message_dict\.content`"):
        check_event(message(content=7))


def test_a_message_may_come_without_what_can_be_done_without() -> None:
    wide = {"id": 1, "type": "private", "sender_id": 2, "content": "", "rendered_content": ""}
    event = {"type": "message", "message_dict": wide, "invite_only": None, "more": 1}
    check_event(event)
    assert decode_notice(notice(event)).event == event


def test_users_may_be_objects_for_messages_and_the_first_mention_of_a_user_counts_d11() -> None:
    users: list[Any] = [{"id": 2, "flags": ["read"]}, {"id": 1}, {"id": 2, "flags": []}, 3]
    parsed = decode_notice(notice(message(), users))
    assert parsed.users == {2: {"flags": ["read"]}, 1: {}, 3: {}}
    assert list(parsed.users) == [2, 1, 3]
    once = [{"id": 2, "flags": ["read"]}, {"id": 1, "more": []}]
    assert decode_notice(notice(message(), once)).users == {2: {"flags": ["read"]}, 1: {"more": []}}


def test_a_notice_without_an_id_has_no_digest() -> None:
    assert decode_notice(notice(DEPLOY)).digest == b""
    assert len(decode_notice(notice(DEPLOY, id="a")).digest) == 16


def test_an_empty_body_is_no_notices() -> None:
    assert decode_notices(b" \n") == []
    assert decode_notices(b"[]") == []


def test_the_raw_bytes_of_each_notice_are_kept_for_the_journal() -> None:
    one, two = notice(DEPLOY, id="a"), notice(DEPLOY, id="b")
    assert [each.raw for each in decode_notices(b"[" + one + b" , " + two + b"]")] == [one, two]
    assert [each.raw.strip() for each in decode_notices(one + b"\r\n" + two)] == [one, two]


@pytest.mark.parametrize("level", [b"[%b]", b'{"a":%b}'])
@pytest.mark.parametrize("depth", [1, MAX_DEPTH - 1, MAX_DEPTH, 500, 700, 900])
def test_a_notice_that_was_taken_can_be_read_and_encoded_from_further_down_the_stack(
    depth: int, level: bytes
) -> None:
    """Else it would be confirmed, and then fail in every queue or in recovery."""
    nested = b"1"
    for _ in range(depth):
        nested = level % nested
    raw = b'{"event":{"type":"deploy","v":%b},"users":[1],"id":"a"}' % nested
    try:
        parsed = decode_notice(raw)
    except InvalidNotice:
        assert depth >= MAX_DEPTH
        return
    from_depth(200, lambda: decode_notice(raw))
    from_depth(200, lambda: encode_body(parsed.event))
    assert depth < MAX_DEPTH


def test_many_brackets_are_no_depth() -> None:
    event = {"type": "deploy", "v": [[] for _ in range(1000)], "text": "[" * 1000}
    assert decode_notice(notice(event)).event == event
    objects = {"type": "update_message", "v": [{"a": [1]} for _ in range(1000)]}
    users: list[Any] = [{"id": n, "flags": []} for n in range(1000)]
    assert len(decode_notice(notice(objects, users)).users) == 1000


def test_details_of_users_may_not_be_too_deep_either() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    with pytest.raises(InvalidNotice):
        decode_notice(notice(message(), [{"id": 1, "deep": deep}]))


@pytest.mark.parametrize(
    ("notice", "where"),
    [
        (b'{"event":{"type":"t","x":18446744073709551616},"users":[]}', 'event["x"]'),
        (b'{"event":{"type":"t","x":[0,{"a":-9223372036854775809}]},"users":[]}', 'event["x"][1]["a"]'),
        (b'{"event":{"type":"message"},"users":[1,{"id":2,"f":1e1,"g":%d}]}' % 10**30, 'users[1]["g"]'),
    ],
)
def test_integers_beyond_64_bits_are_refused_by_name(notice: bytes, where: str) -> None:
    with pytest.raises(InvalidNotice) as caught:
        decode_notices(b'[{"event":{"type":"t","x":18446744073709551615},"users":[]},%b]' % notice)
    assert caught.value.message == f"Invalid notice: {where} is an integer beyond 64 bits"
    assert caught.value.data == {"index": 1}


@pytest.mark.parametrize("value", [b"1e400", b'"\\ud800"', b"[" * 5000 + b"]" * 5000])
def test_what_nobody_could_read_again_is_refused(value: bytes) -> None:
    with pytest.raises(InvalidNotice) as caught:
        decode_notices(b'{"event":{"type":"t","x":%b},"users":[]}' % value)
    assert caught.value.data == {"index": 0}


def test_a_list_of_millions_of_nothings_is_refused_before_it_is_taken_apart() -> None:
    """The first wrong one ends it."""
    with pytest.raises(InvalidNotice) as caught:
        decode_notices(b"[" + b'{"event":{"type":"t"},"users":[]},' + b"1," * 3_000_000 + b"1]")
    assert caught.value.data == {"index": 1}
    with pytest.raises(InvalidNotice) as caught:
        decode_notices(b"1\n" * 3_000_000)
    assert caught.value.data == {"index": 0}
