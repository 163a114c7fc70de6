"""What connections hold: bodies within their bound, and who is dropped for answers that nobody reads."""

from tidewire.core.bytes_in_transit import COPIES, Transit
from tidewire.core.shard import Shard
from tidewire.core.state.limits import TRANSIT_LEAST, Limits


def test_bodies_are_counted_until_they_are_given_back() -> None:
    transit: Transit[str] = Transit(most=100)
    assert transit.take(60, 0)
    assert transit.take(40, 60)
    assert not transit.take(1, 0)
    assert not transit.take(1, 40)
    transit.give_back(100)
    assert transit.bodies == 0


def test_a_body_with_all_the_room_to_itself_is_let_in_however_large() -> None:
    transit: Transit[str] = Transit(most=100)
    assert transit.take(90, 0)
    assert transit.take(90, 90)
    assert not transit.take(1, 0)


def test_room_is_kept_for_the_next_body_as_large_as_those_of_late() -> None:
    transit: Transit[str] = Transit(most_work=100 * COPIES)
    transit.take(30, 0)
    transit.take(20, 30)
    transit.give_back(50)
    assert transit.work == 50 * COPIES
    transit.fade()
    assert transit.work == 40 * COPIES
    transit.take(1000, 0)
    assert transit.work == 100 * COPIES
    transit.give_back(1000)
    for _ in range(60):
        transit.fade()
    assert transit.work == 0


def test_those_with_most_to_read_are_dropped_first_and_of_equals_the_one_that_waits_for_longest() -> None:
    transit: Transit[str] = Transit(most=100)
    for peer, size in (("small", 10), ("first", 40), ("second", 40)):
        transit.hold(peer, size)
        assert transit.surplus() == []
    transit.hold("late", 30)
    assert transit.surplus() == ["first"]
    assert transit.unread == 80
    assert transit.drop(75) == ["second", "late", "small"]
    assert (transit.unread, len(transit)) == (0, 0)


def test_what_is_said_of_a_peer_again_takes_the_place_of_what_was_said() -> None:
    transit: Transit[str] = Transit()
    transit.hold("peer", 10)
    transit.hold("peer", 30)
    assert transit.unread == 30
    transit.let_go("peer")
    transit.let_go("peer")
    assert transit.unread == 0
    assert transit.surplus() == []


def test_the_bound_is_a_share_of_the_budget_but_a_request_to_publish_always_has_room() -> None:
    assert Limits(memory_budget=2**30).transit_bytes == 2**27
    assert Limits(memory_budget=1).transit_bytes == TRANSIT_LEAST
    assert Limits().transit_bytes == float("inf")


def test_a_shard_has_the_bounds_of_its_budget() -> None:
    shard: Shard[object] = Shard(limits=Limits(memory_budget=2**30))
    assert (shard.transit.most, shard.transit.most_work) == (2**27, 2**27)
