"""Trails and the stories that are told from them: their bounds, and cases that chance hardly meets."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.core_rig import Rig, spec
from support.events import flags
from tidewire.core.errors import NotFound
from tidewire.core.history.history import LEAST, OVERHEAD
from tidewire.core.ids import UserId
from tidewire.core.inspection.explain import Explanation
from tidewire.core.inspection.queue_list import SORTS, QueueFilter, QueueRow
from tidewire.core.state.limits import Limits

DEPLOY = {"type": "deploy"}
OTHER = {"type": "other"}


def stories(rig: Rig, queue_id: str, last: int = 1000) -> list[Explanation]:
    return rig.engine.shard.explain_last(queue_id=queue_id, user_id=None, last=last)


def states(rig: Rig, queue_id: str) -> list[str]:
    return [story.state for story in stories(rig, queue_id)]


def trails(rig: Rig) -> Iterator[Any]:
    state = rig.engine.shard._state
    yield from (descriptor.history for descriptor in state.directory)
    yield from (ended.trail for ended in state.ended)


def counted(rig: Rig) -> int:
    return sum(OVERHEAD + len(trail) + len(trail.refusals or b"") for trail in trails(rig))


@pytest.mark.parametrize("size", [1, LEAST, 2048, 10_000])
def test_a_trail_never_takes_more_than_its_bytes_and_all_are_counted(size: int) -> None:
    rig = Rig(limits=Limits(explain_bytes=size))
    queue_id = rig.register(spec(types=["deploy"]))
    for number in range(500):
        rig.publish(DEPLOY, OTHER)
        rig.poll(queue_id, number - 1)
        (trail,) = trails(rig)
        assert len(trail) + len(trail.refusals or b"") <= max(size, LEAST)
        assert rig.engine.shard._state.memory.trails == counted(rig)
    assert len([story for story in stories(rig, queue_id) if story.state == "acknowledged"]) >= 4
    assert len([story for story in stories(rig, queue_id) if story.state == "refused"]) >= 4


def test_many_events_acknowledged_at_once_stay_within_the_bytes() -> None:
    rig = Rig(limits=Limits(explain_bytes=1000))
    queue_id = rig.register()
    rig.publish(*[DEPLOY] * 5000)
    rig.poll(queue_id, rig.poll(queue_id).ids[-1])
    (trail,) = trails(rig)
    assert len(trail) <= 750
    assert rig.engine.shard._state.memory.trails == counted(rig)
    assert rig.engine.shard.explain_event(queue_id, 4999).acknowledged_at == rig.clock.time
    assert rig.engine.shard.explain_event(queue_id, 0).state == "acknowledged"


def test_what_got_no_record_was_not_sent_past_the_queue() -> None:
    rig = Rig(limits=Limits(explain_bytes=1000))
    queue_id = rig.register()
    for number in range(50):
        rig.publish_as(f"n-{number}", DEPLOY)
    rig.poll(queue_id, rig.poll(queue_id).ids[-1])
    told = [rig.engine.shard.explain_notice(queue_id, f"n-{number}")[0].state for number in range(50)]
    assert told == ["unknown"] * told.count("unknown") + ["acknowledged"] * told.count("acknowledged")
    assert told.count("acknowledged") >= 10


def test_what_is_refused_does_not_push_out_what_was_delivered() -> None:
    rig = Rig()
    queue_id = rig.register(spec(types=["deploy"]))
    rig.publish(DEPLOY)
    rig.poll(queue_id, rig.poll(queue_id).ids[-1])
    rig.publish(*[OTHER] * 1000)
    first, *rest = stories(rig, queue_id)
    assert (first.event_id, first.type, first.state) == (0, "deploy", "acknowledged")
    assert {(story.state, story.rule, story.type) for story in rest} == {("refused", "event_types", "other")}


def test_without_room_nothing_is_recorded_and_what_the_queue_holds_is_still_told() -> None:
    rig = Rig(limits=Limits(explain_bytes=0))
    queue_id = rig.register(spec(types=["deploy"]))
    rig.publish(DEPLOY, OTHER)
    assert rig.engine.shard._state.memory.trails == 0
    assert not rig.engine.shard._state.memory.marks
    story = rig.engine.shard.explain_event(queue_id, 0)
    assert (story.state, story.type, story.at) == ("waiting", None, None)
    rig.delete(queue_id)
    with pytest.raises(NotFound, match="deleted"):
        rig.engine.shard.explain_event(queue_id, 0)


def test_of_ended_queues_the_newest_are_kept() -> None:
    rig = Rig(limits=Limits(explain_ended=2))
    ended = [rig.register() for _ in range(3)]
    rig.publish(DEPLOY)
    for queue_id in ended:
        rig.delete(queue_id)
    assert rig.engine.shard._state.memory.trails == counted(rig) > 0
    with pytest.raises(NotFound, match="no longer known"):
        stories(rig, ended[0])
    assert [(story.state, story.ended) for story in stories(rig, ended[2])] == [("dropped", "deleted")]
    with pytest.raises(NotFound, match="no queue"):
        stories(rig, "nonsense")


def test_ended_queues_give_way_before_any_queue_does() -> None:
    rig = Rig(limits=Limits(memory_budget=16_000, explain_bytes=8192))
    queue_id = rig.register()
    for number in range(400):
        rig.publish(DEPLOY)
        rig.poll(queue_id, number - 1)
    rig.delete(queue_id)
    left = [rig.register(spec(user=user)) for user in range(2, 10)]
    assert rig.engine.shard.queue_ids() == left
    assert not len(rig.engine.shard._state.ended)


def test_a_waiting_poll_that_an_end_answers_was_sent_what_it_got() -> None:
    rig = Rig(limits=Limits(max_events=1))
    queue_id = rig.register()
    waiting = rig.poll(queue_id, block=True)
    rig.publish(DEPLOY, DEPLOY)
    assert waiting.ids == [0, 1]
    assert [(story.state, story.ended) for story in stories(rig, queue_id)] == [("dropped", "overflow")] * 2
    assert {story.sent_at for story in stories(rig, queue_id)} == {rig.clock.time}


def test_a_revoked_queue_says_so_and_that_nothing_was_given() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish(DEPLOY)
    rig.publish({"type": "revoke_user", "user_id": 1}, users=[])
    (story,) = stories(rig, queue_id)
    assert (story.state, story.sent_at, story.ended) == ("dropped", None, "revoked")


def test_merged_events_say_into_what_and_what_took_their_place_says_so() -> None:
    rig = Rig()
    queue_id = rig.register()
    for message in range(3):
        rig.publish(flags("add", "read", [message]))
    assert states(rig, queue_id) == ["waiting"] * 3
    rig.poll(queue_id)
    first, second, third = stories(rig, queue_id)
    assert (first.state, first.merged_into, second.merged_into) == ("merged", 2, 2)
    assert (third.state, third.merged, third.type) == ("sent", (0, 1), "update_message_flags")
    rig.poll(queue_id, 2)
    assert {story.state for story in stories(rig, queue_id)} == {"acknowledged"}
    assert {story.acknowledged_at for story in stories(rig, queue_id)} == {rig.clock.time}


def test_a_body_in_the_place_of_another_does_not_get_its_past() -> None:
    """A mark goes with its body, whose `id` the next one may have."""
    rig = Rig()
    queue_id = rig.register()
    for number in range(300):
        rig.publish({"type": f"t{number}"})
        rig.poll(queue_id, rig.poll(queue_id, number - 1).ids[-1])
        rig.wait(1)
        assert len(rig.engine.shard._state.memory.marks) <= 2
    assert [story.type for story in stories(rig, queue_id)][-1] == "t299"


def test_the_last_of_all_queues_of_a_user_come_in_their_order() -> None:
    rig = Rig()
    first, second = rig.register(), rig.register(spec(types=["deploy"]))
    rig.publish(DEPLOY, OTHER)
    rig.delete(first)
    told = rig.engine.shard.explain_last(queue_id=None, user_id=UserId(1), last=3)
    assert [story.type for story in told] == ["deploy", "other", "other"]
    assert {(story.queue_id, story.state) for story in told[1:]} == {(first, "dropped"), (second, "refused")}


def test_what_an_event_says_is_shown_when_asked_for_and_there() -> None:
    rig = Rig()
    queue_id = rig.register()
    rig.publish({**DEPLOY, "to": "web"})
    assert rig.engine.shard.explain_event(queue_id, 0).event is None
    shown = rig.engine.shard.explain_event(queue_id, 0, payload=True).event
    assert shown is not None
    assert bytes(shown) == b'{"type":"deploy","to":"web","id":0}'


def listed(rig: Rig, wanted: QueueFilter, slices: int = 2) -> tuple[list[QueueRow], int]:
    listing = rig.engine.shard.listing(wanted)
    while not listing.done:
        listing.step(slices)
    return listing.rows(), listing.found


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("sort", SORTS)
def test_queues_are_listed_in_every_order(sort: str, ascending: bool) -> None:
    rig = Rig()
    for user in (3, 1, 2):
        rig.register(spec(user=user))
        rig.publish(*[DEPLOY] * user, users=[user])
        rig.clock.time += 1
    rows, found = listed(rig, QueueFilter(sort=sort, ascending=ascending, limit=2))
    # `oldest` is how long ago.
    values: list[Any] = [-(row.oldest or 0) if sort == "oldest" else getattr(row, sort) for row in rows]
    assert values == sorted(values, reverse=not ascending)
    assert (len(rows), found) == (2, 3)


def test_queues_are_filtered() -> None:
    rig = Rig()
    waits, other = rig.register(spec(user=1)), rig.register(spec(user=2, realm=2))
    rig.poll(waits, block=True)

    def names(wanted: QueueFilter) -> list[str]:
        return [row.queue_id for row in listed(rig, wanted)[0]]

    assert names(QueueFilter(user_id=UserId(2))) == names(QueueFilter(waiting=False)) == [other]
    assert names(QueueFilter(waiting=True)) == [waits]
    assert names(QueueFilter(client="no such")) == names(QueueFilter(offline=True)) == []
    assert names(QueueFilter(search=other.upper())) == names(QueueFilter(search="2")) == [other]
    assert names(QueueFilter(search="nothing")) == []
    survey = rig.engine.shard.survey()
    while not survey.done:
        survey.step(1)
    assert rig.engine.shard.overview(survey).waiting == 1


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("slices", [1, 3, 100])
def test_a_listing_in_slices_is_the_sorted_whole_cut_in_pages(
    sort: str, ascending: bool, slices: int
) -> None:
    rig = Rig()
    for user in (4, 1, 3, 1, 2, 4, 1):
        rig.register(spec(user=user))
        rig.publish(DEPLOY, users=[user])
        rig.clock.time += user % 2
    whole = sorted(rig.engine.shard._state.directory, key=SORTS[sort], reverse=not ascending)
    for skip in range(9):
        rows, found = listed(rig, QueueFilter(sort=sort, ascending=ascending, limit=3, skip=skip), slices)
        assert [row.queue_id for row in rows] == [queue.queue_id for queue in whole[skip : skip + 3]]
        assert found == 7


def test_a_queue_that_ends_while_others_are_looked_at_is_left_out() -> None:
    rig = Rig()
    gone, stays = rig.register(), rig.register()
    listing = rig.engine.shard.listing(QueueFilter())
    listing.step(1)
    rig.delete(gone)
    listing.step(10)
    assert [row.queue_id for row in listing.rows()] == [stays]
