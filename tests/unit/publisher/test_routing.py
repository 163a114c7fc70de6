"""Which shards a notice goes to, and what is not let through to a broker (R8.5)."""

from collections.abc import Iterable
from typing import Any

import pytest

from tidewire.publisher import OneShard, PublishFailed
from tidewire.publisher.notice_check import check_notice
from tidewire.publisher.routing import routed


class Parity:
    """Two shards."""

    def queue_of(self, user_id: int) -> str:
        """One for even ids, one for odd."""
        return "odd" if user_id % 2 else "even"

    def queues(self, realm_id: int | None) -> Iterable[str]:
        """Realm 2 has one."""
        return ("even",) if realm_id == 2 else ("even", "odd")


def parts(event: dict[str, Any], users: list[Any], **more: Any) -> dict[str, list[Any]]:
    notice = {"event": event, "users": users, "id": "n", **more}
    found = dict(routed(notice, Parity()))
    assert all(part["event"] is event and part["id"] == "n" for part in found.values())
    return {queue: part["users"] for queue, part in found.items()}


def test_users_are_grouped_by_shard_in_their_order() -> None:
    users: list[Any] = [3, 2, {"id": 1, "flags": []}, 4]
    assert parts({"type": "x"}, users) == {"odd": [3, {"id": 1, "flags": []}], "even": [2, 4]}
    assert parts({"type": "x"}, [2]) == {"even": [2]}


@pytest.mark.parametrize(
    ("event", "shards"),
    [
        ({"type": "message", "realm_id": 1, "stream_name": "a"}, {"even", "odd"}),
        ({"type": "message", "realm_id": 1, "stream_name": "a", "invite_only": False}, {"even", "odd"}),
        ({"type": "message", "realm_id": 1, "stream_name": "a", "invite_only": True}, {"even"}),
        ({"type": "message"}, {"even"}),
        ({"type": "update_message", "stream_name": "a"}, {"even"}),
    ],
)
def test_a_public_message_goes_to_every_shard(event: dict[str, Any], shards: set[str]) -> None:
    assert set(parts(event, [2])) == shards


def test_a_public_message_goes_to_the_shards_of_its_realm() -> None:
    event = {"type": "message", "realm_id": 2, "stream_name": "a"}
    assert parts(event, []) == {"even": []}
    assert parts({**event, "realm_id": 1}, []) == {"even": [], "odd": []}


def test_a_notice_that_names_nobody_goes_to_one_shard() -> None:
    assert parts({"type": "revoke_user", "user_id": 3}, []) == {"even": []}


def test_one_shard_gets_everything() -> None:
    notice = {"event": {"type": "x"}, "users": [1, 2], "id": "n"}
    assert list(routed(notice, OneShard())) == [("notify_tornado", notice)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": None},
        {"event": []},
        {"event": {}},
        {"event": {"type": ""}},
        {"event": {"type": 7}},
        {"users": None},
        {"users": 7},
        {"users": ["ada"]},
        {"users": [True]},
        {"users": [-1]},
        {"users": [{"flags": []}]},
        {"id": ""},
        {"id": "x" * 129},
        {"id": 7},
        {"realm_id": "1"},
        {"more": 1},
    ],
)
def test_what_no_server_would_take_is_refused(wrong: dict[str, Any]) -> None:
    right = {"event": {"type": "x"}, "users": [1, {"id": 2}], "id": "n", "realm_id": 1}
    check_notice(0, right)
    with pytest.raises(PublishFailed) as caught:
        check_notice(3, right | wrong)
    assert (caught.value.code, caught.value.index) == ("INVALID_NOTICE", 3)
