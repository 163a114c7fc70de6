"""Work on another thread, for what would hold the loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Threads:
    """An `Aside` with one thread, which does one piece of work after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tidewire-aside")
        self._running: set[asyncio.Future[None]] = set()

    def __call__(self, work: Callable[[], None], done: Callable[[Exception | None], None]) -> None:
        """Does `work` there; then calls `done` on the loop."""
        future = self._loop.run_in_executor(self._pool, work)
        self._running.add(future)
        future.add_done_callback(lambda future: self._done(future, done))

    def _done(self, future: asyncio.Future[None], done: Callable[[Exception | None], None]) -> None:
        self._running.discard(future)
        error = future.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        done(error)

    def call_back(self, call: Callable[[], None]) -> None:
        """Has a function called on the loop; for callers on any thread."""
        self._loop.call_soon_threadsafe(call)

    async def finish(self) -> None:
        """Waits for everything that was begun, and ends the thread."""
        while self._running:
            await asyncio.wait(self._running)
        self._pool.shutdown()
