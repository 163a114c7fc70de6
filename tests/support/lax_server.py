"""A server that reads the wire carelessly, to prove that the attacks find such a one.

It stands for the real server, to which it passes on what it takes for a request. Its fault is a common one: the body of a
request that offers an upgrade is taken for the next request.
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator

from support.fast_http import Wire

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_OFFER = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
_CONNECTION_LINES = re.compile(
    rb"\r\n(connection|upgrade|transfer-encoding|content-length):[^\r]*", re.IGNORECASE
)

PATIENCE = 60.0


@contextlib.contextmanager
def lax_server(port: int) -> Iterator[int]:
    """Serves in a thread for the time of the block, by way of the server at `port`; gives its own port."""
    loop = asyncio.new_event_loop()
    serving = loop.run_until_complete(
        asyncio.start_server(lambda reader, writer: _serve(reader, writer, port), "127.0.0.1", 0)
    )
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield serving.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_end(serving), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(serving: asyncio.Server) -> None:
    serving.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    wire: Wire | None = None
    try:
        while True:
            head = await reader.readuntil(_HEAD_END)
            found = None if _OFFER.search(head) else _LENGTH.search(head)
            body = await reader.readexactly(int(found[1])) if found else b""
            wire = await Wire.connect(port)
            lines = _CONNECTION_LINES.sub(b"", head)[: -len(_HEAD_END)]
            wire.send(
                lines + b"\r\nContent-Length: %d\r\nConnection: close%b" % (len(body), _HEAD_END) + body
            )
            while not wire.is_closed:
                await wire.more(PATIENCE)
            writer.write(re.sub(rb"\r\nconnection: close", b"", bytes(wire.received), count=1))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        pass
    except asyncio.CancelledError:
        pass  # the end of it all; a stream's task that was cancelled is complained about
    finally:
        if wire is not None:
            wire.close()
        writer.transport.abort()
