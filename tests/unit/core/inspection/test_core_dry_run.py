"""A rehearsal says what delivering does, and does nothing itself."""

import json
from typing import Any

import msgspec
import pytest

from reference.samples import RECIPIENT, samples
from support.core_rig import KeepingSlot, Rig, spec
from support.events import decode, flags, notice
from tidewire.core.errors import InvalidNotice, NoticeIdReused
from tidewire.core.events.capabilities import CAPABILITY_NAMES, Capabilities
from tidewire.core.ids import RealmId, UserId
from tidewire.core.inspection.dry_run import DryRun
from tidewire.core.notices.notice import Notice, decode_notice
from tidewire.core.notices.request_body import decode_notices
from tidewire.core.persistence.snapshot import encode_snapshot
from tidewire.core.queues.descriptor import QueueSpec

DEPLOY = {"type": "deploy"}


def rehearse(rig: Rig, raw: bytes, most: int = 1000) -> DryRun:
    return rig.engine.shard.dry_run(decode_notice(raw), most=most, payload=True)


def everything(rig: Rig) -> tuple[Any, ...]:
    """What a rehearsal may not change."""
    shard = rig.engine.shard
    state, statistics = shard._state, shard.statistics
    counted = tuple(repr(getattr(statistics, name)) for name in statistics.__slots__)
    trails = [(bytes(one.history), bytes(one.history.refusals or b"")) for one in state.directory]
    return encode_snapshot(shard.snapshot(now=0.0)), counted, trails, state.histories.notice, len(state.ready)


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: f"{sample.kind}")
def test_what_is_said_beforehand_is_what_happens(sample: Any) -> None:
    rig = Rig()
    for having in (False, True):
        capabilities = Capabilities(**dict.fromkeys(CAPABILITY_NAMES, having))
        for types in (None, ("deploy",)):
            rig.register(
                QueueSpec(
                    user_id=RECIPIENT,
                    realm_id=RealmId(1),
                    client_type_name="website",
                    event_types=types,
                    capabilities=capabilities,
                )
            )
    raw = msgspec.json.encode({"event": sample.event, "users": sample.users})
    before = everything(rig)
    rehearsed = rehearse(rig, raw)
    assert everything(rig) == before
    refused = rig.engine.shard.statistics.refused.copy()
    rig.engine.publish(decode_notices(raw), KeepingSlot[int]())
    for queue_id in rig.engine.shard.queue_ids():
        promised = [one for one in rehearsed.outcomes if one.queue_id == queue_id and one.state == "queued"]
        given = rig.poll(queue_id, user=RECIPIENT).events
        assert [decode(bytes(one.event or b"")) for one in promised] == given
        assert [one.event_id for one in promised] == [event["id"] for event in given]
    rules = [one.rule for one in rehearsed.outcomes if one.state == "refused"]
    happened = rig.engine.shard.statistics.refused - refused
    assert sorted(happened.elements()) == sorted(rule or "" for rule in rules)


def test_it_says_which_event_it_would_be_merged_with_and_who_is_answered() -> None:
    rig = Rig()
    queue_id, waits = rig.register(), rig.register(spec(user=2))
    rig.publish(flags("add", "read", [1]))
    rig.poll(waits, user=2, block=True)
    first, second = rehearse(rig, notice(flags("add", "read", [2]), [1, 2, 9])).outcomes
    assert (first.queue_id, first.merges_with, first.event_id, first.answers) == (queue_id, 0, 1, False)
    assert (second.merges_with, second.answers) == (None, True)
    assert rehearse(rig, notice(flags("remove", "read", [2]), [1])).outcomes[0].merges_with is None


def test_beyond_the_bound_outcomes_are_counted_only() -> None:
    rig = Rig()
    for user in range(10):
        rig.register(spec(user=user, types=["deploy"] if user % 2 else ["other"]))
    rehearsed = rehearse(rig, notice(DEPLOY, list(range(12))), most=3)
    assert len(rehearsed.outcomes) == 3
    assert rehearsed.counts == {"queued": 5, "refused": 5}
    assert rehearsed.users_without_queue == 2


@pytest.mark.parametrize(
    ("event", "rule"),
    [
        ({"type": "cleanup_queue", "queue_id": "queue-1"}, "deleted"),
        ({"type": "revoke_user", "user_id": 1}, "revoked"),
    ],
)
def test_queues_that_would_end_are_named_and_live_on(event: dict[str, Any], rule: str) -> None:
    rig = Rig()
    queue_id = rig.register()
    (outcome,) = rehearse(rig, notice(event)).outcomes
    assert (outcome.queue_id, outcome.state, outcome.rule) == (queue_id, "ended", rule)
    assert rig.engine.shard.queue_ids() == [queue_id]


def test_other_realms_repeats_and_wrong_notices_are_told() -> None:
    rig = Rig()
    rig.register()
    other = rehearse(rig, notice(DEPLOY, realm_id=2))
    assert [one.state for one in other.outcomes] == ["other_realm"]
    rig.publish_as("once", DEPLOY)
    assert rehearse(rig, notice(DEPLOY, id="once")).repeated
    with pytest.raises(NoticeIdReused):
        rehearse(rig, notice({"type": "else"}, id="once"))
    with pytest.raises(InvalidNotice):
        rehearse(rig, notice({"type": "delete_message"}))
    assert isinstance(decode_notice(json.dumps({"event": DEPLOY, "users": [UserId(1)]}).encode()), Notice)
