"""The acceptance filter (section 3)."""

import pytest

from support.events import Json
from tidewire.core.errors import BadRequest
from tidewire.core.events.acceptance import REFUSALS, RULES, Acceptance, acceptance_key
from tidewire.core.events.capabilities import Capabilities
from tidewire.core.events.narrow import Term


def acceptance(
    types: tuple[str, ...] | None = None, narrow: tuple[Term, ...] = (), **capabilities: bool
) -> Acceptance:
    return Acceptance(acceptance_key(types, narrow, Capabilities(**capabilities)))


BOTH_TOPICS = ("user_topic", "muted_topics")
CHANNEL_TYPING: Json = {"type": "typing", "stream_id": 12}
DEACTIVATED: Json = {"type": "user_group", "op": "update", "data": {"deactivated": True}}
ARCHIVED: Json = {"type": "stream", "op": "update", "property": "is_archived"}


@pytest.mark.parametrize(
    ("filtered", "event", "refusal"),
    [
        # R3.1
        (acceptance(("message",)), {"type": "typing"}, "event_types"),
        (acceptance(("message",)), {"type": "message"}, None),
        (acceptance(()), {"type": "message"}, "event_types"),
        # R3.2
        (acceptance(BOTH_TOPICS), {"type": "muted_topics"}, "superseded_by_user_topic"),
        (acceptance(BOTH_TOPICS), {"type": "user_topic"}, None),
        (acceptance(("muted_topics",)), {"type": "muted_topics"}, None),
        (acceptance(), {"type": "muted_topics"}, None),
        # R3.4
        (acceptance(), CHANNEL_TYPING, "stream_typing_notifications"),
        (acceptance(stream_typing_notifications=True), CHANNEL_TYPING, None),
        (acceptance(), {"type": "typing"}, None),
        # R3.5
        (acceptance(), {"type": "update_display_settings"}, None),
        (acceptance(user_settings_object=True), {"type": "update_display_settings"}, "user_settings_object"),
        (
            acceptance(user_settings_object=True),
            {"type": "update_global_notifications"},
            "user_settings_object",
        ),
        # R3.6
        (acceptance(), {"type": "user_group", "op": "remove"}, None),
        (
            acceptance(include_deactivated_groups=True),
            {"type": "user_group", "op": "remove"},
            "include_deactivated_groups",
        ),
        # R3.7
        (acceptance(), DEACTIVATED, "include_deactivated_groups"),
        (acceptance(include_deactivated_groups=True), DEACTIVATED, None),
        (acceptance(), {"type": "user_group", "op": "update", "data": {"name": "x"}}, None),
        # R3.8
        (acceptance(), ARCHIVED, "archived_channels"),
        (acceptance(archived_channels=True), ARCHIVED, None),
        (acceptance(), {**ARCHIVED, "property": "name"}, None),
        # R3.9
        (acceptance(), {"type": "of tomorrow"}, None),
        # R3.11
        (acceptance(), {"type": "user_group"}, None),
        (acceptance(), {"type": "user_group", "op": "update", "data": 7}, None),
        (acceptance(), {"type": "user_group", "op": "update"}, None),
        (acceptance(), {"type": "stream", "op": "update"}, None),
        (acceptance(), {"type": "stream"}, None),
    ],
)
def test_each_rule_of_section_3(filtered: Acceptance, event: Json, refusal: str | None) -> None:
    assert filtered.refusal(event) == refusal
    assert refusal is None or refusal in REFUSALS


def test_the_example_of_section_3() -> None:
    filtered = acceptance(("user_topic", "muted_topics", "typing"))
    sender = {"user_id": 44, "email": "user44@chat.example"}
    events: list[Json] = [
        {"type": "muted_topics", "muted_topics": []},
        {"type": "user_topic", "stream_id": 12, "topic_name": "deploy", "visibility_policy": 3},
        {
            "type": "typing",
            "op": "start",
            "message_type": "stream",
            "stream_id": 12,
            "topic": "deploy",
            "sender": sender,
        },
        {"type": "typing", "op": "stop", "message_type": "direct", "sender": sender, "recipients": []},
    ]
    assert [filtered.refusal(event) is None for event in events] == [False, True, False, True]


def test_only_messages_are_narrowed_r3_3() -> None:
    filtered = acceptance(narrow=(("is", "starred"),))
    message: Json = {"type": "message", "message": {"type": "private"}}
    assert filtered.refusal(message) == "narrow"
    assert filtered.refusal(message, ("starred",)) is None
    assert filtered.refusal({"type": "message"}, ("starred",)) == "narrow"
    assert filtered.refusal({"type": "update_message"}) is None


def test_accepting_messages_is_the_weaker_question_r3_10() -> None:
    assert acceptance().accepts_messages
    assert acceptance(("message",), (("is", "dm"),)).accepts_messages
    assert not acceptance(("typing",)).accepts_messages


def test_the_order_and_repetition_of_event_types_make_no_other_key() -> None:
    one, two = (acceptance_key(types, (), Capabilities()) for types in (("a", "b"), ("b", "a", "b")))
    assert one == two
    assert acceptance_key(None, (), Capabilities()) != acceptance_key((), (), Capabilities())


def test_a_capability_that_decides_nothing_here_makes_no_other_key() -> None:
    slim, plain = Capabilities(slim_presence=True), Capabilities()
    assert acceptance_key(None, (), slim) == acceptance_key(None, (), plain)


def test_a_narrow_that_is_not_supported_is_refused() -> None:
    with pytest.raises(BadRequest):
        acceptance(narrow=(("near", "1"),))


def test_refusals_are_named_once() -> None:
    assert len(set(REFUSALS)) == len(REFUSALS)
    assert "cleanup_queue" not in RULES
