"""Slots of ASGI requests: an answer that may be there at once, or be waited for."""

import asyncio
from typing import Generic, TypeVar

from starlette.types import Receive

from tidewire.ports.engine import Waiter

A = TypeVar("A")


class AwaitableWaiter(Waiter[A], Generic[A]):
    """Lets a coroutine await the answer of one request to the engine."""

    def __init__(self) -> None:
        self._answers: list[A] = []
        self._future: asyncio.Future[None] | None = None

    def complete(self, answer: A) -> None:
        """Takes the answer; wakes the request if it waits already."""
        self._answers.append(answer)
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    @property
    def answer(self) -> A | None:
        """The answer, if it is there."""
        return self._answers[0] if self._answers else None

    async def wait(self) -> A:
        """The answer, when it comes."""
        if not self._answers:
            self._future = asyncio.get_running_loop().create_future()
            await self._future
        return self._answers[0]

    async def wait_connected(self, receive: Receive) -> A | None:
        """The answer, or None when the client goes away first."""
        if self._answers:
            return self._answers[0]
        self._future = future = asyncio.get_running_loop().create_future()
        listener = asyncio.create_task(_disconnected(receive))
        listener.add_done_callback(lambda _: None if future.done() else future.set_result(None))
        try:
            await future
        finally:
            listener.cancel()
        return self.answer


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
