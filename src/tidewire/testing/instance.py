"""One life of the server under test, from its start to a stop or a kill, on a loop that is there already."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

from tidewire.app.build import App, Turns, build
from tidewire.config import Settings
from tidewire.engine.timing import TICK
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.server.listener import Listener
from tidewire.observability.log import LogReporter, build_log
from tidewire.replay.virtual_clock import VirtualClock
from tidewire.server.background import Threads
from tidewire.server.takeover import take_over
from tidewire.storage.in_memory import MemoryStore

GLANCE = 0.001
"""Seconds between two looks at whether clients have come back."""

GLANCES = 500


@dataclass(frozen=True, slots=True)
class Instance:
    """A server in this process that accepts requests."""

    app: App
    clock: VirtualClock
    listener: Listener
    threads: Threads

    @classmethod
    async def start(
        cls, settings: Settings, *, store: MemoryStore, clock: VirtualClock, plug: socket.socket
    ) -> "Instance":
        """Brings the state back and accepts connections."""
        loop, log = asyncio.get_running_loop(), build_log(form="console", level="error")
        threads = Threads(loop)
        app = build(
            settings,
            store=store,
            reporter=LogReporter(log),
            log=log,
            turns=Turns(
                call_soon=loop.call_soon, from_thread=threads.call_back, aside=_at_once, give_up=_raise
            ),
            time_of=lambda _floor: clock,
        )
        take_over(app, log=log)
        app.lifecycle.ready = True
        listener = Listener(app.asgi, plug, context=app.site, bounds=Bounds())
        await listener.open()
        return cls(app, clock, listener, threads)

    async def stop(self) -> None:
        """Stops in order: polls are answered, and the state is kept whole."""
        self.app.lifecycle.stopping = True
        self.app.engine.release(self.app.engine.waiting())
        await self._end()
        self.app.engine.final_snapshot()

    async def kill(self) -> None:
        """Ends as `kill -9` does: nobody is told, and what is left is the journal."""
        for connection in list(self.listener.server_state.connections):
            connection.transport.abort()
        await self._end()

    async def advance(self, seconds: float) -> None:
        """Lets time pass, second by second; clients whose polls end get the time to poll again."""
        engine = self.app.engine
        while seconds > 0:
            step = min(TICK, seconds)
            seconds -= step
            waiting = engine.waiting()
            self.clock.advance(step)
            engine.tick()
            await asyncio.sleep(0)
            if engine.waiting() < waiting:
                await self._let_come_back(waiting)

    async def _let_come_back(self, waiting: int) -> None:
        for _ in range(GLANCES):
            await asyncio.sleep(GLANCE)
            if self.app.engine.waiting() >= min(waiting, self.app.engine.shard.queues()):
                return

    async def _end(self) -> None:
        await self.listener.close()
        await self.threads.finish()


def _at_once(work: Callable[[], None], done: Callable[[Exception | None], None]) -> None:
    """Memory makes nobody wait."""
    work()
    done(None)


def _raise(error: Exception) -> None:
    raise error
