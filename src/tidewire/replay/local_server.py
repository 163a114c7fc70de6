"""A whole server for one scenario: real socket, routes, users file and state directory, in this process."""

import asyncio
import contextlib
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from random import SystemRandom

from tidewire.app.build import EMBEDDED, App
from tidewire.config import Settings
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.server.listener import Listener, ListenError, bind
from tidewire.observability.log import build_log
from tidewire.server.server import Server

PORTS = range(15_000, 32_000)
"""Below those that outgoing connections are given, so that none of them takes the port meanwhile."""

ATTEMPTS = 50
"""To find a free port among them."""


GLANCE = 0.001
"""Seconds between two looks at whether the server has come so far."""


class LocalServer:
    """The server while it serves: where to ask it, and with what secret."""

    def __init__(self, app: App, port: int, secret: str) -> None:
        self.port = port
        self.secret_headers = {"Authorization": f"Bearer {secret}"}
        self._app = app

    def waiter(self, queue_id: str) -> object:
        """The poll that waits on a queue; None when there is none, or no such queue."""
        descriptor = self._app.engine.shard.find(queue_id)
        return None if descriptor is None else descriptor.waiter

    @property
    def is_answering(self) -> bool:
        """Whether polls are still to be answered after what happened."""
        return self._app.engine.shard.ready() > 0


async def until(has_come: Callable[[], bool]) -> None:
    """Waits until the server has come so far, of which it gives no sign by itself."""
    while not has_come():  # noqa: ASYNC110 - the same: there is no event to wait for
        await asyncio.sleep(GLANCE)


@contextlib.asynccontextmanager
async def serving(settings: Settings, users_file: str) -> AsyncIterator[LocalServer]:
    """Serves in a folder of its own until the block ends; its clock is the real one, but nothing ticks.

    Raises:
        ListenError: no port is free.
        StateError: the folder can't be written.
    """
    with tempfile.TemporaryDirectory(prefix="tidewire-replay-") as folder:
        secret = secrets.token_urlsafe()
        users = _written(users_file, Path(folder, "users.toml"))
        adapted = replace(
            settings,
            bus=replace(settings.bus, url=EMBEDDED),
            # Whatever else is set: this is where its publisher is.
            server=replace(settings.server, secret=secret, internal_from=(ip_network("127.0.0.1"),)),
            # Whoever takes a scenario's notifications takes them at once, so none has to give way.
            notifications=replace(settings.notifications, outbox_max=0),
            auth=replace(settings.auth, users_file=users),
            storage=replace(settings.storage, directory=Path(folder, "state")),
        )
        with contextlib.closing(_free_socket()) as bound:
            server = Server(
                adapted,
                build_log(form=settings.log.format, level="error"),
                listen=lambda app: Listener(app.asgi, bound, context=app.site, bounds=Bounds()),
            )
            app = await server.startup()
            try:
                yield LocalServer(app, bound.getsockname()[1], secret)
            finally:
                await server.shutdown()


def _written(content: str, path: Path) -> Path:
    path.write_text(content)
    return path


def _free_socket() -> socket.socket:
    for port in SystemRandom().sample(PORTS, ATTEMPTS):
        with contextlib.suppress(ListenError):
            return bind("127.0.0.1", port)
    raise ListenError("no port is free on 127.0.0.1")
