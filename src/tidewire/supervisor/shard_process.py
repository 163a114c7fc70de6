"""The process of one shard: started, watched until it is ready, restarted when it ends, stopped; its log lines are kept whole."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from tidewire import TidewireError
from tidewire.http.server.listener import ListenError


class ShardLines:
    """Makes lines that say which shard they are of out of what one shard writes, piece by piece."""

    def __init__(self, port: int, *, structured: bool) -> None:
        self._structured = structured
        self._mark = b'{"shard":%d,' % port if structured else b"[%d] " % port
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The lines that are whole now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return b"".join(map(self._marked, lines))

    def end(self) -> bytes:
        """What came last, though it is no whole line."""
        rest, self._rest = self._rest, b""
        return self._marked(rest) if rest else b""

    def _marked(self, line: bytes) -> bytes:
        if not self._structured:
            return b"%b%b\n" % (self._mark, line)
        # A traceback that Python itself wrote is no object, and stays as it is.
        return b"%b%b\n" % ((self._mark, line[1:]) if line.startswith(b'{"') else (b"", line))


CHUNK = 65_536


SUCCEEDED = 0


FAILED = 1


WRONG_USAGE = 2
"""The exit code of a configuration that can't be used, which another start would not change."""


class SupervisorError(TidewireError):
    """Shards can't be run, or not be restarted."""

    code = "SUPERVISOR_FAILED"


class NeverStarted(SupervisorError):
    """A shard's configuration can't be used; its own line in the log says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RestartTimeouts:
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


SOON = 2
"""Ends in a row after which callers are refused until the shard listens: who knows when it will."""


class ChildProcess:
    """A process that has been started: it reports that it is loaded, waits until it may serve, and reports the result.

    It says when it is ready, and at its end when another can begin in its place. It is not asked over HTTP: after a restart thousands of clients may be ahead in the backlog.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, turn: socket.socket, output: asyncio.Task[None]
    ) -> None:
        self.process = process
        self._turn = turn
        self._output = output
        self._said = 0

    async def loaded(self) -> bool:
        """Waits until it could begin; False when it ended instead."""
        return await self._says(1)

    async def ready(self) -> bool:
        """Waits until it serves; False when it ended instead."""
        return await self._says(2)

    async def let_go(self) -> bool:
        """Waits until another process can begin in its place; False when it ended instead."""
        return await self._says(3)

    async def _says(self, words: int) -> bool:
        while self._said < words:
            try:
                said = await asyncio.get_running_loop().sock_recv(self._turn, 1)
            except OSError:
                return False
            if not said:
                return False
            self._said += 1
        return True

    def begin(self) -> None:
        """Lets the process serve: the one before it has ended."""
        with contextlib.suppress(OSError):  # it has ended
            self._turn.send(b".")

    async def end(self) -> int:
        """Waits for its end, and until what it wrote is passed on; returns the exit code."""
        await self._output
        return await self.process.wait()

    def close(self) -> None:
        """Listens to it no more."""
        self._turn.close()


class ShardProcess:
    """A shard under supervision; `keep` is its life."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        port: int,
        lines: Callable[[], ShardLines],
        bind: Callable[[], socket.socket],
        output: Callable[[bytes], None],
        log: FilteringBoundLogger,
        timeouts: RestartTimeouts,
    ) -> None:
        """Takes what it needs.

        Args:
            command: runs the shard; it takes `--socket`.
            port: of the shard.
            lines: makes what marks one process's lines.
            bind: gives a bound socket, not listening yet.
            output: where lines go.
            log: the supervisor's own.
            timeouts: times.
        """
        self.port = port
        self.ready = asyncio.Event()
        self.starts = 0
        self._command = command
        self._lines = lines
        self._bind = bind
        self._bound: socket.socket | None = None
        self._output = output
        self._log = log
        self._timeouts = timeouts
        self._process: asyncio.subprocess.Process | None = None
        self._successor: ChildProcess | None = None
        self._leaving: set[asyncio.Task[int]] = set()
        """The ends of processes that another has begun in place of."""
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
            ListenError: its port can't be had at the start.
        """
        ends = 0
        loop = asyncio.get_running_loop()
        while not self._ending.is_set():
            began = loop.time()
            try:
                code = await self._run_once()
            except ListenError:
                if not self._was_ready:
                    raise
                code = FAILED  # somebody took the port in between, perhaps not for long
            if self._ending.is_set():
                break
            if self._wanted_end:
                self._wanted_end = False
                continue
            if code == WRONG_USAGE and not self._was_ready:
                raise NeverStarted(f"shard {self.port} can't be started with this configuration")
            ends = 1 if loop.time() - began > self._timeouts.steady else ends + 1
            if ends >= SOON:
                self._refuse()
            wait = self._timeouts.wait(ends)
            self._log.error("shard ended", shard=self.port, code=code, again_in=wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), wait)
        await asyncio.gather(*self._leaving)

    async def _run_once(self) -> int:
        self.starts += 1
        child = self._successor or await self._start()
        self._successor = None
        self._process = child.process
        child.begin()
        if self._ending.is_set():
            self.send(signal.SIGTERM)
        try:
            await self._watch(child)
            leaving = asyncio.create_task(self._end_of(child))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            return SUCCEEDED if self._successor is not None else await leaving
        finally:
            self.ready.clear()
            self._process = None

    async def _end_of(self, child: ChildProcess) -> int:
        try:
            return await child.end()
        finally:
            child.close()

    async def _start(self) -> ChildProcess:
        if self._bound is None:
            self._bound = self._bind()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        listener = self._bound.fileno()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                "--socket",
                str(listener),
                stdin=theirs.fileno(),
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(listener,),
                # Ctrl-C in a terminal is meant for the supervisor, which stops all in order.
                start_new_session=True,
            )
        return ChildProcess(process, ours, asyncio.create_task(self._pass_on(process)))

    def _refuse(self) -> None:
        """Lets nobody wait any more; the next process gets another socket."""
        if self._bound is not None:
            self._bound.close()
            self._bound = None

    async def _pass_on(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            return
        lines = self._lines()
        while data := await process.stderr.read(CHUNK):
            self._output(lines.feed(data))
        self._output(lines.end())

    async def _watch(self, child: ChildProcess) -> None:
        """Returns when another process can begin, or this one has ended."""
        if await child.ready():
            self._was_ready = True
            if not self._wanted_end:
                self.ready.set()
            await child.let_go()

    def send(self, number: int) -> None:
        """Sends a signal, if there is a process."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def stop(self) -> None:
        """Has it stopped for good; `keep` returns when it is."""
        self._ending.set()
        self._refuse()  # the process has the socket too, until it accepts no more
        self._terminate()

    def _terminate(self) -> None:
        process = self._process
        if process is None:
            return
        self.send(signal.SIGTERM)

        def kill() -> None:
            if process.returncode is None:
                self._log.error("shard does not stop and is killed", shard=self.port)
                process.kill()

        asyncio.get_running_loop().call_later(self._timeouts.stop, kill)

    async def restart(self) -> float:
        """Has another process ready in its place; returns the seconds from its stop until then.

        Raises:
            SupervisorError: it is not ready in time, or can't be started, and then the one that runs goes on.
        """
        # A process that is between two starts comes back by itself.
        if self._process is not None:
            self._successor = await self._loaded()
            self._wanted_end = self._process is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.ready.clear()
        self._terminate()
        try:
            async with asyncio.timeout(self._timeouts.start):
                await self.ready.wait()
        except TimeoutError:
            raise SupervisorError(
                f"shard {self.port} is not ready; those behind it were left alone"
            ) from None
        return loop.time() - began

    async def _loaded(self) -> ChildProcess:
        child = await self._start()
        try:
            async with asyncio.timeout(self._timeouts.start):
                if await child.loaded():
                    return child
        except TimeoutError:
            pass
        with contextlib.suppress(ProcessLookupError):
            child.process.kill()
        await child.end()
        child.close()
        raise SupervisorError(
            f"shard {self.port} can't be started as things are now: the log says why; the one that runs goes on"
        )


def this_python() -> list[str]:
    """The beginning of a command that runs Tidewire as this process does."""
    return [sys.executable, "-m", "tidewire"]
