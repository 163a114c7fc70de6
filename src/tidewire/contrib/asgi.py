"""The complete server as an ASGI application, to be mounted in another one: Starlette, FastAPI, or any.

For development and small deployments. Connections are the outer server's, and so are the bounds on them; there is no
fast lane, and one process only, for two can't have the same state. Everything else is as `tidewire serve` has it.
"""

import asyncio
import contextlib
import json
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
from starlette.types import Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from tidewire import TidewireError
from tidewire.app.build import App
from tidewire.cluster.awaitable import AwaitableWaiter
from tidewire.config import Settings, load
from tidewire.core.notices.notice import decode_notice
from tidewire.http.fanout import publish
from tidewire.initial_state import StateProvider
from tidewire.observability.log import build_log
from tidewire.observability.log_level import LogControl
from tidewire.server.endpoint import Mounted
from tidewire.server.server import Embedding, Server

_ENCODER = msgspec.json.Encoder()


class NotRunning(TidewireError):
    """The server got a request outside its lifespan: the mounting application must pass lifespan events on."""

    code = "NOT_RUNNING"


class Tidewire:
    """A server to be mounted.

    Its lifespan must run: give `tidewire.lifespan` to the outer application, or enter it in the lifespan that this has
    already. As an application of its own it answers the lifespan protocol itself.
    """

    def __init__(
        self,
        config: str | Path | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        providers: Sequence[StateProvider] = (),
        log: FilteringBoundLogger | None = None,
        handle_signals: bool = True,
    ) -> None:
        """Reads the settings.

        Args:
            config: the settings file; the environment counts too.
            settings: further ones by `section.key`, which win.
            providers: of the initial state, beside those that the settings name.
            log: where to write; by default standard error, as the settings say.
            handle_signals: end waiting polls as soon as a signal to stop comes, and pass that on. Servers begin the
                end of a lifespan when all requests are answered, and a poll takes up to 55 seconds.

        Raises:
            ConfigError: the settings are wrong.
        """
        given = [f"{name}={_text(value)}" for name, value in (settings or {}).items()]
        self.settings: Settings = load(
            file=None if config is None else Path(config), environ=os.environ, overrides=given
        )
        self._providers = tuple(providers)
        # A log of the outer application's own is that application's to change.
        self._log_control = None if log is not None else LogControl(self.settings.log.level)
        self._log = log or build_log(
            form=self.settings.log.format, level=self._log_control or self.settings.log.level
        )
        self._handle_signals = handle_signals
        self._app: App | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
        elif scope["type"] == "http":
            await self._running().asgi(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    @contextlib.asynccontextmanager
    async def lifespan(self, _outer: object = None) -> AsyncIterator[None]:
        """Takes the state, serves, and keeps everything at the end.

        Raises:
            UsersFileError, StateError: the server can't start, or its journal failed.
        """
        loop = asyncio.get_running_loop()
        server = Server(
            self.settings,
            self._log,
            listen=lambda _: Mounted(),
            embedding=Embedding(providers=self._providers, log_control=self._log_control),
        )
        async with server.running() as app:
            stop = _Stop(server, loop)
            serving = asyncio.create_task(_serve(server))
            self._app, self._loop = app, loop
            self._log.info("mounted", queues=app.engine.shard.queues())
            try:
                with _signals(stop.begin, loop) if self._handle_signals else contextlib.nullcontext():
                    yield
            finally:
                self._app = None
                await stop.finish()
                serving.cancel()

    async def send_event(
        self,
        *,
        event: Mapping[str, Any],
        users: Iterable[int | Mapping[str, Any]],
        realm_id: int | None = None,
        id: str | None = None,  # noqa: A002 - the notice's own name for it
    ) -> None:
        """Publishes one event; returns once it is as durable as the settings ask.

        Args:
            event: the event, with its `type`.
            users: ids of the users it is for, or objects with `id` and what the event's type needs.
            realm_id: queues of other realms are skipped; every realm's are served when None.
            id: names the notice, so that sending it again is safe.

        Raises:
            InvalidNotice, NoticeIdReused, Unavailable: it was not taken.
            NotRunning: the server's lifespan is not running.
        """
        notice: dict[str, Any] = {"event": event, "users": list(users)}
        optional = {"id": id, "realm_id": realm_id}
        notice |= {name: value for name, value in optional.items() if value is not None}
        slot: AwaitableWaiter[int] = AwaitableWaiter()
        publish([decode_notice(_ENCODER.encode(notice))], self._running().site, slot)
        await slot.wait()

    def send_event_from_thread(self, **arguments: Any) -> None:
        """Publishes an event from a thread other than the event loop's, and blocks until it is confirmed."""
        if self._loop is None:
            raise NotRunning("The server's lifespan is not running")
        asyncio.run_coroutine_threadsafe(self.send_event(**arguments), self._loop).result()

    def _running(self) -> App:
        if self._app is None:
            raise NotRunning(
                "The server's lifespan is not running: give `lifespan` to the application that mounts it"
            )
        return self._app

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        began = False
        try:
            await receive()
            async with self.lifespan():
                began = True
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except TidewireError as error:
            failed = "lifespan.shutdown.failed" if began else "lifespan.startup.failed"
            message: Message = {"type": failed, "message": str(error)}
            await send(message)
            return
        await send({"type": "lifespan.shutdown.complete"})


async def _serve(server: Server) -> None:
    await server.main_loop()
    # Its disk has failed. The outer server ends the process in its own way, as it would for any fault of the machine.
    signal.raise_signal(signal.SIGTERM)


class _Stop:
    """The end of serving, which may begin before the lifespan's."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._draining: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Takes nothing new, and ends what waits; a second time it does nothing."""
        if self._draining is None:
            self._draining = self._loop.create_task(self._server.drain())

    async def finish(self) -> None:
        """Returns when nothing waits any more."""
        self.begin()
        if self._draining is not None:
            await self._draining


@contextlib.contextmanager
def _signals(begin: Callable[[], None], loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Calls `begin` on the loop when a stop signal arrives; handlers set before are called too."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    ours = {number for number, handler in before.items() if callable(handler)}
    for number in ours:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in ours:
            if signal.getsignal(number) is handle:
                signal.signal(number, before[number])


def _text(value: Any) -> str:
    """A value as `--set` takes it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
