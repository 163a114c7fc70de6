"""The conformance checks of section 16 that concern queues and polls, each under its number."""

from typing import Any

import pytest

from support.core_rig import Rig, spec
from support.events import Json, flags, state_of_flags
from tidewire.core.errors import BadEventQueueId, BadRequest
from tidewire.core.persistence.snapshot import decode_snapshot, encode_snapshot
from tidewire.core.state.limits import Limits
from tidewire.engine.timing import EngineTiming

DEPLOY: Json = {"type": "deploy"}


def test_c1_an_acknowledged_middle_id_leaves_the_rest_with_its_ids() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(DEPLOY, flags("add", "read", [1]), DEPLOY, flags("add", "starred", [2]), DEPLOY)
    before = rig.poll(queue_id)
    assert before.ids == [0, 1, 2, 3, 4]
    assert rig.poll(queue_id, 2).events == before.events[3:]


def test_c2_the_worked_example_of_r1_13_exactly() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(
        flags("add", "read", [7]),
        flags("add", "read", [8, 9]),
        {"type": "reaction", "op": "add", "message_id": 7, "user_id": 31},
        flags("add", "read", [12]),
        flags("add", "starred", [7]),
        {"type": "typing", "op": "start", "message_type": "direct"},
    )
    expected: list[dict[str, Any]] = [
        {"id": 2, "type": "reaction", "op": "add", "message_id": 7, "user_id": 31},
        {
            "id": 3,
            "type": "update_message_flags",
            "op": "add",
            "operation": "add",
            "flag": "read",
            "messages": [7, 8, 9, 12],
            "all": False,
        },
        {
            "id": 4,
            "type": "update_message_flags",
            "op": "add",
            "operation": "add",
            "flag": "starred",
            "messages": [7],
            "all": False,
        },
        {"id": 5, "type": "typing", "op": "start", "message_type": "direct"},
    ]
    assert rig.poll(queue_id).events == expected
    rig.publish(flags("add", "read", [13]))
    assert rig.poll(queue_id).events == [*expected, {**flags("add", "read", [13]), "id": 6}]


def test_c3_an_opposite_event_in_between_is_not_overtaken() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(flags("add", "read", [5]), flags("remove", "read", [5]), flags("add", "read", [6]))
    assert state_of_flags(rig.poll(queue_id).events, (5, 6)) == {("read", 6)}


@pytest.mark.parametrize(
    ("first", "second", "left"), [("add", "remove", set()), ("remove", "add", {("starred", 5)})]
)
def test_c4_star_and_unstar_without_a_read_in_between(
    first: str, second: str, left: set[tuple[str, int]]
) -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(flags(first, "starred", [5]), flags(second, "starred", [5]))
    assert state_of_flags(rig.poll(queue_id).events, (5,)) == left


def test_c5_what_waits_to_be_merged_survives_a_restart() -> None:
    rig, twin = Rig(), Rig()
    for each in (rig, twin):
        each.register()
        each.publish(
            flags("add", "read", [1]), DEPLOY, flags("remove", "read", [1]), flags("add", "read", [2])
        )
    image = decode_snapshot(encode_snapshot(rig.engine.snapshot()))
    rig.restart(image, [], resumed=False)
    for each in (rig, twin):
        each.publish(flags("add", "read", [3]))
    assert rig.poll("queue-1").events == twin.poll("queue-1").events


def test_c6_last_event_id_of_a_fresh_queue() -> None:
    rig = Rig()
    queue_id = rig.register()
    assert rig.poll(queue_id, -1).ids == []
    with pytest.raises(BadRequest, match=r"^Event 0 was not in this queue$"):
        rig.poll(queue_id, 0)
    rig.publish(DEPLOY)
    assert rig.poll(queue_id, -1).ids == [0]


def test_c6_last_event_id_repeated_smaller_and_in_a_gap() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(DEPLOY, DEPLOY, flags("add", "read", [1]), flags("add", "read", [2]), DEPLOY)
    assert rig.poll(queue_id).ids == [0, 1, 3, 4]
    assert rig.poll(queue_id, 1).ids == [3, 4]
    assert rig.poll(queue_id, 1).ids == [3, 4]
    with pytest.raises(BadRequest, match=r"^An event newer than 0 has already been pruned!$"):
        rig.poll(queue_id, 0)
    with pytest.raises(BadRequest, match=r"^Event 2 was not in this queue$"):
        rig.poll(queue_id, 2)
    with pytest.raises(BadRequest, match=r"^Event 5 was not in this queue$"):
        rig.poll(queue_id, 5)
    assert rig.poll(queue_id, 1).ids == [3, 4]


def test_c7_the_first_of_two_polls_is_answered_with_nothing_and_the_second_waits() -> None:
    rig = Rig()
    queue_id = rig.register()
    first = rig.poll(queue_id, block=True)
    second = rig.poll(queue_id, block=True)
    assert first.ids == []
    assert second.answers == []
    rig.publish(DEPLOY)
    assert second.ids == [0]


def test_c7_a_poll_that_does_not_wait_displaces_too() -> None:
    rig = Rig()
    queue_id = rig.register()
    first = rig.poll(queue_id, block=True)
    assert rig.poll(queue_id).ids == []
    assert first.ids == []
    assert rig.engine.shard.statistics.displaced == 1


@pytest.mark.parametrize("types", [None, ["message"]])
@pytest.mark.parametrize("chance", [0.0, 0.3, 0.999999])
def test_c8_a_heartbeat_comes_between_45_and_55_seconds(types: list[str] | None, chance: float) -> None:
    rig = Rig()
    rig.clock.time += 0.7
    queue_id = rig.register(spec(types=types))
    rig.chances.append(chance)
    waiting = rig.poll(queue_id, block=True)
    parked = rig.clock.time
    rig.clock.time += 0.2
    while not waiting.answered:
        rig.wait(1)
    assert 45 <= rig.clock.time - parked <= 55
    assert waiting.events == [{"type": "heartbeat", "id": 0}]
    assert rig.poll(queue_id, 0).ids == []


def test_c9_a_foreign_queue_looks_like_an_unknown_one_and_its_owner_is_known_to_the_log() -> None:
    rig = Rig()
    queue_id = rig.register()
    with pytest.raises(BadEventQueueId) as foreign:
        rig.poll(queue_id, user=2)
    rig.delete(queue_id)
    with pytest.raises(BadEventQueueId) as unknown:
        rig.poll(queue_id, user=2)
    assert (foreign.value.message, foreign.value.data) == (unknown.value.message, unknown.value.data)
    assert (foreign.value.owner_id, unknown.value.owner_id) == (1, None)


def test_c20_a_queue_that_is_only_polled_without_waiting_lives_on_d3() -> None:
    rig = Rig(limits=Limits(offline_after=80), timing=EngineTiming(collect_every=1))
    queue_id = rig.register(spec(idle=100))
    for _ in range(10):
        rig.wait(79)
        assert rig.poll(queue_id).ids == []
    found = rig.engine.shard.find(queue_id)
    assert found is not None
    assert not found.offline
