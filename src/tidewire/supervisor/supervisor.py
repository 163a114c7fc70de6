"""The supervisor: keeps the shards of one machine running, and stops and restarts them in order."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from tidewire.supervisor.control import Message, listening
from tidewire.supervisor.shard_process import ShardProcess, SupervisorError


class Supervisor:
    """Several shards as one service; `run` is its life."""

    def __init__(self, shards: Sequence[ShardProcess], *, directory: Path, log: FilteringBoundLogger) -> None:
        self._shards = shards
        self._directory = directory
        self._log = log
        self._stop = asyncio.Event()
        self._is_rolling = False

    async def run(self) -> None:
        """Runs the shards until SIGTERM or SIGINT.

        Raises:
            SupervisorError: another supervisor has the directory, or a shard's configuration can't be used.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        async with listening(self._directory, self._carry_out):
            lives = [asyncio.create_task(shard.keep()) for shard in self._shards]
            announcing = asyncio.create_task(self._announce())
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait([*lives, stopping], return_when=asyncio.FIRST_COMPLETED)
            announcing.cancel()
            stopping.cancel()
            self._log.info("stopping all shards")
            notify("STOPPING=1")
            for shard in self._shards:
                shard.stop()
            outcomes = await asyncio.gather(*lives, return_exceptions=True)
            self._log.info("all shards stopped")
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    def _pass_on(self, number: int) -> None:
        for shard in self._shards:
            shard.send(number)

    async def _announce(self) -> None:
        """The one word that all are ready: in the log, and to systemd."""
        for shard in self._shards:
            await shard.ready.wait()
        self._log.info("all shards ready", shards=len(self._shards))
        notify("READY=1")

    # Commands.

    async def _carry_out(self, asked: Message) -> AsyncIterator[Message]:
        match asked.get("do"):
            case "status":
                for shard in self._shards:
                    yield self._state(shard)
            case "restart":
                async for said in self._restart():
                    yield said
            case other:
                raise SupervisorError(f"there is no command {other!r}")

    def _state(self, shard: ShardProcess) -> dict[str, Any]:
        return {
            "shard": shard.port,
            "pid": shard.pid,
            "ready": shard.ready.is_set(),
            "starts": shard.starts,
        }

    async def _restart(self) -> AsyncIterator[Message]:
        """One after the other (R9.16): one that does not come back is the last that was touched."""
        if self._is_rolling:
            raise SupervisorError("a restart is under way")
        self._is_rolling = True
        try:
            for shard in self._shards:
                self._log.info("restarting shard", shard=shard.port)
                yield {"shard": shard.port, "seconds": round(await shard.restart(), 3)}
        finally:
            self._is_rolling = False


def notify(state: str) -> None:
    """Tells systemd, if it wants to know (`Type=notify`)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.connect("\0" + address[1:] if address.startswith("@") else address)
        sending.send(state.encode())
