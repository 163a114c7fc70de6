"""Queues by id and by user (R2.8, R2.10)."""

import pytest

from support.core_rig import Rig, spec
from tidewire.core.errors import BadEventQueueId
from tidewire.core.ids import UserId


def test_a_users_queues_come_in_order_of_creation() -> None:
    rig = Rig()
    queue_ids = [rig.register(spec(user=user)) for user in (1, 2, 1, 1)]
    directory = rig.engine.shard._state.directory
    assert [each.queue_id for each in directory.of_user(UserId(1))] == [
        queue_ids[0],
        queue_ids[2],
        queue_ids[3],
    ]
    assert list(directory.of_user(UserId(9))) == []
    assert [each.queue_id for each in directory] == queue_ids
    assert (len(directory), directory.users()) == (4, 2)


def test_a_removed_queue_is_in_no_index() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.delete(queue_id)
    directory = rig.engine.shard._state.directory
    assert directory.get(queue_id) is None
    assert (len(directory), directory.users()) == (0, 0)
    with pytest.raises(BadEventQueueId):
        directory.owned(queue_id, UserId(1))
