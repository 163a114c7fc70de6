"""Who hears public messages that name others (R2.9, R4.8, D-1, D-27, C15)."""

from typing import Any

import pytest

from support.core_rig import Rig, spec
from support.messages import message, only, publish, reader
from tidewire.core.events.presentation import Presentation
from tidewire.core.ids import RealmId
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.shard import Shard


def member(user: int, **members: Any) -> QueueSpec:
    return reader(user, may_access_public_channels=True, **members)


def rig_with(*, narrow_hears: bool = False) -> Rig:
    return Rig(shard=Shard(presentation=Presentation(narrow_hears_public_channels=narrow_hears)))


def hearers(rig: Rig, channel: object = "ops", realm: int = 1) -> list[str]:
    return [
        each.queue_id for each in rig.engine.shard._state.directory.public_listeners(RealmId(realm), channel)
    ]


UNREAD = (("is", "unread"),)


@pytest.mark.parametrize("narrow_hears", [False, True])
@pytest.mark.parametrize("guest", [False, True])
def test_a_narrow_opens_unsubscribed_channels_to_members_by_setting_and_to_guests_never_c15(
    narrow_hears: bool, guest: bool
) -> None:
    rig = rig_with(narrow_hears=narrow_hears)
    queue_id = rig.register(reader(2, narrow=UNREAD, may_access_public_channels=not guest))
    publish(rig, message(), [1])
    assert rig.poll(queue_id, user=2).ids == ([0] if narrow_hears and not guest else [])
    publish(rig, message(), [2])
    assert len(rig.poll(queue_id, user=2).ids) == (2 if narrow_hears and not guest else 1)


@pytest.mark.parametrize("narrow", [(), UNREAD])
def test_a_guest_who_asks_for_all_public_streams_hears_only_what_names_them_d_1(narrow: Any) -> None:
    rig = rig_with(narrow_hears=True)
    queue_id = rig.register(reader(2, all_public_streams=True, narrow=narrow))
    publish(rig, message(), [1])
    assert rig.poll(queue_id, user=2).ids == []
    publish(rig, message(), [2])
    assert rig.poll(queue_id, user=2).ids == [0]


def test_the_firehose_is_for_public_messages_of_the_queues_own_realm_r4_8() -> None:
    rig = Rig()
    queue_id = rig.register(member(2, all_public_streams=True))
    for template in (
        {"invite_only": True},
        {"realm_id": 2},
        {"realm_id": None},
        {"stream_name": None},
    ):
        publish(rig, message(template), [1])
    # A notice is for its own realm, whatever its event says.
    publish(rig, message(), [1], realm_id=2)
    assert rig.poll(queue_id, user=2).ids == []
    publish(rig, message(), [1], realm_id=1)
    publish(rig, message({"invite_only": None}), [1])
    assert rig.poll(queue_id, user=2).ids == [0, 1]


def test_who_hears_without_being_named_has_no_flags_and_who_is_named_has_theirs_r4_8() -> None:
    rig = Rig()
    queue_ids = [rig.register(member(user, all_public_streams=True)) for user in (1, 2)]
    publish(rig, message(), [{"id": 1, "flags": ["mentioned"]}])
    assert [only(rig, queue_id, user)["flags"] for user, queue_id in zip((1, 2), queue_ids, strict=True)] == [
        ["mentioned"],
        [],
    ]


def test_who_hears_without_being_named_may_not_see_a_hidden_sender_either_r4_12() -> None:
    rig = Rig()
    queue_id = rig.register(member(2, all_public_streams=True))
    publish(rig, message({"user_ids_without_access_to_sender": [2]}), [1])
    assert only(rig, queue_id, 2)["message"]["sender_full_name"] == "Unknown user"


def test_a_queue_that_ended_hears_nothing_and_leaves_nothing_behind() -> None:
    rig = rig_with(narrow_hears=True)
    wanted = [
        member(2, all_public_streams=True),
        member(2, narrow=(("channel", "ops"),)),
        member(3, narrow=(("stream", "OPS"),)),
    ]
    queue_ids = [rig.register(each) for each in wanted]
    assert hearers(rig) == queue_ids
    for queue_id, each in zip(queue_ids, wanted, strict=True):
        rig.delete(queue_id, user=each.user_id)
    assert hearers(rig) == []
    assert len(rig.engine.shard._state.directory._firehose._queues) == 0


def test_a_message_looks_only_at_queues_narrowed_to_its_channel_d_27() -> None:
    rig = rig_with(narrow_hears=True)
    for user in range(1_000):
        rig.register(member(user, narrow=(("is", "unread"), ("stream", f"Channel {user}"))))
    assert hearers(rig, "cHANNEL 7") == ["queue-8"]
    assert hearers(rig, "channel 1000") == hearers(rig, None) == hearers(rig, "channel 7", realm=2) == []
    publish(rig, message(display_recipient="channel 7"), [])
    statistics = rig.engine.shard.statistics
    assert (statistics.delivered, statistics.refused.total()) == (1, 0)


def test_a_direct_message_is_no_channels_even_if_its_template_says_so() -> None:
    rig = rig_with(narrow_hears=True)
    queue_id = rig.register(member(2, narrow=(("channel", "ops"),)))
    publish(rig, message(type="private"), [])
    assert rig.poll(queue_id, user=2).ids == []


def test_queues_that_take_no_messages_or_ask_for_nothing_take_no_room() -> None:
    rig = rig_with(narrow_hears=True)
    rig.register(member(1))
    rig.register(member(1, all_public_streams=True, event_types=("reaction",)))
    rig.register(spec())
    assert len(rig.engine.shard._state.directory._firehose._queues) == 0
