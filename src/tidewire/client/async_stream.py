"""The steps of `EventFollower`, taken on an event loop."""

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Protocol, Self

from tidewire.client.errors import ClientError
from tidewire.client.event_follower import Call, Deliver, Event, EventFollower, Pause, Poll, Register, Step
from tidewire.client.registration import Registration


class ReadsQueues(Protocol):
    """Reads a queue once."""

    async def __call__(self, queue_id: str, last_event_id: int, dont_block: bool) -> list[Event]:
        """Acknowledges up to `last_event_id` and returns what the queue holds."""


class AsyncEvents(AsyncIterator[Event]):
    """A stream of events, from `AsyncClient.events`.

    `await` it to have the queue registered at once; `async for` does so when it needs to. As a context manager
    it deletes the queue at the end of the block; otherwise that is done when the client is closed. An `anext`
    may be cancelled, by a timeout say: the next one goes on where it was, and no event is lost.
    """

    def __init__(
        self,
        follower: EventFollower,
        *,
        register: Callable[[], Awaitable[Registration]],
        poll: ReadsQueues,
        delete: Callable[[str], Awaitable[None]],
        sleep: Callable[[float], Awaitable[object]],
        open_streams: "list[AsyncEvents]",
    ) -> None:
        self._follower = follower
        self._register = register
        self._poll = poll
        self._delete = delete
        self._sleep = sleep
        self._open = open_streams
        self._opening: Generator[Step, Any, None] | None = follower.opening()
        self._steps = follower.following()
        self._undone: Step | None = None

    def __await__(self) -> Generator[Any, Any, Self]:
        return self._started().__await__()

    async def __aenter__(self) -> Self:
        return await self._started()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        await self._started()
        event = await self._advance(self._steps)
        if event is None:
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Deletes the queue, if that is quickly done; it expires by itself otherwise."""
        self._follower.is_over = True
        self._undone = self._opening = None
        self._steps.close()
        if self in self._open:
            self._open.remove(self)
            with contextlib.suppress(ClientError):
                await self._delete(self._follower.queue_id)

    async def _started(self) -> Self:
        opening = self._opening
        if opening is not None:
            await self._advance(opening)
            self._opening = None
            self._open.append(self)
        return self

    async def _advance(self, steps: Generator[Step, Any, None]) -> Event | None:
        """Goes on to the next event; None when there are no more steps."""
        result: object = None
        error: ClientError | None = None
        while True:
            step = self._undone
            try:
                if step is None:
                    step = steps.send(result) if error is None else steps.throw(error)
            except StopIteration:
                return None
            result = error = None
            if isinstance(step, Deliver):
                return step.event
            self._undone = step
            try:
                result = await self._done(step)
            except ClientError as failure:
                error = failure
            self._undone = None

    async def _done(self, step: Register | Poll | Pause | Call) -> object:
        match step:
            case Register():
                return await self._register()
            case Poll(queue_id, last_event_id, dont_block):
                return await self._poll(queue_id, last_event_id, dont_block)
            case Pause(seconds):
                return await self._sleep(seconds)
            case Call(function):
                returned = function()
                return await returned if inspect.isawaitable(returned) else returned
