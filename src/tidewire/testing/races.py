"""The race checker: does a client end in the state that there is, whenever it registered (R7.1, R7.12)?

A registration makes a queue, then reads the state, then follows the queue's events. The checker runs an action once
and looks at the state before each line of it. With that it tries every registration that could have happened
meanwhile: the queue made at any moment, the state read at any later one. Each must lead to the state that is there
when the action is done. The first of them is a client that registered before; it shows whether the events say enough.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tidewire.core.notices.notice import decode_notice
from tidewire.publisher.notice_encoding import notice_of
from tidewire.state import Apply, State, apply_events
from tidewire.testing.fault_points import FaultPoints

MOST_MOMENTS = 10_000
"""Of one action; beyond these the action is no unit of change any more."""


class RaceFound(AssertionError):
    """Some client ends in another state than the one that there is."""


class FaultPoint(NamedTuple):
    """The state at one moment.

    Attributes:
        where: the line that comes next.
        published: how many notices had been published.
        state: what a read gives.
    """

    where: str
    published: int
    state: State


class CapturedNotices:
    """What an action publishes. It stands for a `Publisher`: `send_event` and `send` are its methods."""

    def __init__(self) -> None:
        self.notices: list[dict[str, Any]] = []

    def send_event(
        self, *, event: Mapping[str, Any], users: Iterable[int | Mapping[str, Any]], **optional: Any
    ) -> None:
        """Takes one event."""
        self.send([notice_of(event, users, **optional)])

    def send(self, notices: Sequence[Mapping[str, Any]]) -> int:
        """Takes notices, if the server would.

        Raises:
            InvalidNotice: it would not.
        """
        taken = [_as_json(notice) for notice in notices]
        for notice in taken:
            decode_notice(json.dumps(notice).encode())
        self.notices += taken
        return len(taken)


class AsyncCapturedNotices:
    """Captures the notices that an application publishes with an `AsyncPublisher`."""

    def __init__(self, captured: CapturedNotices) -> None:
        self._captured = captured

    async def send_event(self, **arguments: Any) -> None:
        """Takes one event; other tasks have a turn, as with a real one."""
        await self.send([notice_of(**arguments)])

    async def send(self, notices: Sequence[Mapping[str, Any]]) -> int:
        """Takes notices."""
        await asyncio.sleep(0)
        return self._captured.send(notices)


@dataclass(frozen=True, slots=True)
class _Registration:
    queue: FaultPoint
    read: FaultPoint


class RaceChecker:
    """Checks actions of one application, for one user.

    Args:
        read: reads the whole state of the user, as `register` would. It is called in the middle of the action, so
            with a database it needs a connection of its own, which sees what is committed.
        published: gives the notices that were published so far, where something else than `publisher` takes them, such
            as an outbox.
        apply: for each fetch type how an event changes the state.
        user: whose events count; all events do when None.

    Attributes:
        publisher: what the action must publish with, or `async_publisher` in its place.
    """

    def __init__(
        self,
        *,
        read: Callable[[], Mapping[str, Any]],
        apply: Mapping[str, Apply],
        user: int | None = None,
        published: Callable[[], Sequence[dict[str, Any]]] | None = None,
    ) -> None:
        self.publisher = CapturedNotices()
        self.async_publisher = AsyncCapturedNotices(self.publisher)
        self._published = published or (lambda: self.publisher.notices)
        self._read = read
        self._apply = apply
        self._user = user

    def check(self, action: Callable[[], object]) -> list[dict[str, Any]]:
        """Runs an action, and returns the events that the user got.

        Raises:
            RaceFound: a registration at some moment of it leaves a client in a wrong state; the text says which.
        """
        moments, first = self._begun()
        with FaultPoints(lambda where: self._look(moments, where, first)):
            action()
        return self._judged(moments, first)

    async def check_async(self, action: Callable[[], Awaitable[object]]) -> list[dict[str, Any]]:
        """Runs a coroutine function and returns the events; raises `RaceFound`. `read` stays a plain function."""
        moments, first = self._begun()
        with FaultPoints(lambda where: self._look(moments, where, first)):
            await action()
        return self._judged(moments, first)

    def _begun(self) -> tuple[list[FaultPoint], int]:
        return [FaultPoint("the beginning", 0, _as_json(self._read()))], len(self._published())

    def _look(self, moments: list[FaultPoint], where: str, first: int) -> None:
        published, state = len(self._published()) - first, _as_json(self._read())
        if (published, state) != moments[-1][1:]:
            moments.append(FaultPoint(where, published, state))
        if len(moments) > MOST_MOMENTS:
            raise RuntimeError(f"The action changes its state more than {MOST_MOMENTS} times")

    def _judged(self, moments: list[FaultPoint], first: int) -> list[dict[str, Any]]:
        notices = self._published()[first:]
        end = FaultPoint("the end", len(notices), _as_json(self._read()))
        for registration in _registrations([*moments, end]):
            self._judge(registration, notices, end.state)
        return list(self._events(notices))

    def _judge(
        self, registration: _Registration, notices: Sequence[Mapping[str, Any]], expected: State
    ) -> None:
        events = list(self._events(notices[registration.queue.published :]))
        reached = _as_json(apply_events(self._apply, registration.read.state, events))
        if reached != expected:
            raise RaceFound(_told(registration, events, reached, expected))

    def _events(self, notices: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        for notice in notices:
            users = [user["id"] if isinstance(user, dict) else user for user in notice["users"]]
            if self._user is None or self._user in users:
                yield notice["event"]


def _registrations(moments: Sequence[FaultPoint]) -> Iterator[_Registration]:
    """Each that differs: of moments between the same two publications, the first stands for the others."""
    for _, queues in itertools.groupby(enumerate(moments), key=lambda numbered: numbered[1].published):
        number, queue = next(queues)
        for read in moments[number:]:
            yield _Registration(queue, read)


def _told(
    registration: _Registration, events: Sequence[Mapping[str, Any]], reached: State, expected: State
) -> str:
    differing = [name for name in {**reached, **expected} if reached.get(name) != expected.get(name)]
    lines = [
        f"A client that made its queue at {registration.queue.where}",
        f"and read the state at {registration.read.where} ends with a wrong state.",
        "it read:",
        *(f"  {name} = {_short(registration.read.state.get(name))}" for name in differing),
        "then came:" if events else "then nothing came",
        *(f"  {_short(event)}" for event in events),
        "so it has:",
        *(f"  {name} = {_short(reached.get(name))}" for name in differing),
        "but there is:",
        *(f"  {name} = {_short(expected.get(name))}" for name in differing),
    ]
    return "\n".join(lines)


def _short(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """The value as it is on the other side of the wire, and a copy."""
    copied: dict[str, Any] = json.loads(json.dumps(value))
    return copied
