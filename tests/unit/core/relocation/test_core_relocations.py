"""Users on their way between shards: the rule of who is where, what goes along, and what is remembered of whom."""

import pytest

from support.core_rig import KeepingSlot, Rig, spec
from support.events import flags, notice
from tidewire.core.errors import BadRequest, UserMoving
from tidewire.core.ids import QueueId, UserId
from tidewire.core.notices.notice import decode_notice
from tidewire.core.relocation.relocations import Relocations
from tidewire.core.state.limits import Limits
from tidewire.core.transitions.relocate import Chunk, decode_chunk, encode_chunk

ADA = UserId(1)


def moves(index: int) -> Relocations:
    """A shard's, in a hand-over of two shards."""
    made = Relocations()
    made.begin(version=2, before=b"1", after=b"2", index=index, others=[1 - index], mark=5)
    return made


@pytest.mark.parametrize("agreed", [False, True])
def test_who_does_not_move_is_where_the_maps_say(agreed: bool) -> None:
    for index in (0, 1):
        made = moves(index)
        made.agreed = agreed
        assert [made.place(ADA, home, home).shard for home in (0, 1)] == [0, 1]


def test_a_mover_is_at_the_shard_before_until_it_has_begun_to_move() -> None:
    source, target = moves(0), moves(1)
    assert (source.place(ADA, 0, 1).shard, target.place(ADA, 0, 1).shard) == (0, 0)
    source.agreed = target.agreed = True
    assert (source.place(ADA, 0, 1).shard, target.place(ADA, 0, 1).shard) == (0, 0)


def test_a_third_shard_goes_by_the_new_map_once_all_know_it() -> None:
    third = Relocations()
    third.begin(version=2, before=b"1", after=b"2", index=2, others=[0, 1], mark=0)
    assert third.place(ADA, 0, 1).shard == 0
    third.agreed = True
    assert third.place(ADA, 0, 1).shard == 1


def test_what_the_other_never_had_is_here_once_it_has_closed() -> None:
    target = moves(1)
    target.settle(0, 7)
    assert target.place(ADA, 0, 1).shard == 1


def pair(source: Rig | None = None) -> tuple[Rig, Rig]:
    """Two shards in a hand-over from the first to the second."""
    rigs = (source or Rig(), Rig())
    for index, rig in enumerate(rigs):
        relocation_steps = rig.engine.relocation_steps
        relocation_steps.take_map(version=2, before=b"1", after=b"2", index=index, others=[1 - index])
        relocation_steps.agree()
    return rigs


def moved(source: Rig, target: Rig, *users: UserId) -> None:
    """Hands users over."""
    source.engine.relocation_steps.begin(users, 1, KeepingSlot[None]())
    for chunk in (*source.engine.relocation_steps.tables(), *source.engine.relocation_steps.chunks(users)):
        target.engine.relocation_steps.take(decode_chunk(encode_chunk(chunk)), KeepingSlot[None]())
    source.engine.relocation_steps.finish(users)


def test_a_waiting_poll_ends_with_no_events_and_no_id_is_taken_d5() -> None:
    source, target = pair()
    queue_id = source.register()
    source.publish({"type": "a"})
    assert source.poll(queue_id).ids == [0]
    waiting = source.poll(queue_id, 0, block=True)
    moved(source, target, ADA)
    assert waiting.ids == []
    target.publish({"type": "b"})
    assert target.poll(queue_id, 0).ids == [1]


def test_what_is_moving_can_be_neither_read_nor_changed() -> None:
    source, _ = pair()
    queue_id = source.register()
    source.engine.relocation_steps.begin([ADA], 1, KeepingSlot[None]())
    for refused in (
        lambda: source.poll(queue_id),
        source.register,
        lambda: source.publish({"type": "a"}),
        lambda: source.delete(queue_id),
    ):
        with pytest.raises(UserMoving):
            refused()
    source.wait(2000)
    assert source.engine.shard.find(queue_id) is not None


def test_groups_and_ids_go_along_and_any_contributor_s_id_is_accepted_until_a_prune_d3() -> None:
    source, target = pair()
    queue_id = source.register()
    for message in (1, 2, 3):
        source.publish(flags("add", "read", [message]))
    assert source.poll(queue_id).ids == [2]
    with pytest.raises(BadRequest):
        source.poll(queue_id, 1)
    source.publish(flags("add", "read", [4]), flags("add", "read", [5]))
    moved(source, target, ADA)
    (event,) = target.poll(queue_id, 1).events[-1:]
    assert (event["id"], event["messages"]) == (4, [4, 5])
    assert target.poll(queue_id, 3).ids == [4]


def test_why_an_earlier_queue_ended_and_that_rights_were_revoked_go_along() -> None:
    source, target = pair()
    queue_id = source.register()
    source.delete(queue_id)
    other = source.register(spec(3))
    source.publish({"type": "revoke_user", "user_id": 3}, users=[3])
    moved(source, target, ADA, UserId(3))
    state = target.engine.shard._state
    assert state.tombstones.reason(queue_id, ADA) == "deleted"
    assert state.tombstones.reason(other, UserId(3)) == "revoked"
    assert list(state.revoked) == [3]
    assert not source.engine.shard._state.revoked


def test_a_notice_that_was_taken_before_is_known_after_the_move() -> None:
    before = Rig()
    queue_id = before.register()
    before.publish_as("n", {"type": "a"})
    source, target = pair(before)
    moved(source, target, ADA)
    target.publish_as("n", {"type": "a"})
    assert target.poll(queue_id).ids == [0]


def test_what_is_sent_again_replaces_what_had_arrived() -> None:
    source, target = pair()
    queue_id = source.register()
    source.publish({"type": "a"})
    source.engine.relocation_steps.begin([ADA], 1, KeepingSlot[None]())
    (whole,) = source.engine.relocation_steps.chunks([ADA])
    part = Chunk(**{name: getattr(whole, name) for name in whole.__struct_fields__} | {"users": ()})
    for _ in range(2):
        target.engine.relocation_steps.take(part, KeepingSlot[None]())
        with pytest.raises(UserMoving):
            target.poll(queue_id)
    target.engine.relocation_steps.take(whole, KeepingSlot[None]())
    assert target.poll(queue_id).ids == [0]
    assert target.engine.shard.queue_ids() == [QueueId(queue_id)]


def test_a_further_part_says_nothing_of_users_whom_it_does_not_name() -> None:
    _, target = pair()
    queue_id = target.register(spec(2))
    part = decode_notice(notice({"type": "a"}, [4], id="n", whole="0" * 32))
    part.is_detour, part.aside = True, frozenset({UserId(4)})
    target.engine.publish([part], KeepingSlot[int]())
    own = decode_notice(notice({"type": "a"}, [2], id="n", whole="0" * 32))
    target.engine.publish([own], KeepingSlot[int]())
    assert target.poll(queue_id, user=2).ids == [0]


def test_what_newcomers_were_given_is_forgotten_like_other_ids() -> None:
    before = Rig(limits=Limits(remember_ids_for=10.0))
    before.register()
    before.publish_as("n", {"type": "a"})
    source, _ = pair(before)
    target = Rig(limits=Limits(remember_ids_for=10.0))
    target.engine.relocation_steps.take_map(version=2, before=b"1", after=b"2", index=1, others=[0])
    target.engine.relocation_steps.agree()
    source.wait(1)
    moved(source, target, ADA)
    moves_there = target.engine.relocation_steps.relocations
    assert (len(moves_there.tables["0@2"]), list(moves_there.newcomers)) == (1, [ADA])
    target.engine.relocation_steps.close()
    target.engine.relocation_steps.settle_shard(0)
    assert not moves_there.under_way
    target.wait(30)
    assert (moves_there.tables, moves_there.newcomers, len(moves_there.given)) == ({}, {}, 0)
