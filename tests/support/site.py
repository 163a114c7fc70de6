"""A whole site in process: real engine and users file, a clock that stands still, and a log to read."""

import asyncio
import io
import itertools
import json
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from support import asgi
from support.raw_http import Answer
from support.server_process import KEYS, SECRET, USER_IDS, credentials, users_file
from tidewire.auth import UsersFileAuthenticator
from tidewire.core.shard import Shard
from tidewire.core.state.limits import IdleTimeouts, Limits
from tidewire.engine.engine import Engine, PollWaiter
from tidewire.http.app import build_application
from tidewire.http.context import Compat, ServerContext, ServerStatus
from tidewire.http.security import Access
from tidewire.observability.log import build_log
from tidewire.observability.log_level import LogControl
from tidewire.replay.strict_reporter import RaisingReporter
from tidewire.replay.virtual_clock import VirtualClock
from tidewire.storage.journal import NullJournal

START = 1_790_000_000.0


class StrictReporter(RaisingReporter):
    """A `Reporter` under which nothing may go wrong, and no time be skipped."""

    def clock_skipped(self, seconds: float) -> None:
        """The clock of a test skips nothing."""
        raise AssertionError(seconds)


@dataclass
class LocalSite:
    """The site and ways to use it."""

    context: ServerContext
    app: ASGIApp
    clock: VirtualClock
    log_stream: io.StringIO

    @property
    def engine(self) -> Engine:
        """The engine behind the routes."""
        return self.context.engine

    @property
    def whole_log(self) -> list[dict[str, Any]]:
        """The entries of the log, with those that are written once a second."""
        self.context.foreign.write(self.context.log, self.engine, self.context.request_ids)
        return [json.loads(line) for line in self.log_stream.getvalue().splitlines()]

    @property
    def log(self) -> list[dict[str, Any]]:
        """The entries that not every request leaves."""
        usual = ("request", "refused", "notice")
        return [entry for entry in self.whole_log if entry["event"] not in usual]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The entries of one kind, without what stands in every entry."""
        left_out = ("event", "timestamp", "level", "request_id")
        return [
            {key: value for key, value in entry.items() if key not in left_out}
            for entry in self.whole_log
            if entry["event"] == event
        ]

    def changed(self, **changes: Any) -> "LocalSite":
        """The same with other members of the `ServerContext`."""
        context = replace(self.context, **changes)
        return LocalSite(context, build_application(context), self.clock, self.log_stream)

    def begin(self, name: str | None, method: str, path: str, **request: Any) -> asgi.Exchange:
        """Begins a request, with a user's credentials if one is named."""
        own = {} if name is None else credentials(name)
        headers = {**own, **request.pop("headers", {})}
        return asgi.begin(self.app, method, path, headers=headers, **request)

    async def ask(self, name: str | None, method: str, path: str, **request: Any) -> Answer:
        """One request to its end."""
        return await self.begin(name, method, path, **request).answer()

    async def internal(self, path: str, **request: Any) -> Answer:
        """A POST with the secret."""
        headers = {"authorization": f"Bearer {SECRET}", **request.pop("headers", {})}
        return await asgi.ask(self.app, "POST", path, headers=headers, **request)

    async def register(self, name: str, **parameters: Any) -> str:
        """Registers a queue and returns its id."""
        answer = await self.ask(name, "POST", "/api/v1/register", form=parameters)
        assert answer.status == 200, answer
        return str(answer.json["queue_id"])

    async def park(self, name: str, queue_id: str, last_event_id: int = -1) -> asgi.Exchange:
        """A poll that waits."""
        query = {"queue_id": queue_id, "last_event_id": last_event_id}
        exchange = self.begin(name, "GET", "/api/v1/events", query=query)
        await asgi.settle()
        assert not exchange.is_answered
        return exchange

    async def events(self, name: str, queue_id: str, last_event_id: int = -1) -> list[dict[str, Any]]:
        """What a queue holds."""
        query = {"queue_id": queue_id, "last_event_id": last_event_id, "dont_block": True}
        answer = await self.ask(name, "GET", "/api/v1/events", query=query)
        assert answer.status == 200, answer
        events: list[dict[str, Any]] = answer.json["events"]
        return events

    async def publish(self, *names: str, **event: Any) -> None:
        """Publishes one event."""
        notice = {"event": event, "users": [USER_IDS[name] for name in names]}
        answer = await self.internal("/api/internal/notices", body=json.dumps(notice).encode())
        assert answer.status == 200, answer


def local_site(directory: Path) -> LocalSite:
    """A site that serves; to be made on a running loop."""
    users = directory / "users.toml"
    users.write_text(users_file(*KEYS))
    clock = VirtualClock(START)
    shard: Shard[PollWaiter] = Shard(limits=Limits())
    numbers = itertools.count()
    stream = io.StringIO()
    control = LogControl("debug")
    context = ServerContext(
        engine=Engine(
            shard=shard,
            journal=NullJournal(),
            clock=clock,
            reporter=StrictReporter(),
            new_queue_id=lambda: f"queue-{next(numbers)}",
            chance=lambda: 0.5,
            call_soon=asyncio.get_running_loop().call_soon,
        ),
        authenticator=UsersFileAuthenticator(path=users),
        access=Access(
            secret=SECRET,
            internal_from=[ip_network("127.0.0.0/8"), ip_network("::1")],
            trusted_proxies=[],
        ),
        idle_timeouts=IdleTimeouts(),
        compat=Compat(version="12.0", feature_level=491, bad_queue_text="zulip-term"),
        lifecycle=ServerStatus(ready=True),
        log=build_log(form="json", level=control, stream=stream),
        log_control=control,
        now=clock.now,
        timer=clock.now,
    )
    return LocalSite(context, build_application(context), clock, stream)
