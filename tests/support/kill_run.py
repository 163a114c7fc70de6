"""The fault harness: publishers, clients and workers at a real server that is killed at random moments.

One process and one loop drive all of them. Everything random comes from one seed; what the machine does in
between does not, so a seed repeats the plan of a run and not each of its moments.
"""

import asyncio
import contextlib
import json
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias

from support.events import Json
from support.fault_notices import Publisher
from support.oracle import Oracle, OutboxHistory, QueueHistory, Sent
from support.raw_http import basic, request_bytes
from support.server_process import BEARER, REALM, ServerProcess
from support.wire_client import Gone, Link, Pulse, Told
from tidewire.core.notifications.worker_records import EMAIL_QUEUE, MOBILE_QUEUE

SETTINGS = (
    "log.level=warning",
    "storage.snapshot_after_bytes=20000",
    "storage.remember_ids_max=500",
    "queues.heartbeat_min=2",
    "queues.heartbeat_max=4",
)
"""Small snapshots, so that one is taken every few seconds; and heartbeats, which are records too."""

FIRST_USER = 101
"""The sender of the messages is none of the users: nobody is notified of what they wrote."""

Moment: TypeAlias = Literal["any", "snapshot", "start", "begun"]
"""When to kill: at any time; while a snapshot is written; while the server starts; as soon as it has begun a segment."""

MOMENTS: Sequence[Moment] = ("any", "any", "snapshot", "snapshot", "start", "begun")

LOOK_AGAIN = 0.001
"""Seconds between two looks at the state directory."""

NO_SNAPSHOT_WITHIN = 3.0
"""Seconds after which a kill that waits for a snapshot comes without one."""


@dataclass(kw_only=True)
class Outcome:
    """What a run was like."""

    seed: int
    kills: Counter[Moment] = field(default_factory=Counter)
    oracle: Oracle = field(default_factory=Oracle)
    pulse: Pulse = field(default_factory=Pulse)
    seconds: float = 0.0
    stop_code: int = -1
    log: str = ""

    def __str__(self) -> str:
        """Everything in two lines."""
        oracle = self.oracle
        kills = ", ".join(f"{count} {moment}" for moment, count in sorted(self.kills.items()))
        faults = ", ".join(f"{count} {kind}" for kind, count in oracle.counts.items()) or "none"
        return (
            f"seed {self.seed}: {self.kills.total()} kills ({kills}), {oracle.confirmed:,} notices confirmed, "
            f"{oracle.polls:,} answers with {oracle.events:,} events, {self.seconds:.0f} s, "
            f"longest without any answer {self.pulse.longest:.2f} s; faults: {faults}"
        )


async def run(
    folder: Path, *, seed: int, kills: int, users: int, publishers: int = 4, every: float = 1.5
) -> Outcome:
    """Runs until there were so many kills and everything was read; `every` bounds the seconds from start to kill."""
    chance = Random(seed)
    outcome = Outcome(seed=seed)
    server = ServerProcess(folder, *SETTINGS)
    ids = range(FIRST_USER, FIRST_USER + users)
    server.users_path.write_text(_users_file(ids))
    began = time.monotonic()
    harness = _Harness(server, outcome, chance)
    try:
        server.launch()
        await harness.run(ids, publishers, kills, every)
        server.signal(signal.SIGTERM)
        outcome.stop_code = await asyncio.to_thread(server.wait)
    finally:
        server.destroy()
        outcome.seconds = time.monotonic() - began
        outcome.log = server.log
    return outcome


class _Harness:
    """All that takes part in one run."""

    def __init__(self, server: ServerProcess, outcome: Outcome, chance: Random) -> None:
        self._server = server
        self._outcome = outcome
        self._oracle = outcome.oracle
        self._chance = chance
        self._ending = asyncio.Event()

    async def run(self, users: Sequence[int], publishers: int, kills: int, every: float) -> None:
        """From the first registration until everything is read."""
        readers: list[_Client | _Worker] = [_Client(self, user) for user in users]
        readers += [_Worker(self, queue) for queue in (MOBILE_QUEUE, EMAIL_QUEUE)]
        publishing = [
            self._publish(Publisher(number, users, self._random())) for number in range(1, publishers + 1)
        ]
        async with asyncio.TaskGroup() as group:
            polling = [group.create_task(reader.live()) for reader in readers]
            sending = [group.create_task(publish) for publish in publishing]
            await self._kill(kills, every)
            self._ending.set()
            await asyncio.gather(*sending, *polling)
        await asyncio.gather(*(reader.drain() for reader in readers))
        for reader in readers:
            reader.history.check_complete()

    # What takes part.

    def link(self) -> Link:
        """A connection."""
        return Link(self._server.port, self._outcome.pulse)

    def random(self) -> Random:
        """Chance for one participant, so that they don't disturb each other's."""
        return self._random()

    @property
    def oracle(self) -> Oracle:
        """The judge."""
        return self._oracle

    @property
    def ending(self) -> bool:
        """Whether everybody should come to an end."""
        return self._ending.is_set()

    def _random(self) -> Random:
        return Random(self._chance.getrandbits(64))

    async def persist(self, attempt: Callable[[], Awaitable[Told]], chance: Random) -> Told:
        """Tries again until there is an answer other than that the server is away."""
        while True:
            with contextlib.suppress(Gone):
                told = await attempt()
                if told.status != 503:
                    return told
            await asyncio.sleep(chance.uniform(0.01, 0.1))

    async def _publish(self, publisher: Publisher) -> None:
        chance, link = self._random(), self.link()
        while not self.ending:
            batch = publisher.next_batch()
            request = request_bytes(
                "POST",
                "/api/internal/notices",
                headers=BEARER,
                body=json.dumps([notice.body for notice in batch]).encode(),
            )
            for notice in batch:
                self._oracle.sends(notice)
            await self._confirm(batch, request, link, chance)
            await asyncio.sleep(chance.choice([0, 0.01, 0.03]))
        link.close()

    async def _confirm(self, batch: list[Sent], request: bytes, link: Link, chance: Random) -> None:
        told = await self.persist(lambda: link.ask(request), chance)
        if told.status != 200:
            self._oracle.fault("refused", f"{batch[0].notice_id}: {told}")
            return
        for notice in batch:
            self._oracle.confirms(notice)

    # The killer.

    async def _kill(self, kills: int, every: float) -> None:
        chance = self._random()
        link = self.link()
        ready = request_bytes("GET", "/health/ready")
        for _ in range(kills):
            moment = chance.choice(MOMENTS)
            if moment == "start":
                await asyncio.sleep(chance.uniform(0, every))
            elif moment == "begun":
                await self._appears("segment-*", new=True, within=60.0)
            else:
                await self.persist(lambda: link.ask(ready), chance)
                await asyncio.sleep(chance.uniform(0, every))
                if moment == "snapshot":
                    await self._appears("*.draft", new=False, within=NO_SNAPSHOT_WITHIN)
            await asyncio.sleep(chance.choice([0, 0, chance.uniform(0, 0.01)]))
            assert self._server.is_running(), self._server.log
            self._server.signal(signal.SIGKILL)
            self._server.wait()
            self._outcome.kills[moment] += 1
            link.close()
            self._server.launch()
        await self.persist(lambda: link.ask(ready), chance)
        link.close()

    async def _appears(self, pattern: str, *, new: bool, within: float) -> None:
        """Waits for a file, one that was not there before if it must be new."""
        known = set(self._server.state.glob(pattern)) if new else set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not set(self._server.state.glob(pattern)) - known:  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(LOOK_AGAIN)


class _Client:
    """One user's client: registers one queue for good, and polls it in all the ways there are, also bad ones."""

    def __init__(self, harness: _Harness, user: int) -> None:
        self._harness = harness
        self._oracle = harness.oracle
        self._user = user
        self._chance = harness.random()
        self._headers = {"Authorization": basic(_email(user), _key(user))}
        self._link = harness.link()
        self._gone = False
        self._queue_id = ""
        self.history = QueueHistory(self._oracle, "", user)

    async def live(self) -> None:
        """Until the run ends, or the queue is found gone, which must not be."""
        if self._chance.random() < 0.25:
            await asyncio.sleep(self._chance.uniform(0, 20))
        await self._register()
        ways = (self._poll, self._poll, self._poll, self._poll, self._drop, self._poll_twice)
        while not self._harness.ending and not self._gone:
            try:
                await self._chance.choice(ways)()
            except Gone:
                await asyncio.sleep(self._chance.uniform(0.01, 0.1))
        self._link.close()

    async def drain(self) -> None:
        """Reads what is left."""
        told = -2
        while not self._gone and told != self.history.handled:
            told = self.history.handled
            self.history.acknowledges(told)
            request = self._request(told, block=False)
            self._take(await self._ask(request), told)
        self._link.close()

    async def _register(self) -> None:
        form = {"idle_queue_timeout": 604_800, "event_types": _TYPES}
        request = request_bytes("POST", "/api/v1/register", form=form, headers=self._headers)

        async def attempt() -> Told:
            self.history = QueueHistory(self._oracle, "", self._user)
            return await self._link.ask(request)

        told = await self._harness.persist(attempt, self._chance)
        if told.status != 200:
            self._refused(told)
            return
        self._queue_id = self.history.name = told.json["queue_id"]
        self.history.made()

    async def _poll(self) -> None:
        """As a client should, or acknowledging less than it has handled."""
        acknowledged = self._acknowledge()
        self._take(await self._link.ask(self._request(acknowledged)), acknowledged)

    async def _drop(self) -> None:
        """Polls and goes away, before the answer or with it."""
        request = self._request(self._acknowledge(), block=self._chance.random() < 0.5)
        link = self._harness.link()
        try:
            await link.send(request)
            await asyncio.sleep(self._chance.choice([0, 0.001, 0.05]))
        finally:
            link.close()

    async def _poll_twice(self) -> None:
        """Two polls of the one queue: the later takes the place of the other, which ends with nothing (R2.18)."""
        acknowledged = self._acknowledge()
        request = self._request(acknowledged)
        other = self._harness.link()
        first = asyncio.create_task(self._link.ask(request))
        await asyncio.sleep(self._chance.choice([0, 0.01, 0.1]))
        second = asyncio.create_task(other.ask(request))
        try:
            answers = [first, second]
            self._chance.shuffle(answers)
            for answer in answers:
                with contextlib.suppress(Gone):
                    self._take(await answer, acknowledged)
        finally:
            other.close()

    def _acknowledge(self) -> int:
        handled = self.history.handled
        late = self._chance.random() < 0.15
        acknowledged = self._chance.choice(self.history.choices()) if late else handled
        self.history.acknowledges(acknowledged)
        return acknowledged

    async def _ask(self, request: bytes) -> Told:
        return await self._harness.persist(lambda: self._link.ask(request), self._chance)

    def _request(self, acknowledged: int, *, block: bool = True) -> bytes:
        query = {"queue_id": self._queue_id, "last_event_id": acknowledged, "dont_block": not block}
        return request_bytes("GET", "/api/v1/events", query=query, headers=self._headers)

    def _take(self, told: Told, acknowledged: int) -> None:
        if told.status == 200:
            self.history.answered(told.json["events"], acknowledged=acknowledged)
        elif told.status != 503:
            self._refused(told)

    def _refused(self, told: Told) -> None:
        self._gone = True
        gone = told.json.get("code") == "BAD_EVENT_QUEUE_ID"
        self._oracle.fault("re-registration" if gone else "refused", f"user {self._user}: {told}")


class _Worker:
    """A worker that takes one queue of the outbox, and sometimes forgets how far it was."""

    def __init__(self, harness: _Harness, queue: str) -> None:
        self._harness = harness
        self._chance = harness.random()
        self._link = harness.link()
        self._path = f"/api/internal/outbox/{queue}"
        self._acknowledged = 0
        self.history = OutboxHistory(harness.oracle, queue)

    async def live(self) -> None:
        """Until the run ends."""
        while not self._harness.ending:
            with contextlib.suppress(Gone):
                await self._read(self._chance.choice([self._acknowledged, self.history.position]))
                if self._chance.random() < 0.3:
                    await self._acknowledge()
            await asyncio.sleep(self._chance.uniform(0, 0.2))
        self._link.close()

    async def drain(self) -> None:
        """Reads what is left."""
        while await self._harness.persist(self._next, self._chance) != Told(200, {}):
            pass
        self._link.close()

    async def _next(self) -> Told:
        """Nothing any more when the position stays."""
        before = self.history.position
        told = await self._read(before)
        return Told(200, {}) if self.history.position == before else told

    async def _read(self, after: int) -> Told:
        request = request_bytes("GET", self._path, query={"after": after, "limit": 200}, headers=BEARER)
        told = await self._link.ask(request)
        self._check(told)
        if told.status == 200:
            self.history.answered(told.json["records"])
        return told

    async def _acknowledge(self) -> None:
        through = self._chance.randint(self._acknowledged, self.history.position)
        self._acknowledged = through
        request = request_bytes("DELETE", self._path, query={"through": through}, headers=BEARER)
        self._check(await self._link.ask(request))

    def _check(self, told: Told) -> None:
        if told.status not in {200, 503}:
            self._harness.oracle.fault("refused", f"{self._path}: {told}")


_TYPES = ["harness", "message", "update_message_flags", "restart"]


def _email(user: int) -> str:
    return f"user{user}@test.example"


def _key(user: int) -> str:
    return f"{user:032}"


def _users_file(users: Iterable[int]) -> str:
    entries: list[Json] = [
        {"id": user, "realm_id": 1, "email": _email(user), "api_key": _key(user), "full_name": f"User {user}"}
        for user in users
    ]
    lines = [
        "[[user]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
        for entry in entries
    ]
    return REALM + "\n".join(lines)
