"""New messages: who gets them, and what each client sees (R4.6-R4.19)."""

import itertools
from typing import Any

import pytest

from support.core_rig import Rig, spec
from support.events import Json, notice
from support.messages import DIRECT, WIDE, message, only, publish, reader
from tidewire.core.delivery.dispatch import Dispatch
from tidewire.core.delivery.message_payload import PRIVATE
from tidewire.core.delivery.processors.message import process
from tidewire.core.events.presentation import Presentation
from tidewire.core.events.shaped_event import Representation
from tidewire.core.ids import UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.notifications.candidates import NOTIFICATION_INPUTS
from tidewire.core.notifications.decisions import PendingNotification
from tidewire.core.queues.descriptor import Descriptor
from tidewire.core.queues.event_queue import EventQueue
from tidewire.core.queues.merge_group import Pushable
from tidewire.core.shard import Shard
from tidewire.core.state.state import State

HASH_OF_ANA = "21896a68ec65369ad8c2a591b8305bcf"
GRAVATAR_OF_ANA = f"https://secure.gravatar.com/avatar/{HASH_OF_ANA}?d=identicon&version=2"
EVERY_INPUT = {**{name: [1] for name in sorted(NOTIFICATION_INPUTS)}, "internal_data": {"mentioned": True}}


def payload(rig: Rig, queue_id: str, user: int = 1) -> Json:
    shown = only(rig, queue_id, user)["message"]
    assert isinstance(shown, dict)
    return shown


@pytest.mark.parametrize("markdown", [False, True])
@pytest.mark.parametrize("gravatars", [False, True])
@pytest.mark.parametrize("empty_topics", [False, True])
@pytest.mark.parametrize("hidden", [False, True])
def test_each_of_the_16_payloads_c12(
    markdown: bool, gravatars: bool, empty_topics: bool, hidden: bool
) -> None:
    rig = Rig()
    queue_id = rig.register(
        reader(apply_markdown=markdown, client_gravatar=gravatars, empty_topic_name=empty_topics)
    )
    hosts = {"realm_host": "acme.example", "user_ids_without_access_to_sender": [1] if hidden else [2]}
    publish(rig, message({**hosts, **EVERY_INPUT}, subject="", internal_data={"a": 1}), [{"id": 1}])

    expected = {name: value for name, value in WIDE.items() if name not in PRIVATE} | {
        "subject": "" if empty_topics else "general chat",
        "content": "<p><em>done</em></p>" if markdown else "*done*",
        "content_type": "text/html" if markdown else "text/x-markdown",
        "avatar_url": None if gravatars else GRAVATAR_OF_ANA,
    }
    if hidden:
        expected |= {
            "sender_full_name": "Unknown user",
            "sender_email": "user31@acme.example",
            "avatar_url": "/static/images/unknown-user-avatar.png",
        }
    assert only(rig, queue_id) == {"type": "message", "message": expected, "flags": [], "id": 0}


def test_a_private_channel_a_direct_message_and_private_fields_that_are_missing() -> None:
    rig = Rig()
    queue_id = rig.register(reader(apply_markdown=True))
    bare = {name: value for name, value in WIDE.items() if name not in PRIVATE - {"rendered_content"}}
    publish(rig, {"type": "message", "message_dict": {**bare, **DIRECT}})
    shown = payload(rig, queue_id)
    assert not PRIVATE & shown.keys()
    # R4.13: the topic of a direct message is empty for everybody. R4.15: the only address there is.
    assert shown["subject"] == ""
    assert shown["avatar_url"].endswith("?d=identicon&version=1")


def test_who_hides_their_address_has_an_avatar_of_the_servers_making_r4_12() -> None:
    rig = Rig()
    queue_id = rig.register(reader(client_gravatar=True))
    publish(rig, message(sender_email_address_visibility=3))
    assert payload(rig, queue_id)["avatar_url"] == GRAVATAR_OF_ANA


def test_an_uploaded_avatar_is_named_by_the_salt() -> None:
    rig = Rig(shard=Shard(presentation=Presentation(avatar_salt="avatarsalt0123456789")))
    queue_id = rig.register(reader(client_gravatar=True))
    publish(rig, message(sender_avatar_source="U", sender_id=9, sender_realm_id=2, sender_avatar_version=3))
    name = "e38c7a016badca7fac1d1ea81911dcbb17f7c847"
    assert payload(rig, queue_id)["avatar_url"] == f"/user_avatars/2/{name}.png?version=3"


def test_the_edit_history_is_made_for_each_reader_anew_r4_12() -> None:
    rig = Rig()
    old, new = rig.register(reader()), rig.register(reader(empty_topic_name=True))
    entry = {"prev_topic": "", "topic": "a", "prev_rendered_content_version": 1, "user_id": 31}
    publish(rig, message(edit_history=[entry, {"topic": ""}, {}]))
    assert payload(rig, old)["edit_history"] == [
        {"prev_topic": "general chat", "topic": "a", "user_id": 31},
        {"topic": "general chat"},
        {},
    ]
    assert payload(rig, new)["edit_history"] == [
        {"prev_topic": "", "topic": "a", "user_id": 31},
        {"topic": ""},
        {},
    ]


def test_flags_are_each_users_own_and_stand_outside_the_message_r4_16_r4_18() -> None:
    rig = Rig()
    queue_ids = [rig.register(spec(user=user)) for user in (1, 2, 3)]
    users: list[int | Json] = [{"id": 1, "flags": ["read"]}, {"id": 2, "flags": ["mentioned", "read"]}, 3]
    publish(rig, message(), users)
    events = [only(rig, queue_id, user) for user, queue_id in enumerate(queue_ids, start=1)]
    assert [event["flags"] for event in events] == [["read"], ["mentioned", "read"], []]
    assert rig.engine.shard.statistics.encoded == 1


def test_the_local_id_goes_back_to_the_senders_queue_alone_c13() -> None:
    rig = Rig()
    sender, other, stranger = rig.register(), rig.register(), rig.register(spec(user=2))
    echo = {"sender_queue_id": sender, "local_id": "1043.01"}
    publish(rig, message(echo), [{"id": 1, "flags": ["read"]}, 2])
    assert only(rig, sender) == {**only(rig, other), "local_message_id": "1043.01"}
    assert "local_message_id" not in only(rig, stranger, 2)
    publish(rig, message({"sender_queue_id": sender}))
    publish(rig, message({"local_id": "7"}))
    assert all("local_message_id" not in event for event in rig.poll(sender).events[1:])
    assert rig.engine.shard.statistics.encoded == 3


@pytest.mark.parametrize("name", ["x-mirror", "X-Mirror"])
def test_a_bridge_does_not_get_its_own_messages_back_c14(name: str) -> None:
    rig = Rig()
    looped, bridge, web = (rig.register(reader(client=client)) for client in (name, "y-mirror", "website"))
    publish(rig, message(client="x-mirror"))
    publish(rig, message(client="website"))
    assert [len(rig.poll(queue_id).ids) for queue_id in (looped, bridge, web)] == [1, 2, 2]
    assert rig.engine.shard.statistics.refused == {"mirror_loop": 1}


def test_a_bridge_is_told_that_a_channel_is_private_r4_10() -> None:
    rig = Rig()
    # As recorded: here the case of the name counts.
    bridge, capital, web = (
        rig.register(reader(client=name)) for name in ("zephyr_mirror", "Zephyr_Mirror", "x")
    )
    publish(rig, message({"invite_only": True}))
    assert payload(rig, bridge)["invite_only_stream"] is True
    assert all("invite_only_stream" not in payload(rig, queue_id) for queue_id in (capital, web))


def test_a_narrow_sees_the_message_as_its_client_does_with_the_users_flags_r12_3_r12_7() -> None:
    rig = Rig()
    narrow = (("topic", "General Chat"), ("is", "mentioned"))
    old, new = rig.register(reader(narrow=narrow)), rig.register(reader(narrow=narrow, empty_topic_name=True))
    publish(rig, message(subject=""), [{"id": 1, "flags": ["mentioned"]}])
    publish(rig, message(subject=""), [{"id": 1, "flags": []}])
    assert (rig.poll(old).ids, rig.poll(new).ids) == ([0], [])
    assert rig.engine.shard.statistics.refused == {"narrow": 3}


class KeepingDispatch(Dispatch[Any]):
    """Keeps what is to be kept beside each message."""

    def __init__(self, state: State[Any]) -> None:
        super().__init__(state)
        self.kept: dict[str, object] = {}

    def push(
        self,
        descriptor: Descriptor[Any],
        shaped: Representation,
        suffix: bytes = b"",
        missed: PendingNotification | None = None,
    ) -> None:
        """Keeps it."""
        super().push(descriptor, shaped, suffix)
        self.kept[descriptor.queue_id] = missed


def test_what_a_user_may_miss_goes_along_with_the_message_but_not_to_who_only_hears_r4_9() -> None:
    rig = Rig()
    named, alike = rig.register(spec(user=1)), rig.register(spec(user=1))
    nothing = rig.register(spec(user=2))
    hearing = rig.register(reader(3, all_public_streams=True, may_access_public_channels=True))
    dispatch = KeepingDispatch(rig.engine.shard._state)
    record = PendingNotification(1044, UserId(31), "mentioned", None)
    dispatch.missed = {UserId(1): record, UserId(3): PendingNotification(1044, UserId(31), None, "mentioned")}
    process(decode_notice(notice(message(), [1, 2])), dispatch)
    assert dispatch.kept == {named: record, alike: record, nothing: None, hearing: None}


def test_a_queue_without_messages_costs_no_shaping_r4_10() -> None:
    rig = Rig()
    rig.register(spec(types=["reaction"]))
    publish(rig, message())
    assert rig.engine.shard.statistics.refused == {"event_types": 1}
    assert rig.engine.shard.statistics.encoded == 0


def test_each_shape_is_encoded_once_however_many_queues_there_are() -> None:
    rig = Rig()
    for user, markdown in zip(range(300), itertools.cycle([True, False]), strict=False):
        rig.register(reader(user, apply_markdown=markdown, empty_topic_name=user % 3 == 0 and markdown))
    publish(rig, message(), [{"id": user, "flags": []} for user in range(300)])
    statistics = rig.engine.shard.statistics
    assert (statistics.delivered, statistics.encoded) == (300, 3)
    suffixes = {id(entry[2]) for each in rig.engine.shard._state.directory for entry in each.queue.entries}
    assert len(suffixes) == 1


def test_many_narrows_over_one_shape_encode_once_d1() -> None:
    rig = Rig()
    for user in range(5_000):
        rig.register(reader(user, narrow=(("channel", "ops"), ("topic", f"t{user % 2_500}"))))
    publish(rig, message(subject="t7"), list(range(5_000)))
    statistics = rig.engine.shard.statistics
    assert (statistics.delivered, statistics.encoded) == (2, 1)
    assert statistics.refused == {"narrow": 4_998}


def test_shapes_that_differ_in_nothing_a_message_shows_share_its_bytes_r4_10() -> None:
    rig = Rig()
    rig.register(reader())
    rig.register(reader(slim_presence=True))
    publish(rig, message())
    assert rig.engine.shard.statistics.encoded == 1


def test_a_waiting_poll_gets_all_messages_of_a_notice_batch_and_only_then_d_31() -> None:
    rig = Rig()
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    rig.publish(message(), message(id=1045), {"type": "reaction"})
    assert waiting.ids == [0, 1, 2]


def test_a_notice_for_a_realm_passes_by_queues_of_others_r0_5() -> None:
    rig = Rig()
    inside, outside = rig.register(spec(realm=1)), rig.register(spec(realm=2))
    publish(rig, message(), realm_id=1)
    assert (rig.poll(inside).ids, rig.poll(outside).ids) == ([0], [])
    assert rig.engine.shard.statistics.foreign_realm == 1


class BrokenQueue(EventQueue):
    """A queue that takes nothing."""

    def push(self, shaped: Pushable, suffix: bytes = b"", missed: PendingNotification | None = None) -> int:
        """Whatever may go wrong."""
        raise ValueError(shaped.kind, suffix, missed)

    def push_alone(
        self, shaped: Pushable, suffix: bytes = b"", missed: PendingNotification | None = None
    ) -> int:
        """Whatever may go wrong."""
        raise ValueError(shaped.kind, suffix, missed)


def test_what_fails_in_one_queue_does_not_keep_the_message_from_others_d9_d_11() -> None:
    rig = Rig()
    broken, whole = rig.register(), rig.register()
    descriptor = rig.engine.shard.find(broken)
    assert descriptor is not None
    descriptor.queue = BrokenQueue()
    publish(rig, message())
    assert rig.poll(whole).ids == [0]
    assert [(failure.kind, failure.queue_id) for failure in rig.reporter.failures] == [("message", broken)]
    assert rig.engine.shard.statistics.broken == 1
