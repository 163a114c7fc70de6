"""A large notice that is decoded in slices is the one that is decoded at once, and its bounds are said."""

import json
from typing import Any

import pytest

from tidewire.core.errors import InvalidNotice
from tidewire.core.notices.json_list import CHUNK_BYTES
from tidewire.core.notices.notice import (
    LARGE_BYTES,
    MAX_EVENT_VALUES,
    MAX_NOTICE_BYTES,
    Notice,
    decode_in_slices,
    decode_notice,
)
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.notifications.candidates import candidates
from tidewire.core.slices import finished

DEPLOY = {"type": "deploy", "text": "x" * 100}
IDS = list(range(50_000, 0, -3)) * 2


def slices(raw: bytes) -> int:
    """How many it is decoded in."""
    return sum(1 for _ in decode_in_slices(raw))


def members(notice: Notice) -> dict[str, Any]:
    found = {name: getattr(notice, name) for name in Notice.__slots__}
    return {
        **found,
        "users": {user: dict(more) for user, more in notice.users.items()},
        "order": list(notice.users),
    }


NOTICES: dict[str, dict[str, Any]] = {
    "ids": {"event": DEPLOY, "users": IDS},
    "ids, named": {"event": DEPLOY, "users": IDS, "id": "a", "realm_id": 7},
    "flags": {
        "event": {"type": "message", "é": "ü\n"},
        "users": [{"id": user, "flags": ["read", "mentioned"][: user % 3]} for user in IDS],
        "id": "a",
    },
    "mixed": {
        "event": {"type": "update_message", "x": [[{}]] * 5000},
        "users": [user if user % 2 else {"id": user, "flags": [], "more": {"a": [1]}} for user in IDS],
        "id": "b",
        "traceparent": "none",
    },
    "a part": {"event": DEPLOY, "users": IDS, "id": "a", "whole": "0" * 32, "hearers": [0, 2]},
    "a long text": {"event": {"type": "deploy", "text": "x" * (MAX_NOTICE_BYTES - 1000)}, "users": [1]},
}


@pytest.mark.parametrize("name", NOTICES)
@pytest.mark.parametrize("indent", [None, 1])
def test_decoding_in_slices_gives_the_same(name: str, indent: int | None) -> None:
    raw = json.dumps(NOTICES[name], indent=indent).encode()
    whole, sliced = decode_notice(raw), finished(decode_in_slices(raw))
    assert members(whole) == members(sliced)
    assert slices(raw) >= min(len(raw) // (4 * CHUNK_BYTES), 2)


def test_a_notice_that_is_not_large_takes_no_slice() -> None:
    assert slices(json.dumps({"event": DEPLOY, "users": list(range(5000))}).encode()) == 0


def large(event: str = '{"type":"a"}', users: str = "[1]", more: str = "") -> bytes:
    pad = " " * LARGE_BYTES
    return f'{{"event":{event},{pad}"users":{users}{more}}}'.encode()


MANY = "1," * (10 * CHUNK_BYTES)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (large(event="[]"), "the event is wrong"),
        (large(event="{}"), "the event has no `type`"),
        (large(event='{"type":"a","x":1e400}'), "the event is wrong"),
        (large(event='{"type":"a","x":18446744073709551616}'), 'event["x"]'),
        (large(event=f'{{"type":"a","x":{"[" * 101}{"]" * 101}}}'), "levels"),
        (large(event='{"type":"a","x":[%s1]}' % ("1," * MAX_EVENT_VALUES)), "commas, brackets and escapes"),
        (large(event='{"type":"a","x":"%s"}' % ("\\n" * MAX_EVENT_VALUES)), "commas, brackets and escapes"),
        (large(users="{}"), "`users` is not a list"),
        (large(users=f"[{MANY}-1]"), f"users[{10 * CHUNK_BYTES}]"),
        (large(users=f"[{MANY}{{}}]"), f"users[{10 * CHUNK_BYTES}]"),
        (large(users=f"[{MANY}[]]"), "`users` is wrong"),
        (large(users=f"[{MANY}]"), "trailing comma"),
        (large(users='[{"id":1,"x":"%s"}]' % ("x" * 2 * LARGE_BYTES)), "users[0] has more than"),
        (large(more=',"other":1'), "other"),
        (large(more=',"id":1'), "id"),
        (large() + b"]", "JSON"),
        (large() + b" " * MAX_NOTICE_BYTES, "larger than 4194304 bytes"),
    ],
)
def test_what_is_wrong_with_a_large_one_is_said(raw: bytes, sentence: str) -> None:
    with pytest.raises(InvalidNotice) as caught:
        finished(decode_in_slices(raw))
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    "body", [b'[{"event":{"type":"a"},"users":[]},%b]', b'{"event":{"type":"a"},"users":[]}\n%b']
)
def test_one_that_is_too_large_refuses_its_request(body: bytes) -> None:
    with pytest.raises(InvalidNotice, match="several notices") as caught:
        decode_notices(body % large(event='{"type":"a","x":"%s"}' % ("x" * MAX_NOTICE_BYTES)))
    assert caught.value.data == {"index": 1}


def test_who_is_notified_of_a_message_to_many_is_found_all_the_same() -> None:
    """What is said of many users alike is looked at once."""
    users = [
        {"id": user, "flags": ["mentioned"] if user % 500 == 0 else ["read"]} for user in range(1, 20_001)
    ]
    event = {
        "type": "message",
        "message_dict": {"id": 1, "type": "stream", "sender_id": 500},
        "online_push_user_ids": [],
        "pm_mention_push_disabled_user_ids": [],
    }
    raw = json.dumps({"event": event, "users": users}).encode()
    sliced, whole = finished(decode_in_slices(raw)), decode_notice(raw)
    assert len({id(more) for more in sliced.users.values()}) == 2
    assert candidates(sliced) == candidates(whole)
    assert list(candidates(sliced).users) == list(range(1000, 20_001, 500))
