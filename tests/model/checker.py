"""A small explicit-state model checker: every state that can be reached, breadth first, so that a trace is a shortest one."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)


class Step(NamedTuple, Generic[S]):
    """One thing that can happen: a sentence about it, the state after it, and what of it must never be."""

    label: str
    after: S
    fault: str | None = None


class Result(NamedTuple):
    """What a search found.

    Attributes:
        states: how many different ones were looked at.
        fault: the first thing found that must never be; None when there is nothing of that kind.
        trace: what led to it, one sentence a step.
    """

    states: int
    fault: str | None
    trace: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{number:3}. {label}" for number, label in enumerate(self.trace, 1)]
        return "\n".join([self.fault or "nothing wrong", f"({self.states} states)", *lines])


def explore(
    first: S,
    steps: Callable[[S], Iterable[Step[S]]],
    fault_of: Callable[[S], str | None],
    *,
    counts: Callable[[str], bool] = bool,
    most: int = 2_000_000,
) -> Result:
    """Looks at every state that can be reached from the first one.

    Args:
        first: where it begins.
        steps: everything that can happen in a state; nothing is taken for stuck.
        fault_of: what is wrong with a state, if anything is.
        counts: which faults end the search; others are passed over.
        most: states after which it gives up.

    Raises:
        RuntimeError: there are more than `most` states.
    """
    came_from: dict[S, tuple[S, str] | None] = {first: None}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        for label, after, fault in steps(state):
            found = fault or (fault_of(after) if after not in came_from else None)
            if found is not None and counts(found):
                return Result(len(came_from), found, (*_trace(came_from, state), label))
            if after not in came_from:
                came_from[after] = (state, label)
                waiting.append(after)
        if len(came_from) > most:
            raise RuntimeError(f"more than {most} states")
    return Result(len(came_from), None, ())


def _trace(came_from: dict[S, tuple[S, str] | None], state: S) -> list[str]:
    def back() -> Iterator[str]:
        here: S = state
        while (before := came_from[here]) is not None:
            here, label = before
            yield label

    return list(back())[::-1]
