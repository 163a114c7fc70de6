"""Faults as switches: a relay between clients and the server, which loses, holds and refuses when told to."""

import asyncio
import contextlib
import threading

CHUNK = 65_536
PUBLISHES = b"POST /api/internal/notices"


class Faults:
    """The switches; they may be set from any thread, and hold from the next answer on.

    Attributes:
        broker_down: whoever publishes gets no answer, and nothing is taken.
    """

    def __init__(self) -> None:
        self.broker_down = False
        self._lock = threading.Lock()
        self._to_lose = 0
        self._may_pass = True
        self._changed: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def lose_answers(self, count: int = 1) -> None:
        """The next answers vanish, with their connection, after the server has done what was asked."""
        with self._lock:
            self._to_lose += count

    @property
    def slow_clients(self) -> bool:
        """Whether answers are held, as if no client read them, until this is False again."""
        return not self._may_pass

    @slow_clients.setter
    def slow_clients(self, are_slow: bool) -> None:
        self._may_pass = not are_slow
        if self._loop is not None and self._changed is not None:
            self._loop.call_soon_threadsafe(self._changed.set)

    def takes_next(self) -> bool:
        """Whether the answer that is about to leave is lost."""
        with self._lock:
            is_lost = self._to_lose > 0
            self._to_lose -= is_lost
            return is_lost

    async def may_pass(self) -> None:
        """Waits until answers may leave."""
        if self._changed is None:
            self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()
        while not self._may_pass:
            self._changed.clear()
            await self._changed.wait()


class Relay:
    """Passes bytes on between clients and a server that may be gone, or another one, with the next connection.

    Attributes:
        target: the server's port; 0 while there is none.
    """

    def __init__(self, faults: Faults) -> None:
        self.target = 0
        self._faults = faults
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forwards the bytes of one connection."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is a coroutine
        self._serving.add(task)
        try:
            await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            return  # `cut`; asyncio reports a cancelled connection as a failure
        finally:
            writer.transport.abort()
            self._serving.discard(task)

    async def cut(self) -> None:
        """Breaks all connections."""
        for task in list(self._serving):
            task.cancel()
        while self._serving:
            await asyncio.wait(list(self._serving))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.target:
            return
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            return
        ways = [
            asyncio.create_task(self._requests(reader, server_writer)),
            asyncio.create_task(self._answers(server_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await way
            server_writer.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if self._faults.broker_down and data.startswith(PUBLISHES):
                return
            writer.write(data)
            await writer.drain()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if self._faults.takes_next():
                return
            await self._faults.may_pass()
            writer.write(data)
            await writer.drain()
