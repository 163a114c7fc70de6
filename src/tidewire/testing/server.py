"""A whole server in the process of the tests: real sockets, a clock that only moves when told to, faults."""

import asyncio
import contextlib
import socket
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from random import SystemRandom
from types import TracebackType
from typing import Any, Self, TypeVar

from tidewire.client import Client, LiveState
from tidewire.config import load
from tidewire.http.server.listener import ListenError, bind
from tidewire.publisher import Publisher
from tidewire.replay.virtual_clock import VirtualClock
from tidewire.state import Apply
from tidewire.storage.in_memory import MemoryStore
from tidewire.testing.builders import USUAL_ACCOUNTS, Account, users_file
from tidewire.testing.faults import Faults, Relay
from tidewire.testing.instance import GLANCE, Instance
from tidewire.testing.recorded_client import PATIENCE, RecordedClient

T = TypeVar("T")

SECRET = "testing-secret"  # noqa: S105 - of a server that lives as long as a test

START = 1_790_000_000.0
"""The time at which every server begins, in UNIX seconds."""

PORTS = range(15_000, 32_000)
"""Below those that outgoing connections are given, so that none of them takes the port meanwhile."""

ATTEMPTS = 50

STOP_WITHIN = 30.0
"""Seconds for what is asked of the server's thread; only a fault of the kit takes as long."""


class TidewireServer:
    """The server, on a thread of its own; a context manager.

    Its time stands still unless `advance` moves it: no heartbeat comes and no queue expires otherwise. Its state
    is in memory and outlives `kill` and `restart`.

    Args:
        accounts: who can register; an owner, a member, a guest and a bot when not given.
        settings: `section.key=value`, as for `tidewire serve --set`.

    Attributes:
        faults: switches for what may go wrong.
        secret: for publishing.
    """

    def __init__(self, *, accounts: Iterable[Account] = USUAL_ACCOUNTS, settings: Iterable[str] = ()) -> None:
        self.faults = Faults()
        self.secret = SECRET
        self.accounts: Mapping[str, Account] = {account.name: account for account in accounts}
        self._wanted = tuple(settings)
        self._store = MemoryStore()
        self._clock = VirtualClock(START)
        self._relay = Relay(self.faults)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tidewire-testing")
        self._folder = tempfile.TemporaryDirectory(prefix="tidewire-testing-")
        self._instance: Instance | None = None
        self._followers: list[RecordedClient] = []
        self._open: asyncio.Server | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._run(self._begin())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it listens, over kills and restarts."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def now(self) -> float:
        """Its time, in UNIX seconds."""
        return self._clock.now()

    # Using it.

    def client(self, name: str) -> Client:
        """A client of an account, to be closed by the caller."""
        account = self.accounts[name]
        return Client(self.url, email=account.email, api_key=account.api_key)

    def publisher(self) -> Publisher:
        """A publisher, to be closed by the caller; it tries for a second."""
        return Publisher(self.url, secret=self.secret, retry_for=1.0)

    def follow(self, name: str, *, apply: Mapping[str, Apply] | None = None, **asked: Any) -> RecordedClient:
        """Registers a queue, and has a client follow it until the server is closed.

        Args:
            name: of the account.
            apply: has it keep a state.
            **asked: as for `Client.events`.
        """
        account = self.accounts[name]
        follower = RecordedClient(
            self.url,
            email=account.email,
            api_key=account.api_key,
            state=None if apply is None else LiveState(apply),
        )
        self._followers.append(follower)
        self._run(follower.begin(**asked))
        return follower

    def publish(self, *notices: Mapping[str, Any]) -> None:
        """Publishes notices, and sees them confirmed."""
        with self.publisher() as publisher:
            publisher.send(notices)

    # Looking in.

    def queue_ids(self) -> list[str]:
        """The queues that there are."""
        return self._run(_of_the_loop(self._queue_ids))

    def wait_for_queues(self, count: int) -> None:
        """Waits until there are so many queues.

        Raises:
            AssertionError: it does not come to that.
        """
        self._run(self._until(lambda: len(self._queue_ids()) == count, f"{count} queues"))

    def wait_for_polls(self, count: int) -> None:
        """Waits until so many polls wait for an event.

        Raises:
            AssertionError: it does not come to that.
        """
        self._run(
            self._until(lambda: self._serving().app.engine.waiting() == count, f"{count} waiting polls")
        )

    # What happens to it.

    def advance(self, seconds: float) -> None:
        """Lets time pass: heartbeats come, and queues that nobody reads expire."""
        self._run(self._serving().advance(seconds))

    def kill(self) -> None:
        """Ends it as `kill -9` does. Clients get no connection until `start`."""
        self._run(self._leave(self._serving().kill()))

    def stop(self) -> None:
        """Stops it in order. Clients get no connection until `start`."""
        self._run(self._leave(self._serving().stop()))

    def start(self) -> None:
        """Starts it again on the state that it left."""
        if self._instance is None:
            self._run(self._start())

    def restart(self) -> None:
        """Stops it and starts it again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Ends everything that was begun."""
        if self._loop.is_closed():
            return
        try:
            self._run(self._end())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._folder.cleanup()

    # On its thread.

    async def _begin(self) -> None:
        plug = _free_socket()
        self._port = plug.getsockname()[1]
        self._open = await asyncio.start_server(self._relay.serve, sock=plug)
        await self._start()

    async def _start(self) -> None:
        folder = Path(self._folder.name)
        users = folder / "users.toml"
        users.write_text(users_file(self.accounts.values()), encoding="utf-8")
        own = (
            f"server.secret={self.secret}",
            f"auth.users_file={users}",
            f"storage.directory={folder / 'state'}",
            "server.cors_origins=*",
        )
        settings = load(file=None, environ={}, overrides=[*own, *self._wanted])
        plug = _free_socket()
        self._instance = await Instance.start(settings, store=self._store, clock=self._clock, plug=plug)
        self._relay.target = plug.getsockname()[1]

    async def _leave(self, ending: Coroutine[Any, Any, None]) -> None:
        self._relay.target, self._instance = 0, None
        await ending
        await self._relay.cut()

    async def _end(self) -> None:
        self.faults.slow_clients = False
        for follower in self._followers:
            await follower.end()
        if self._open is not None:
            self._open.close()
        if self._instance is not None:
            await self._leave(self._instance.kill())
        await self._relay.cut()

    def _queue_ids(self) -> list[str]:
        return [str(queue_id) for queue_id in self._serving().app.engine.shard.queue_ids()]

    async def _until(self, has_come: Callable[[], bool], what: str) -> None:
        """Looks again and again: the server gives no sign of what is looked for here."""
        deadline = self._loop.time() + PATIENCE
        while not has_come():
            if self._loop.time() > deadline:
                raise AssertionError(f"not within {PATIENCE:g} s: {what}")
            await asyncio.sleep(GLANCE)

    def _serving(self) -> Instance:
        if self._instance is None:
            raise RuntimeError("The server is not running; call start()")
        return self._instance

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(STOP_WITHIN)


async def _of_the_loop(look: Callable[[], T]) -> T:
    """A look at what only the server's thread may look at."""
    return look()


def _free_socket() -> socket.socket:
    for port in SystemRandom().sample(PORTS, ATTEMPTS):
        with contextlib.suppress(ListenError):
            return bind("127.0.0.1", port)
    raise ListenError("no port is free on 127.0.0.1")
