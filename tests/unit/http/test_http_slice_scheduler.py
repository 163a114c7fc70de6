"""Long work in slices: one for each turn of the loop, whoever brings work, and in the order of asking."""

import asyncio
import itertools
from collections.abc import Generator

import pytest

from tidewire.http.slice_scheduler import Turns


class Worker:
    """Work of so many slices; `done` is shared, and says who did one when."""

    def __init__(self, name: str, slices: int, done: list[str]) -> None:
        self.name, self._slices, self._done = name, slices, done

    def work(self) -> Generator[None, None, str]:
        """The work, whose result is its name."""
        for _ in range(self._slices):
            self._done.append(self.name)
            yield
        return self.name


async def test_the_result_of_the_work_is_returned_after_its_last_slice() -> None:
    turns, done = Turns(), list[str]()
    assert await turns.do(Worker("a", 3, done).work()) == "a"
    assert done == ["a"] * 3
    assert turns.slices == 4  # the last finds that there is no more


async def test_work_of_several_requests_is_done_in_turn() -> None:
    turns, done = Turns(), list[str]()
    names = await asyncio.gather(*(turns.do(Worker(name, 3, done).work()) for name in "abc"))
    assert names == ["a", "b", "c"]
    assert done == ["a", "b", "c"] * 3


async def test_between_two_slices_the_loop_has_a_turn_for_everybody_else() -> None:
    """However many requests bring work: with a hundred there is still no turn with two slices."""
    turns, done = Turns(), list[str]()
    seen: list[int] = []

    async def somebody_else() -> None:
        while len(done) < 100:
            seen.append(len(done))
            await asyncio.sleep(0)

    other = asyncio.create_task(somebody_else())
    await asyncio.gather(*(turns.do(Worker("x", 1, done).work()) for _ in range(100)))
    await other
    assert max(after - before for before, after in itertools.pairwise(seen)) <= 1


async def test_what_the_work_raises_is_raised_and_holds_nobody_up() -> None:
    turns, done = Turns(), list[str]()

    def broken() -> Generator[None, None, str]:
        yield
        raise ValueError("broken")

    failed, whole = await asyncio.gather(
        turns.do(broken()), turns.do(Worker("b", 2, done).work()), return_exceptions=True
    )
    assert isinstance(failed, ValueError)
    assert whole == "b"


async def test_who_gives_up_waiting_does_not_keep_the_line() -> None:
    turns, done = Turns(), list[str]()
    given_up = asyncio.create_task(turns.do(Worker("a", 1000, done).work()))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await turns.do(Worker("b", 1, done).work()) == "b"
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert done.count("a") < 1000
