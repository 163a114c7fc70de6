"""The outbox: positions, bounds, acknowledgements, names (D6)."""

import pytest

from tidewire.core.errors import BadRequest, NotFound
from tidewire.core.ids import UserId
from tidewire.core.notifications.outbox import PIECE, Outbox, OutboxImage
from tidewire.core.notifications.worker_records import (
    EMAIL_QUEUE,
    MOBILE_QUEUE,
    NotificationDecision,
    mobile_queue,
    queue_names,
    queue_of,
    stable_id,
)


def outbox(most: int = 0, pushes: int = 0, emails: int = 0, mobile_shards: int = 1) -> Outbox:
    """An outbox with pushes of the messages 1, 2, ... and then emails."""
    made = Outbox(most=most, mobile_shards=mobile_shards)
    for number in range(pushes):
        made.add(NotificationDecision(UserId(number), number + 1, "mentioned", None), 5.0)
    for number in range(emails):
        made.add(NotificationDecision(UserId(number), number + 1, None, "mentioned"), 5.0)
    return made


def held(made: Outbox, queue: str = MOBILE_QUEUE, after: int = 0, limit: int = 100) -> list[tuple[int, int]]:
    """Position and message of what a reader gets."""
    page = made.page(queue, after=after, limit=limit)
    return [(position, record.message_id) for position, record in page.records]


def test_each_queue_counts_on_its_own_from_one() -> None:
    made = outbox(pushes=2, emails=2)
    assert (held(made), held(made, EMAIL_QUEUE)) == ([(1, 1), (2, 2)], [(1, 1), (2, 2)])


@pytest.mark.parametrize(
    ("after", "limit", "positions"),
    [(0, 9, [1, 2, 3, 4]), (2, 9, [3, 4]), (1, 2, [2, 3]), (4, 9, []), (99, 9, []), (0, 1, [1])],
)
def test_a_page_begins_behind_a_position(after: int, limit: int, positions: list[int]) -> None:
    assert [position for position, _ in held(outbox(pushes=4), after=after, limit=limit)] == positions


def test_what_is_acknowledged_is_gone_and_positions_go_on() -> None:
    made = outbox(pushes=3, emails=1)
    made.acknowledge(MOBILE_QUEUE, through=2)
    made.add(NotificationDecision(UserId(1), 50, "mentioned", None), 6.0)
    assert held(made) == [(3, 3), (4, 50)]
    assert (len(made), made.page(MOBILE_QUEUE, after=0, limit=1).waiting) == (3, 2)


def test_an_acknowledgement_of_what_is_gone_drops_nothing_and_of_what_is_to_come_is_refused() -> None:
    made = outbox(pushes=3)
    made.acknowledge(MOBILE_QUEUE, through=2)
    assert [made.holds(MOBILE_QUEUE, through=through) for through in (0, 2, 3)] == [False, False, True]
    with pytest.raises(BadRequest):
        made.holds(MOBILE_QUEUE, through=4)
    with pytest.raises(BadRequest):
        made.holds(EMAIL_QUEUE, through=1)


def test_the_oldest_of_all_queues_give_way_and_are_counted() -> None:
    made = outbox(most=4, pushes=3, emails=3)
    assert (held(made), held(made, EMAIL_QUEUE)) == ([(3, 3)], [(1, 1), (2, 2), (3, 3)])
    assert [made.page(queue, after=0, limit=1).lost for queue in (MOBILE_QUEUE, EMAIL_QUEUE)] == [2, 0]
    assert made.add(NotificationDecision(UserId(1), 9, "mentioned", "mentioned"), 6.0) == 2
    assert (held(made), held(made, EMAIL_QUEUE)) == ([(4, 9)], [(2, 2), (3, 3), (4, 9)])


def test_an_unknown_queue_is_named_with_those_that_there_are() -> None:
    with pytest.raises(NotFound, match="missedmessage_emails"):
        outbox().page("missedmessage_mail", after=0, limit=1)
    with pytest.raises(NotFound, match="missedmessage_emails"):
        outbox().holds("missedmessage_mail", through=0)


def test_an_image_holds_everything() -> None:
    made = outbox(most=4, pushes=3, emails=3)
    made.acknowledge(EMAIL_QUEUE, through=3)
    again = Outbox(most=4, mobile_shards=1)
    again.restore(OutboxImage(made.next_number, tuple(made.pieces())))
    assert (again.next_number, again.pieces()) == (made.next_number, made.pieces())
    assert len(again) == len(made) == 1
    for each in (made, again):
        each.add(NotificationDecision(UserId(1), 9, "mentioned", None), 6.0)
    assert (again.next_number, again.pieces()) == (made.next_number, made.pieces())


def test_many_records_are_kept_in_pieces() -> None:
    made = outbox(most=0, pushes=PIECE + 5)
    pieces = [piece for piece in made.pieces() if piece.name == MOBILE_QUEUE]
    assert [(piece.first, len(piece.records)) for piece in pieces] == [(1, PIECE), (PIECE + 1, 5)]
    again = Outbox(most=0, mobile_shards=1)
    for piece in made.pieces():
        again.restore(OutboxImage(made.next_number, (piece,)))
    assert (again.next_number, again.pieces(), len(again)) == (made.next_number, made.pieces(), len(made))


def test_the_mobile_queue_of_a_user_r5_20() -> None:
    assert mobile_queue(UserId(31), 1) == "missedmessage_mobile_notifications"
    assert [mobile_queue(UserId(user), 3)[-7:] for user in (0, 1, 2, 3)] == [
        "_shard1",
        "_shard2",
        "_shard3",
        "_shard1",
    ]
    assert queue_of("email", UserId(31), 3) == "missedmessage_emails"
    assert queue_names(1) == (MOBILE_QUEUE, EMAIL_QUEUE)
    assert queue_names(2) == (f"{MOBILE_QUEUE}_shard1", f"{MOBILE_QUEUE}_shard2", EMAIL_QUEUE)


def test_with_several_workers_each_finds_its_users_in_its_queue() -> None:
    made = outbox(pushes=4, mobile_shards=2)
    assert held(made, f"{MOBILE_QUEUE}_shard1") == [(1, 1), (2, 3)]
    assert held(made, f"{MOBILE_QUEUE}_shard2") == [(1, 2), (2, 4)]


def test_records_of_another_number_of_workers_stay_readable() -> None:
    again = Outbox(most=0, mobile_shards=1)
    again.restore(OutboxImage(3, tuple(outbox(pushes=2, mobile_shards=2).pieces())))
    again.add(NotificationDecision(UserId(1), 9, "mentioned", None), 6.0)
    assert (held(again, f"{MOBILE_QUEUE}_shard1"), held(again)) == ([(1, 1)], [(1, 9)])


def test_the_id_of_a_record_is_its_own() -> None:
    made = outbox()
    for at in (1_790_000_000.25, 1_790_000_000.25, 1_790_000_001.0):
        made.add(NotificationDecision(UserId(31), 7, "mentioned", "mentioned"), at)
    records = [
        record
        for queue in (MOBILE_QUEUE, EMAIL_QUEUE)
        for _, record in made.page(queue, after=0, limit=9).records
    ]
    assert stable_id(records[0]) == "push-31-7-1-1790000000250000"
    assert len({stable_id(record) for record in records}) == 6


def test_the_id_of_a_record_tells_it_from_one_of_a_life_that_was_lost() -> None:
    lives = []
    for at in (5.0, 6.0):
        made = Outbox(most=0, mobile_shards=1)
        made.add(NotificationDecision(UserId(31), 7, "mentioned", None), at)
        lives.append(made.page(MOBILE_QUEUE, after=0, limit=1).records[0])
    assert [position for position, _ in lives] == [1, 1]
    assert stable_id(lives[0][1]) != stable_id(lives[1][1])
