"""Who of a notice is a candidate: reading the inputs of messages and edits (R4.6, R4.7, R5.24)."""

from collections.abc import Sequence
from typing import Any

import pytest

from support.events import Json, notice
from support.whole_messages import edit_event, message_event, recipient, recipients
from tidewire.core.errors import InvalidNotice
from tidewire.core.ids import UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.notifications.candidates import (
    NOBODY,
    NOTIFICATION_INPUTS,
    OLD_NAMES,
    USER_SETS,
    Candidates,
    candidates,
)
from tidewire.core.notifications.decisions import missed_by, missed_of_internal_data

BOTH_MENTIONED = ("mentioned", "mentioned")
NEITHER = (None, None)


def found(event: Json, users: Sequence[int | Json]) -> Candidates:
    return candidates(decode_notice(notice(event, users)))


def triggers(event: Json, *flags: str) -> tuple[str | None, str | None]:
    """Of the user 1, in a notice for three."""
    users: list[int | Json] = [recipient(3), recipient(1, *flags), recipient(2)]
    user = found(event, users).users.get(UserId(1))
    return NEITHER if user is None else (user.push, user.email)


# Messages.


def test_every_user_of_a_direct_message_but_its_sender_is_a_candidate_r5_6() -> None:
    users = found(message_event(7, sender=2, direct=True), [2, 1, 3]).users
    assert list(users) == [1, 3]
    assert (users[UserId(1)].push, users[UserId(1)].email) == ("direct_message", "direct_message")


def test_of_a_channels_message_only_who_is_listed_or_mentioned_is_a_candidate() -> None:
    event = message_event(7, stream_push_user_ids=[2, 99], followed_topic_email_user_ids=[4])
    users: list[int | Json] = [1, 2, recipient(3, "mentioned", group=14), 4, recipient(5, "read")]
    result = found(event, users)
    assert {user: (each.push, each.email) for user, each in result.users.items()} == {
        2: ("stream_push_notify", None),
        3: BOTH_MENTIONED,
        4: (None, "followed_topic_email_notify"),
    }
    assert list(result.users) == [2, 3, 4], "in the notice's order"
    assert (result.users[UserId(3)].mentioned_user_group_id, result.message_id, result.acting_user_id) == (
        14,
        7,
        9,
    )


def test_a_candidate_carries_what_is_known_of_their_presence() -> None:
    event = message_event(7, online_push_user_ids=[1], presence_idle_user_ids=[2])
    users = found(event, recipients([1, 2], "mentioned")).users
    assert [(user.online_push, user.presence_idle) for user in users.values()] == [
        (True, False),
        (False, True),
    ]


def test_devices_count_only_when_they_are_told_r5_2() -> None:
    assert triggers(message_event(7, push_device_registered_user_ids=[2]), "mentioned") == (None, "mentioned")
    assert triggers(message_event(7, push_device_registered_user_ids=[]), "mentioned") == (None, "mentioned")
    assert triggers(message_event(7, push_device_registered_user_ids=[1]), "mentioned") == BOTH_MENTIONED
    assert triggers(message_event(7, push_device_registered_user_ids=None), "mentioned") == BOTH_MENTIONED


@pytest.mark.parametrize(
    "veto",
    [{"muted_sender_user_ids": [1]}, {"disable_external_notifications": True}, {"all_bot_user_ids": [1]}],
    ids=str,
)
def test_who_may_not_be_notified_is_no_candidate(veto: dict[str, Any]) -> None:
    assert triggers(message_event(7, **veto), "mentioned") == NEITHER


def test_an_old_name_is_understood_and_the_new_one_wins_r4_7_r4_20() -> None:
    off: Json = {"pm_mention_push_disabled_user_ids": [1], "pm_mention_email_disabled_user_ids": [1]}
    assert triggers(message_event(7, **off), "mentioned") == NEITHER
    newer: Json = {"dm_mention_push_disabled_user_ids": [], "dm_mention_email_disabled_user_ids": []}
    assert triggers(message_event(7, **off, **newer), "mentioned") == BOTH_MENTIONED
    users = found(edit_event(7, push_notify_user_ids=[1]), [recipient(1, "mentioned")]).users
    assert users[UserId(1)].online_push


def test_an_old_name_of_the_wildcard_list_makes_a_candidate_r4_7() -> None:
    assert triggers(message_event(7, wildcard_mention_user_ids=[1]), "stream_wildcard_mentioned") == (
        "stream_wildcard_mentioned",
        "stream_wildcard_mentioned",
    )


def test_every_old_name_stands_for_one_that_there_is() -> None:
    assert set(OLD_NAMES) <= set(USER_SETS)
    assert set(OLD_NAMES.values()) <= NOTIFICATION_INPUTS


def test_other_types_have_no_candidates() -> None:
    assert found({"type": "reaction", "stream_push_user_ids": [1]}, [1]) is NOBODY
    assert found({"type": "message", "message": {"id": 1}}, [1]) is NOBODY


def test_a_direct_message_that_is_wanted_as_a_channels_is_contradictory_r5_5() -> None:
    assert found(message_event(7, direct=True, stream_email_user_ids=[1]), [1]).contradictory
    assert not found(message_event(7, direct=True, stream_email_user_ids=[5]), [1]).contradictory
    assert not found(message_event(7, stream_email_user_ids=[1]), [1]).contradictory


def test_users_of_whom_the_same_is_true_share_what_their_queues_keep() -> None:
    result = found(message_event(7), [*recipients([1, 2], "mentioned"), recipient(3, "mentioned", group=14)])
    kept = missed_by(result, ())
    assert kept[UserId(1)] is kept[UserId(2)]
    assert kept[UserId(3)] is not kept[UserId(1)]


# Inputs that can't be read.


@pytest.mark.parametrize(
    ("event", "users"),
    [
        (message_event(7, stream_push_user_ids=5), [1]),
        (message_event(7, presence_idle_user_ids=["1"]), [1]),
        (message_event(7, online_push_user_ids=[True]), [1]),
        (message_event(7), [{"id": 1, "flags": 5}]),
        (message_event(7), [{"id": 1, "flags": "mentioned"}]),
        (message_event(7), [{"id": 1, "flags": [["mentioned"]]}]),
        (message_event(7), [{"id": 1, "flags": ["mentioned"], "mentioned_user_group_id": "x"}]),
        ({**message_event(7), "message_dict": {"type": "private", "sender_id": 9}}, [1]),
        ({**message_event(7), "message_dict": {"type": "private", "id": 7}}, [1]),
        (edit_event(7, prior_mention_user_ids={}), [recipient(1, "mentioned")]),
        ({**edit_event(7), "message_id": None}, [recipient(1, "mentioned")]),
    ],
)
def test_what_cant_be_read_is_refused(event: Json, users: list[int | Json]) -> None:
    with pytest.raises(InvalidNotice):
        found(event, users)


# Edits (R5.24, C17).


def test_an_edit_that_mentions_makes_a_candidate_without_its_group_r5_26() -> None:
    user = found(edit_event(7), [recipient(1, "mentioned", group=14)]).users[UserId(1)]
    assert (user.push, user.email, user.mentioned_user_group_id) == ("mentioned", "mentioned", None)


@pytest.mark.parametrize(
    "inputs",
    [
        {"muted_sender_user_ids": [1]},
        {"channel": False},
        {"prior_mention_user_ids": [1]},
        {"stream_push_user_ids": [1]},
        {"stream_email_user_ids": [1]},
        {"followed_topic_push_user_ids": [1]},
        {"followed_topic_email_user_ids": [1]},
        {"editor": 1},
        {"disable_external_notifications": True},
        {"all_bot_user_ids": [1]},
        {"rendering_only": True},
    ],
    ids=str,
)
def test_an_edit_that_notifies_nobody_r5_24(inputs: dict[str, Any]) -> None:
    assert triggers(edit_event(7, **inputs), "mentioned") == NEITHER


def test_an_edit_notifies_who_is_newly_mentioned_by_a_wildcard_r5_25() -> None:
    event = edit_event(7, topic_wildcard_mention_user_ids=[1])
    assert triggers(event, "topic_wildcard_mentioned")[0] == "topic_wildcard_mentioned"
    assert triggers(event) == NEITHER


@pytest.mark.parametrize(("editor", "expected"), [(9, BOTH_MENTIONED), (None, NEITHER)])
def test_an_edit_that_does_not_say_whether_it_only_renders_r4_22(
    editor: int | None, expected: tuple[str | None, str | None]
) -> None:
    event = edit_event(7, editor=editor)
    del event["rendering_only"]
    if editor is None:
        del event["user_id"]
    assert triggers(event, "mentioned") == expected


# What older releases wrote.


def test_internal_data_of_a_dump_is_understood_with_its_old_names_r5_33() -> None:
    old = {
        "pm_push_notify": True,
        "pm_email_notify": True,
        "push_notified": True,
        "mentioned_user_group_id": 3,
    }
    missed = missed_of_internal_data(old, user_id=UserId(10), message_id=5, sender_id=8)
    assert missed is not None
    left = missed.left(UserId(10))
    assert left is not None
    assert (left.push, left.email, left.mentioned_user_group_id) == (None, "direct_message", 3)
    wildcard = {"wildcard_mention_push_notify": True}
    missed = missed_of_internal_data(wildcard, user_id=UserId(10), message_id=5, sender_id=8)
    assert missed is not None
    assert (missed.push, missed.email) == ("stream_wildcard_mentioned", None)


def test_the_new_name_in_internal_data_wins_and_what_is_missing_is_false_r5_33() -> None:
    both = {"dm_push_notify": False, "pm_push_notify": True}
    assert missed_of_internal_data(both, user_id=UserId(10), message_id=5, sender_id=8) is None
    assert missed_of_internal_data({}, user_id=UserId(10), message_id=5, sender_id=8) is None
    own = {"dm_push_notify": True}
    assert missed_of_internal_data(own, user_id=UserId(8), message_id=5, sender_id=8) is None
