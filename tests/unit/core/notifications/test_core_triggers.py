"""From facts to triggers: the record of R5.1, its vetoes, and the table of R5.8 (C16)."""

import pytest

from tidewire.core.notifications.triggers import (
    EMAIL_TRIGGERS,
    PUSH_TRIGGERS,
    UserRecord,
    email_trigger,
    push_trigger,
    user_record,
)

DEVICE = "push_device_registered_user_ids"
PUSH_OFF = "dm_mention_push_disabled_user_ids"
EMAIL_OFF = "dm_mention_email_disabled_user_ids"

PERSONAL = {
    "direct_message": {"direct"},
    "mentioned": {"mentioned"},
    "topic_wildcard_mentioned_in_followed_topic": {
        "topic_wildcard_mentioned",
        "topic_wildcard_mention_in_followed_topic_user_ids",
    },
    "stream_wildcard_mentioned_in_followed_topic": {
        "stream_wildcard_mentioned",
        "stream_wildcard_mention_in_followed_topic_user_ids",
    },
    "topic_wildcard_mentioned": {"topic_wildcard_mentioned", "topic_wildcard_mention_user_ids"},
    "stream_wildcard_mentioned": {"stream_wildcard_mentioned", "stream_wildcard_mention_user_ids"},
}
PUSHED = {
    **PERSONAL,
    "followed_topic_push_notify": {"followed_topic_push_user_ids"},
    "stream_push_notify": {"stream_push_user_ids"},
}
EMAILED = {
    **PERSONAL,
    "followed_topic_email_notify": {"followed_topic_email_user_ids"},
    "stream_email_notify": {"stream_email_user_ids"},
}


def triggers(*facts: str) -> tuple[str | None, str | None]:
    record = user_record(frozenset(facts))
    return push_trigger(record), email_trigger(record)


@pytest.mark.parametrize("trigger", PUSHED)
def test_what_causes_a_push_notification_r5_1(trigger: str) -> None:
    assert triggers(DEVICE, *PUSHED[trigger])[0] == trigger
    for missing in PUSHED[trigger]:
        assert triggers(DEVICE, *PUSHED[trigger] - {missing})[0] is None
    assert triggers(*PUSHED[trigger])[0] is None, "a push needs a device (R5.2)"


@pytest.mark.parametrize("trigger", EMAILED)
def test_what_causes_an_email_r5_1(trigger: str) -> None:
    assert triggers(*EMAILED[trigger])[1] == trigger, "an email needs no device (R5.2)"
    for missing in EMAILED[trigger]:
        assert triggers(*EMAILED[trigger] - {missing})[1] is None


@pytest.mark.parametrize("trigger", PERSONAL)
def test_what_is_personal_can_be_switched_off_for_push_and_email_each(trigger: str) -> None:
    assert triggers(DEVICE, PUSH_OFF, *PERSONAL[trigger]) == (None, trigger)
    assert triggers(DEVICE, EMAIL_OFF, *PERSONAL[trigger]) == (trigger, None)


def test_what_was_asked_for_is_not_switched_off_with_what_is_personal() -> None:
    off = {DEVICE, PUSH_OFF, EMAIL_OFF}
    assert triggers(*off, "stream_push_user_ids")[0] == "stream_push_notify"
    assert triggers(*off, "followed_topic_email_user_ids")[1] == "followed_topic_email_notify"


@pytest.mark.parametrize("table", [PUSH_TRIGGERS, EMAIL_TRIGGERS], ids=["push", "email"])
def test_each_field_alone_gives_its_trigger_and_the_first_of_all_wins_r5_8_c16(
    table: tuple[tuple[str, str], ...],
) -> None:
    find = push_trigger if table is PUSH_TRIGGERS else email_trigger
    other = email_trigger if table is PUSH_TRIGGERS else push_trigger
    for place, (field, trigger) in enumerate(table):
        alone = UserRecord(**{field: True})
        assert (find(alone), other(alone)) == (trigger, None)
        assert find(UserRecord(**dict.fromkeys([name for name, _ in table[place:]], True))) == trigger


def test_the_order_of_triggers_is_that_of_r5_8() -> None:
    assert [trigger for _, trigger in PUSH_TRIGGERS] == list(PUSHED)
    assert [trigger for _, trigger in EMAIL_TRIGGERS] == list(EMAILED)


@pytest.mark.parametrize("veto", ["muted_sender_user_ids", "disable_external_notifications"])
def test_a_veto_beats_everything_r5_6(veto: str) -> None:
    assert triggers(DEVICE, "direct", "mentioned", "stream_push_user_ids", veto) == (None, None)


def test_a_bot_has_an_empty_record_r5_3() -> None:
    facts = {
        DEVICE,
        "direct",
        "mentioned",
        "online_push_user_ids",
        "muted_sender_user_ids",
        "all_bot_user_ids",
    }
    assert user_record(frozenset(facts)) == UserRecord()


def test_to_get_a_push_while_online_needs_a_device_too_r5_2() -> None:
    assert user_record(frozenset({DEVICE, "online_push_user_ids"})).online_push_enabled
    assert not user_record(frozenset({"online_push_user_ids"})).online_push_enabled
