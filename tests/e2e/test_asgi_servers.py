"""Who reads the wire when the server is mounted in another: what stock servers make of requests inside of bodies.

The how-to page on embedding says which of them to take and what to set; these tests are where that comes from.
"""

import asyncio
import contextlib
import io
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypercorn.asyncio
import hypercorn.config
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from support.ambiguous_requests import CHUNKS, SMUGGLED, WITH_LENGTH, chunked, head
from support.lane_server import until
from support.server_process import SECRET, free_port, users_file
from tidewire.contrib.asgi import Tidewire
from tidewire.http.server.listener import bind
from tidewire.observability.log import build_log

WEBSOCKET = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
H2C = b"Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"

ATTACKS = {
    "a body": head(WITH_LENGTH) + SMUGGLED,
    "a body of a GET": head(WITH_LENGTH, first=b"GET / HTTP/1.1") + SMUGGLED,
    "chunks": chunked(CHUNKS),
    "an unknown upgrade": head(b"Connection: upgrade\r\nUpgrade: x\r\n" + WITH_LENGTH) + SMUGGLED,
    "an upgrade to WebSocket": head(
        b"Connection: upgrade\r\nUpgrade: websocket\r\n" + WEBSOCKET + WITH_LENGTH
    )
    + SMUGGLED,
    "an upgrade to HTTP/2": head(H2C + WITH_LENGTH) + SMUGGLED,
    "length and chunks": chunked(CHUNKS, WITH_LENGTH + b"Transfer-Encoding: chunked\r\n"),
    "no length and chunks": chunked(CHUNKS, b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
    "two lengths": head(b"Content-Length: 0\r\n" + WITH_LENGTH) + SMUGGLED,
    "a space before the colon": head(b"Content-Length : 37\r\n") + SMUGGLED,
    "an unknown coding": chunked(CHUNKS, b"Transfer-Encoding: xchunked\r\n"),
    "chunks twice": chunked(CHUNKS, b"Transfer-Encoding: chunked, chunked\r\n"),
    "chunked in HTTP/1.0": head(b"Transfer-Encoding: chunked\r\n", first=b"POST / HTTP/1.0") + CHUNKS,
    "a chunk without its end": chunked(b"3\r\nabcd\r\n0\r\n\r\n" + SMUGGLED),
}
"""None of them holds a second request; if one is served, a body was taken for it."""

UPGRADES = ("an unknown upgrade", "an upgrade to WebSocket", "an upgrade to HTTP/2")


class Seen:
    """The mounted server, and the paths that it was asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on."""
        if scope["type"] == "http":
            self.paths.append(scope["path"])
        await self._app(scope, receive, send)


class Unsignalled(uvicorn.Server):
    """Leaves signals to the tester."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield


@contextlib.asynccontextmanager
async def by_uvicorn(app: ASGIApp, listener: socket.socket, http: str) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app,
        http=http,
        ws="none",
        lifespan="on",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = Unsignalled(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def by_hypercorn(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    listener.listen()
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = 1
    config.errorlog = config.accesslog = None
    stop = asyncio.Event()
    serving = asyncio.create_task(
        hypercorn.asyncio.serve(app, config, mode="asgi", shutdown_trigger=stop.wait)  # type: ignore[arg-type]  # it has types of its own
    )
    try:
        yield
    finally:
        stop.set()
        await serving


@contextlib.asynccontextmanager
async def mounted(folder: Path, kind: str) -> AsyncIterator[tuple[Seen, int]]:
    """The server in another one, and its port."""
    (folder / "users.toml").write_text(users_file("ada"))
    settings = {
        "auth.users_file": folder / "users.toml",
        "storage.directory": folder / "state",
        "server.secret": SECRET,
    }
    log = build_log(form="json", level="info", stream=io.StringIO())
    tidewire = Tidewire(settings=settings, log=log, handle_signals=False)
    seen = Seen(tidewire)
    port = free_port()
    with bind("127.0.0.1", port) as listener:
        serving = by_hypercorn(seen, listener) if kind == "hypercorn" else by_uvicorn(seen, listener, kind)
        async with serving:
            await until(lambda: tidewire._app is not None)
            yield seen, port


async def attack(port: int, request: bytes) -> None:
    """Sends a request and, when its head has been looked at, what stands in its body; then waits for the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    at = request.index(b"\r\n\r\n") + 4
    for part in (request[:at], request[at:], b""):
        writer.write(part)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def smuggled_into(folder: Path, kind: str) -> list[str]:
    """The attacks of which a body was served as a request."""
    found = []
    async with mounted(folder, kind) as (seen, port):
        for name, request in ATTACKS.items():
            seen.paths.clear()
            await attack(port, request)
            if "/metrics" in seen.paths:
                found.append(name)
        seen.paths.clear()
        await attack(port, SMUGGLED)
        assert seen.paths == ["/metrics"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["h11", "hypercorn"])
async def test_these_servers_take_no_body_for_a_request(tmp_path: Path, kind: str) -> None:
    assert await smuggled_into(tmp_path, kind) == []


@pytest.mark.slow
async def test_why_uvicorn_is_to_be_told_which_parser_to_take(tmp_path: Path) -> None:
    """When this fails, uvicorn has mended it, and the how-to page on embedding can say so."""
    assert await smuggled_into(tmp_path, "httptools") == [*UPGRADES]
