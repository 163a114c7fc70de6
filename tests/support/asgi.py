"""Drives an ASGI application in process: a request may wait, come in chunks, or lose its client."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message

from support.raw_http import Answer, encoded

Peer = tuple[str, int] | None

LOOPBACK: Peer = ("127.0.0.1", 40000)


class Exchange:
    """One request under way."""

    def __init__(self, app: ASGIApp, scope: dict[str, Any], chunks: Iterable[bytes]) -> None:
        parts = list(chunks) or [b""]
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        for number, part in enumerate(parts):
            more = number + 1 < len(parts)
            self._incoming.put_nowait({"type": "http.request", "body": part, "more_body": more})
        self._sent: list[Message] = []
        self.unread = 0
        """How many parts of the request had not been asked for when the answer began."""
        self._task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Message:
        return await self._incoming.get()

    async def _send(self, message: Message) -> None:
        if not self._sent:
            self.unread = self._incoming.qsize()
        self._sent.append(message)

    @property
    def is_answered(self) -> bool:
        """Whether the application is done with it."""
        return self._task.done()

    def take_back(self) -> None:
        """Makes the end of the body stay away."""
        self._incoming = asyncio.Queue()

    def disconnect(self) -> None:
        """The client goes away."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    def cancel(self) -> None:
        """The server gives the request up."""
        self._task.cancel()

    async def answer(self) -> Answer:
        """The answer, when it comes."""
        await asyncio.wait_for(asyncio.shield(self._task), 60)
        start, *rest = self._sent
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in rest))


async def settle() -> None:
    """Lets everything that is ready on the loop run."""
    for _ in range(10):
        await asyncio.sleep(0)


def begin(
    app: ASGIApp,
    method: str,
    path: str,
    *,
    query: Mapping[str, Any] | bytes = b"",
    form: Mapping[str, Any] | None = None,
    body: bytes | list[bytes] = b"",
    headers: Mapping[str, str] | None = None,
    peer: Peer = LOOPBACK,
) -> Exchange:
    """Begins a request; parameters that are no strings are sent as JSON (R6.8).

    A `body` in parts has no Content-Length, like a chunked one.
    """
    lines = {"host": "test.example", **{name.lower(): value for name, value in (headers or {}).items()}}
    if form is not None:
        body = encoded(form).encode()
        lines.setdefault("content-type", "application/x-www-form-urlencoded")
    if isinstance(body, bytes) and body:
        lines.setdefault("content-length", str(len(body)))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query if isinstance(query, bytes) else encoded(query).encode(),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()],
        "client": peer,
        "server": ("127.0.0.1", 9800),
        "state": {},
    }
    return Exchange(app, scope, [body] if isinstance(body, bytes) else body)


async def ask(app: ASGIApp, method: str, path: str, **request: Any) -> Answer:
    """One request to its end; the keywords are those of `begin`."""
    return await begin(app, method, path, **request).answer()
