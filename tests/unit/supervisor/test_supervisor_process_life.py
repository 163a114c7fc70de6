"""A shard's process from its start to its end, with small programs in the place of a shard."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, MutableMapping
from typing import Any

import pytest
import structlog

from support.waiting import PATIENCE, eventually
from tidewire.supervisor.shard_process import (
    NeverStarted,
    RestartTimeouts,
    ShardLines,
    ShardProcess,
    SupervisorError,
    this_python,
)

TALKS = """
import os, signal, socket, sys
supervisor = socket.socket(fileno=os.dup(0))
def stop(*_):
    sys.stderr.write("stopping\\n")
    supervisor.send(b".")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
supervisor.send(b".")
supervisor.recv(1) or sys.exit(3)
sys.stderr.write("serving\\n")
supervisor.send(b".")
while True: signal.pause()
"""
"""Does what a shard does: it is loaded, waits for its turn, serves, and lets go when it is told to stop."""

DEAF = TALKS.replace("signal.signal(signal.SIGTERM, stop)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
ENDS = "import sys; sys.exit({code})"

PORT = 9801


class Kept:
    """A shard process, its log and what its processes write."""

    def __init__(self, program: str, **timeouts: float) -> None:
        self.written = b""
        self.logged: list[dict[str, Any]] = []
        self.program = [this_python()[0], "-c", program]
        self.shard = ShardProcess(
            self.program,
            port=PORT,
            lines=lambda: ShardLines(PORT, structured=False),
            bind=bound,
            output=self._write,
            log=structlog.wrap_logger(None, processors=[self._keep]),
            timeouts=RestartTimeouts(first=0.01, longest=0.01, **timeouts),
        )

    def _write(self, data: bytes) -> None:
        self.written += data

    def _keep(self, _logger: object, _name: str, event: MutableMapping[str, Any]) -> Any:
        self.logged.append(dict(event))
        raise structlog.DropEvent

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keeps it for the time of the block, and stops it."""
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            group.create_task(self.shard.keep())
            try:
                yield
            finally:
                self.shard.stop()


def bound() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


async def until(look: Callable[[], object]) -> None:
    await asyncio.to_thread(eventually, look, what="the process is so far")


async def test_it_is_ready_when_it_says_so_and_its_lines_are_marked_to_the_last() -> None:
    kept = Kept(TALKS)
    async with kept.kept():
        await kept.shard.ready.wait()
        assert kept.shard.pid is not None
        await until(lambda: kept.written == b"[9801] serving\n")
    assert kept.written == b"[9801] serving\n[9801] stopping\n"
    assert kept.shard.starts == 1
    assert not kept.shard.ready.is_set()
    assert kept.logged == []


async def test_a_process_that_ends_is_started_again_and_said_to_have_ended() -> None:
    kept = Kept(TALKS)
    async with kept.kept():
        await kept.shard.ready.wait()
        kept.shard.send(9)
        await until(lambda: kept.shard.starts == 2 and kept.shard.ready.is_set())
    assert [(line["event"], line["shard"], line["code"]) for line in kept.logged] == [
        ("shard ended", PORT, -9)
    ]


async def test_a_restart_has_another_process_in_its_place_which_is_no_end() -> None:
    kept = Kept(TALKS)
    async with kept.kept():
        await kept.shard.ready.wait()
        before = kept.shard.pid
        assert await kept.shard.restart() >= 0
        assert kept.shard.pid not in {before, None}
    assert kept.shard.starts == 2
    assert kept.logged == []


async def test_a_restart_that_can_not_be_leaves_the_process_alone_that_runs() -> None:
    kept = Kept(TALKS)
    async with kept.kept():
        await kept.shard.ready.wait()
        before = kept.shard.pid
        kept.shard._command = [*kept.program[:2], ENDS.format(code=1)]
        with pytest.raises(SupervisorError, match="the one that runs goes on"):
            await kept.shard.restart()
        assert kept.shard.pid == before
        assert kept.shard.ready.is_set()
    assert kept.shard.starts == 1


async def test_a_configuration_that_can_not_be_used_is_not_tried_again() -> None:
    kept = Kept(ENDS.format(code=2))
    with pytest.raises(NeverStarted, match="9801"):
        await kept.shard.keep()
    kept.shard.stop()
    assert kept.shard.starts == 1


async def test_what_fails_otherwise_is_tried_again_and_again() -> None:
    kept = Kept(ENDS.format(code=1))
    async with kept.kept():
        await until(lambda: len(kept.logged) >= 3)
    assert {line["code"] for line in kept.logged[:3]} == {1}


async def test_a_process_that_does_not_stop_is_killed() -> None:
    kept = Kept(DEAF, stop=0.05)
    async with kept.kept():
        await kept.shard.ready.wait()
    assert [line["event"] for line in kept.logged] == ["shard does not stop and is killed"]


async def test_a_stop_before_the_process_is_ready_ends_it_too() -> None:
    kept = Kept(TALKS)
    async with kept.kept():
        await until(lambda: kept.shard.pid is not None)
    assert kept.shard.starts == 1
    assert kept.logged == []
