"""The supervisor's socket: one line of JSON asks, lines of JSON answer, and the last has `done` or `error`."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from tidewire.supervisor.shard_process import SupervisorError

NAME = "supervisor.sock"

Message = dict[str, Any]


@contextlib.contextmanager
def _reachable(directory: Path) -> Iterator[str]:
    """A short path to the socket: the names of sockets are bounded to some hundred bytes, those of files are not."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)


@contextlib.asynccontextmanager
async def listening(
    directory: Path, carry_out: Callable[[Message], AsyncIterator[Message]]
) -> AsyncIterator[None]:
    """Accepts commands during the block, from every user with access to the directory.

    Raises:
        SupervisorError: another supervisor has the directory.
    """
    if _is_taken(directory):
        raise SupervisorError(f"another supervisor runs shards in {directory}")
    path = directory / NAME
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    with _reachable(directory) as short:
        listener.bind(short)
    path.chmod(0o600)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            await _answer(carry_out, reader, writer)
        writer.close()

    server = await asyncio.start_unix_server(serve, sock=listener)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _answer(
    carry_out: Callable[[Message], AsyncIterator[Message]],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    asked = json.loads(await reader.readline())
    try:
        async for said in carry_out(asked if isinstance(asked, dict) else {}):
            writer.write(json.dumps(said).encode() + b"\n")
            await writer.drain()
        last: Message = {"done": True}
    except SupervisorError as error:
        last = {"error": str(error)}
    writer.write(json.dumps(last).encode() + b"\n")
    await writer.drain()


def _is_taken(directory: Path) -> bool:
    try:
        _connected(directory).close()
    except OSError:
        return False
    return True


def _connected(directory: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        with _reachable(directory) as short:
            connection.connect(short)
    except OSError:
        connection.close()
        raise
    return connection


def command(directory: Path, **asked: Any) -> Iterator[Message]:
    """Asks a supervisor, and gives what it says, line by line.

    Raises:
        SupervisorError: there is none, or it says that it failed.
    """
    try:
        connection = _connected(directory)
    except OSError:
        raise SupervisorError(f"no supervisor runs shards in {directory}") from None
    with connection, connection.makefile("rwb") as stream:
        stream.write(json.dumps(asked).encode() + b"\n")
        stream.flush()
        for line in stream:
            said: Message = json.loads(line)
            if "error" in said:
                raise SupervisorError(said["error"])
            if "done" in said:
                return
            yield said
    raise SupervisorError("the supervisor ended before it was done")
