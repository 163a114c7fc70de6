"""Deadlines in buckets."""

from tidewire.core.deadlines import NOT_BOOKED, Deadlines


def test_an_item_is_never_taken_before_its_time_and_at_most_a_second_after() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.schedule("a", 10.2)
    assert deadlines.take_due(10.2) == []
    assert deadlines.take_due(10.99) == []
    assert deadlines.take_due(11.0) == ["a"]
    assert deadlines.take_due(99.0) == []


def test_a_whole_second_is_its_own_bucket() -> None:
    deadlines: Deadlines[str] = Deadlines()
    assert deadlines.schedule("a", 10.0) == 10
    assert deadlines.take_due(10.0) == ["a"]


def test_items_come_by_second_and_within_it_in_the_order_of_booking() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for item, due in (("late", 20.0), ("b", 9.5), ("a", 9.1), ("early", 1.0)):
        deadlines.schedule(item, due)
    assert deadlines.take_due(30.0) == ["early", "b", "a", "late"]


def test_a_cancelled_item_is_not_taken_and_cancelling_twice_is_no_fault() -> None:
    deadlines: Deadlines[str] = Deadlines()
    second = deadlines.schedule("a", 5.0)
    deadlines.schedule("b", 5.0)
    deadlines.cancel("a", second)
    deadlines.cancel("a", second)
    deadlines.cancel("a", NOT_BOOKED)
    assert len(deadlines) == 1
    assert deadlines.take_due(6.0) == ["b"]
    deadlines.cancel("b", second)


def test_a_second_can_be_booked_again_after_it_was_taken() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.schedule("a", 5.0)
    deadlines.take_due(5.0)
    deadlines.schedule("b", 5.0)
    assert deadlines.take_due(5.0) == ["b"]
