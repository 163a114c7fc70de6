"""The race checker finds what is planted, and nothing where nothing is."""

from typing import Any

import pytest

from support.stopwatch import Stopwatch
from tidewire.core.errors import InvalidNotice
from tidewire.state import Event, State, keyed, latest
from tidewire.testing.races import RaceChecker, RaceFound

APPLY = {"tasks": keyed("tasks", event_type="task", item="task")}


class Board:
    """A small application: tasks in a table that a registration reads, and an event for each change."""

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = {}
        self.checker = RaceChecker(read=lambda: {"tasks": self.tasks}, apply=APPLY, user=1)

    def save(self, task: dict[str, Any]) -> None:
        """Commits."""
        self.tasks[str(task["id"])] = task

    def publish(self, task: dict[str, Any], users: tuple[int, ...] = (1,), **members: Any) -> None:
        """Says it."""
        self.checker.publisher.send_event(event={"type": "task", "task": task, **members}, users=users)

    def add(self, task_id: int) -> None:
        """As it should be."""
        task = {"id": task_id}
        self.save(task)
        self.publish(task)

    def add_event_first(self, task_id: int) -> None:
        """A planted race."""
        task = {"id": task_id}
        self.publish(task)
        self.save(task)

    def add_without_event(self, task_id: int) -> None:
        """Says nothing."""
        self.save({"id": task_id})

    def add_for_somebody_else(self, task_id: int) -> None:
        """Says it to others."""
        self.save({"id": task_id})
        self.publish({"id": task_id}, users=(2,))

    def remove(self, task_id: int) -> None:
        """As it should be."""
        del self.tasks[str(task_id)]
        self.publish({"id": task_id}, op="remove")


@pytest.fixture
def board() -> Board:
    return Board()


def test_actions_that_save_first_and_say_everything_pass(board: Board) -> None:
    def several() -> None:
        board.add(1)
        board.add(2)
        board.remove(1)
        board.add(3)

    events = board.checker.check(several)
    assert [event["task"]["id"] for event in events] == [1, 2, 1, 3]
    assert board.checker.check(lambda: board.remove(3)) == [
        {"type": "task", "task": {"id": 3}, "op": "remove"}
    ]


def test_an_event_before_its_change_is_found_in_under_a_second(board: Board) -> None:
    """A client that registers between the two hears of nothing and reads nothing (R7.11)."""
    for task_id in range(50):
        board.add(task_id)
    watch = Stopwatch()
    with pytest.raises(RaceFound) as found:
        board.checker.check(lambda: board.add_event_first(99))
    assert watch.seconds < 1
    text = str(found.value)
    assert "made its queue at test_testing_races.py:" in text
    assert "then nothing came" in text
    assert '"99": {"id": 99}' in text


@pytest.mark.parametrize("method", ["add_without_event", "add_for_somebody_else"])
def test_a_change_that_the_user_does_not_hear_of_is_found(board: Board, method: str) -> None:
    with pytest.raises(RaceFound, match="made its queue at the beginning"):
        board.checker.check(lambda: getattr(board, method)(1))


def test_a_change_that_is_applied_twice_is_found() -> None:
    """A registration may read what an event then says again (R7.4)."""
    unread = {"count": 0}

    def count(state: State, event: Event) -> State:
        return {**state, "count": state["count"] + event["by"]}

    checker = RaceChecker(read=lambda: unread, apply={"count": count})

    def receive() -> None:
        unread["count"] += 1
        checker.publisher.send_event(event={"type": "unread", "by": 1}, users=[1])

    with pytest.raises(RaceFound, match="count = 2"):
        checker.check(receive)


def test_two_changes_that_are_told_the_other_way_round_are_found() -> None:
    mood = {"mood": "calm"}
    checker = RaceChecker(read=lambda: mood, apply={"mood": latest("mood", event_type="mood", value="is")})

    def tell(value: str) -> None:
        checker.publisher.send_event(event={"type": "mood", "is": value}, users=[1])

    def swap() -> None:
        mood["mood"] = "glad"
        mood["mood"] = "sad"
        tell("sad")
        tell("glad")

    with pytest.raises(RaceFound):
        checker.check(swap)


async def test_coroutine_functions_are_checked_too(board: Board) -> None:
    async def add(task_id: int, *, is_late: bool) -> None:
        task = {"id": task_id}
        event = {"type": "task", "task": task}
        if is_late:
            await board.checker.async_publisher.send_event(event=event, users=[1])
        board.save(task)
        if not is_late:
            await board.checker.async_publisher.send_event(event=event, users=[1])

    assert len(await board.checker.check_async(lambda: add(1, is_late=False))) == 1
    with pytest.raises(RaceFound):
        await board.checker.check_async(lambda: add(2, is_late=True))


def test_what_the_server_would_refuse_is_refused(board: Board) -> None:
    def publish() -> None:
        board.checker.publisher.send([{"event": {"no": "type"}, "users": [1]}])

    with pytest.raises(InvalidNotice):
        board.checker.check(publish)


def test_an_error_of_the_action_comes_out(board: Board) -> None:
    with pytest.raises(KeyError):
        board.checker.check(lambda: board.remove(1))
