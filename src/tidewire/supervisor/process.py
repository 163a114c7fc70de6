"""One shard's process: started, watched until it is ready, started again when it ends, stopped."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from tidewire import TidewireError
from tidewire.http.calling import Reply, Sibling, Unreachable
from tidewire.http.slots import AsgiSlot
from tidewire.supervisor.lines import ShardLines

READY_QUESTION = b"GET /health/ready HTTP/1.1\r\nHost: shard\r\nConnection: close\r\n\r\n"
READY = 200
LOOK_EVERY = 0.1
ANSWER_WITHIN = 2.0
"""Seconds for the answer to whether it is ready; one that takes longer is not."""

CHUNK = 65_536

WRONG_USAGE = 2
"""The exit code of a configuration that can't be used, which another start would not change."""


class SupervisorError(TidewireError):
    """Shards can't be run, or not be restarted."""

    code = "SUPERVISOR_FAILED"


class NeverStarted(SupervisorError):
    """A shard's configuration can't be used; its own line in the log says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """Times, in seconds.

    Attributes:
        first: until a shard that ended is started again; twice as long each time it ends again soon.
        longest: the most of that.
        steady: after how long a shard counts as running well, so that the next end is a first one.
        start: for a restarted shard to be ready; the journal may be long.
        stop: until a shard that was told to stop is killed.
    """

    first: float = 0.5
    longest: float = 30.0
    steady: float = 60.0
    start: float = 300.0
    stop: float = 60.0

    def wait(self, ends: int) -> float:
        """How long to wait after so many ends in a row."""
        return float(min(self.longest, self.first * 2 ** (min(ends, 30) - 1)))


class ShardProcess:
    """A shard under supervision; `keep` is its life."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        host: str,
        port: int,
        lines: ShardLines,
        output: Callable[[bytes], None],
        log: FilteringBoundLogger,
        patience: Patience,
    ) -> None:
        self.port = port
        self.ready = asyncio.Event()
        self.starts = 0
        self._command = command
        self._lines = lines
        self._output = output
        self._log = log
        self._patience = patience
        self._sibling = Sibling(host, port)
        self._process: asyncio.subprocess.Process | None = None
        self._ending = asyncio.Event()
        self._wanted_end = False
        self._was_ready = False

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    async def keep(self) -> None:
        """Runs the shard until it is stopped, however often it ends.

        Raises:
            NeverStarted: its configuration can't be used.
        """
        ends = 0
        loop = asyncio.get_running_loop()
        while not self._ending.is_set():
            began = loop.time()
            code = await self._run_once()
            if self._ending.is_set():
                return
            if self._wanted_end:
                self._wanted_end = False
                continue
            if code == WRONG_USAGE and not self._was_ready:
                raise NeverStarted(f"shard {self.port} can't be started with this configuration")
            ends = 1 if loop.time() - began > self._patience.steady else ends + 1
            wait = self._patience.wait(ends)
            self._log.error("shard ended", shard=self.port, code=code, again_in=wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), wait)

    async def _run_once(self) -> int:
        self.starts += 1
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C in a terminal is meant for the supervisor, which stops all in order.
            start_new_session=True,
        )
        watching = asyncio.create_task(self._watch())
        if self._ending.is_set():
            self.send(signal.SIGTERM)
        try:
            await self._pass_on(process)
            return await process.wait()
        finally:
            watching.cancel()
            self.ready.clear()
            self._process = None

    async def _pass_on(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            return
        while data := await process.stderr.read(CHUNK):
            self._output(self._lines.feed(data))
        self._output(self._lines.end())

    async def _watch(self) -> None:
        while not await self._answers():  # noqa: ASYNC110 - another process, which can't set an event
            await asyncio.sleep(LOOK_EVERY)
        self._was_ready = True
        if not self._wanted_end:
            self.ready.set()

    async def _answers(self) -> bool:
        slot: AsgiSlot[Reply] = AsgiSlot()
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                call = await self._sibling.begin(READY_QUESTION, slot, fresh=True)
                try:
                    reply = await slot.wait()
                finally:
                    call.end()
        except (Unreachable, TimeoutError):
            return False
        return reply.status == READY

    def send(self, number: int) -> None:
        """Sends a signal, if there is a process."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def stop(self) -> None:
        """Has it stopped for good; `keep` returns when it is."""
        self._ending.set()
        self._terminate()

    def _terminate(self) -> None:
        process = self._process
        if process is None:
            return
        self.send(signal.SIGTERM)

        def kill() -> None:
            if self._process is process:
                self._log.error("shard does not stop and is killed", shard=self.port)
                self.send(signal.SIGKILL)

        asyncio.get_running_loop().call_later(self._patience.stop, kill)

    async def restart(self) -> float:
        """Stops it and waits until another process is ready in its place; returns the seconds that took.

        Raises:
            SupervisorError: it is not ready in time.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        # A process that is between two starts comes back by itself.
        self._wanted_end = self._process is not None
        self.ready.clear()
        self._terminate()
        try:
            async with asyncio.timeout(self._patience.start):
                await self.ready.wait()
        except TimeoutError:
            raise SupervisorError(
                f"shard {self.port} is not ready; those behind it were left alone"
            ) from None
        return loop.time() - began


def this_python() -> list[str]:
    """The beginning of a command that runs Tidewire as this process does."""
    return [sys.executable, "-m", "tidewire"]
