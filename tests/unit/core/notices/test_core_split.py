"""Notices in parts: each user in one of them, each part the same notice otherwise."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidewire.core.notices.notice import decode_notice
from tidewire.core.notices.split import parts_of, public_realm


def raw(users: list[Any], kind: str = "greeting", **more: Any) -> bytes:
    return json.dumps({"event": {"type": kind, "n": 1}, "users": users, **more}).encode()


def parts(body: bytes, count: int, *also: int) -> dict[int, bytes]:
    return parts_of(decode_notice(body), shard_of=lambda user: user % count, also=also, nobody=0)


@given(users=st.lists(st.integers(0, 50)), count=st.integers(1, 4))
def test_each_user_is_in_the_part_of_its_shard_and_the_digest_is_the_whole_s(
    users: list[int], count: int
) -> None:
    body = raw(users, id="n", realm_id=1, traceparent="t")
    made = {shard: decode_notice(part) for shard, part in parts(body, count).items()}
    assert sorted(user for part in made.values() for user in part.users) == sorted(set(users))
    for shard, part in made.items():
        assert {user % count for user in part.users} <= {shard}
        # However it is split: a repeat must be known when the map has changed in between.
        assert part.digest == decode_notice(body).digest
        assert (part.event, part.id, part.realm_id) == ({"type": "greeting", "n": 1}, "n", 1)


def test_a_notice_for_one_shard_stays_as_it_came() -> None:
    body = b' {"users":[2,4], "event": {"type":"x"}} '
    assert parts(body, 2) == {0: body}


def test_what_is_said_of_a_user_stays_with_the_user() -> None:
    users = [{"id": 1, "flags": ["read"]}, {"id": 2, "flags": []}]
    body = raw(users, "update_message", id="n")
    assert [json.loads(part)["users"] for part in parts(body, 2).values()] == [[users[0]], [users[1]]]


def test_shards_without_users_get_a_part_when_they_are_to_hear_of_it() -> None:
    assert [json.loads(part)["users"] for part in parts(raw([2]), 2, 0, 1).values()] == [[2], []]


def test_only_a_public_message_is_for_a_whole_realm() -> None:
    def realm(**event: Any) -> int | None:
        message = {
            "id": 1,
            "type": "stream",
            "sender_id": 1,
            "content": "",
            "rendered_content": "",
        }
        whole = {"type": "message", "message_dict": message, "realm_id": 7, "stream_name": "g", **event}
        return public_realm(decode_notice(json.dumps({"event": whole, "users": []}).encode()))

    assert realm() == 7
    assert realm(stream_name=None) is None
    assert realm(invite_only=True) is None
    assert realm(type="other") is None
