"""Enforcing: rights that changed while the server ran, while it was stopped, and while nothing can be written."""

import pytest

from support.core_rig import Rig, spec
from support.events import flags
from tidewire.core.errors import BadEventQueueId, Unavailable
from tidewire.core.ids import UserId
from tidewire.core.queues.descriptor import QueueSpec
from tidewire.core.records import Removed

DEPLOY = {"type": "deploy"}


def with_rights(user: int, rights: bytes) -> QueueSpec:
    plain = spec(user=user)
    return QueueSpec(user_id=plain.user_id, realm_id=plain.realm_id, rights=rights)


def test_a_revocation_that_can_not_be_written_is_tried_again_and_until_then_nothing_is_given() -> None:
    rig = Rig()
    queue_id, other = rig.register(), rig.register(spec(user=2))
    waiting, others = rig.poll(queue_id, block=True), rig.poll(other, user=2, block=True)
    rig.journal.fails = True
    assert rig.engine.revoke([UserId(1)]) == 0
    assert waiting.ids == []
    assert not others.answered
    for refused in (lambda: rig.poll(queue_id), rig.register):
        with pytest.raises(Unavailable):
            refused()
    rig.wait(3)
    assert rig.engine.shard.find(queue_id) is not None
    rig.journal.fails = False
    rig.wait(1)
    with pytest.raises(BadEventQueueId) as gone:
        rig.poll(queue_id)
    assert gone.value.data["reason"] == "revoked"
    rig.register()
    assert not others.answered


def test_an_answer_that_is_held_for_a_record_is_not_given_either() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(flags("add", "read", [1]), flags("add", "read", [2]))
    rig.journal.fails = True
    held = rig.poll(queue_id, block=True)
    assert not held.answered
    rig.engine.revoke([UserId(1)])
    assert held.ids == []


def test_queues_made_under_other_rights_end_at_the_start() -> None:
    rig = Rig()
    changed = rig.register(with_rights(1, b"guest"))
    same = rig.register(with_rights(2, b"member"))
    removed = rig.register(with_rights(3, b"member"))
    unknown = rig.register(spec(user=4))
    rig.publish(DEPLOY, users=[1, 2, 3, 4])
    rights = {UserId(1): b"member", UserId(2): b"member", UserId(4): b"member"}
    rig.recover(rights=lambda user_id: rights.get(user_id, b""))
    assert rig.poll(same, user=2).ids == rig.poll(unknown, user=4).ids == [0]
    ended = [one.queue_id for one in rig.journal.records() if isinstance(one, Removed)]
    assert ended == [changed, removed]
    for user, queue_id in ((1, changed), (3, removed)):
        with pytest.raises(BadEventQueueId) as gone:
            rig.poll(queue_id, user=user)
        assert gone.value.data["reason"] == "revoked"


def test_rights_survive_a_snapshot() -> None:
    rig = Rig()
    queue_id = rig.register(with_rights(1, b"guest"))
    rig.engine.final_snapshot()
    rig.recover(rights=lambda _: b"guest")
    assert rig.poll(queue_id).ids == []
    rig.engine.final_snapshot()
    rig.recover(rights=lambda _: b"member")
    assert rig.engine.shard.queues() == 0
