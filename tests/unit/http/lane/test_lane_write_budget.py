"""Large answers take turns, and small ones never wait."""

from collections import deque
from collections.abc import Callable

from tidewire.core.ids import QueueId
from tidewire.core.state.state import Batch
from tidewire.http.lane.write_budget import SMALL, TURN_BYTES, Turn, is_small


def batch(*sizes: int) -> Batch:
    return Batch(QueueId("queue"), [(number, b"x" * size, b"") for number, size in enumerate(sizes)])


class Loop:
    """What is to be called soon."""

    def __init__(self) -> None:
        self.calls: deque[Callable[[], None]] = deque()

    def run(self) -> None:
        """Calls what is booked now."""
        for _ in range(len(self.calls)):
            self.calls.popleft()()


class Poll:
    """A poll that writes what it gets in the turn, as a connection does."""

    def __init__(self, turn: Turn, done: list[int], number: int) -> None:
        self._turn, self._done, self._number = turn, done, number

    def complete(self, answer: Batch) -> None:
        """Takes the answer, now or in its turn."""
        if self._turn.written > TURN_BYTES and not is_small(answer):
            self._turn.wait(self, answer)
            return
        self._turn.written += sum(len(body) for _, body, _ in answer.entries)
        self._done.append(self._number)


def test_large_answers_go_out_a_few_at_a_time_in_their_order() -> None:
    loop, done = Loop(), list[int]()
    turn = Turn(loop.calls.append)
    for number in range(7):
        Poll(turn, done, number).complete(batch(TURN_BYTES // 2 + 1))
    assert done == [0, 1]
    assert len(loop.calls) == 1
    loop.run()
    assert done == [0, 1, 2, 3]
    Poll(turn, done, 7).complete(batch(TURN_BYTES))
    for _ in range(3):
        loop.run()
    assert done == list(range(8))
    assert not loop.calls


def test_a_small_answer_does_not_wait_behind_large_ones() -> None:
    loop, done = Loop(), list[int]()
    turn = Turn(loop.calls.append)
    for number in range(5):
        Poll(turn, done, number).complete(batch(2 * TURN_BYTES))
    Poll(turn, done, 5).complete(batch(100, 100))
    assert done == [0, 5]


def test_an_answer_is_small_by_all_its_entries() -> None:
    assert is_small(batch())
    assert is_small(batch(*[SMALL // 4] * 4))
    assert not is_small(batch(*[SMALL // 4] * 5))
