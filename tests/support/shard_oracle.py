"""The harness of several shards: many clients behind nginx, publishers by every way, and something that happens to the service.

What was confirmed to a publisher must reach each client it was for once and in order, and nobody may have to register
again. `support.oracle` is the judge. One loop drives all but the published clients, which have a process.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

from support import published_readers
from support.broker import NOTIFICATIONS
from support.fault_notices import Publisher
from support.oracle import NEVER, Oracle, QueueHistory, Sent, items_of
from support.raw_http import basic, request_bytes
from support.reader_process import ReaderProcess
from support.server_process import BEARER
from support.shard_service import EvenQueues, ShardService, email, key
from support.wire_client import Gone, Link, Pulse, Told
from tidewire.publisher import AsyncPublisher, PublishFailed, ShardQueues

Way: TypeAlias = Literal["http", "amqp"]
"""How a publisher publishes: to a shard, the next one when that is away, which splits notices; or straight into the
shards' queues on the broker, split by the publisher."""

FIRST_USER = 101
"""The sender of the messages is none of the users: nobody is notified of what they wrote."""

PUBLISHED = ("zulip", "zulip", "zulip", "sync", "sync", "async")
"""Clients as people use them; each is a user of its own."""

BEAT = 1.2
"""Seconds between two requests of one publisher: with four of them a client is due an event every 0.3 s."""

LEAST_BATCHES = 5
"""Of each publisher, however slow the machine is: so each client has more than ten events to judge."""

QUIET = 1.5
"""Seconds of ordinary traffic before and after what happens."""

READ_WITHIN = 90.0
"""Seconds for everything to be read at the end: the clients' own waits after a failure grow long."""

AWAY = frozenset({0, 500, 502, 503, 504})
TYPES = ["harness", "message", "update_message_flags", "restart"]


@dataclass(kw_only=True)
class Course:
    """What a run was like.

    Attributes:
        late: by way and kind of client, the longest from a notice's first sending to its receipt, in seconds.
        gaps: the longest that a client of ours went without an event, by what just happened when it began or ended.
        failed: how many requests of clients of ours failed and were repeated.
    """

    name: str
    seed: int
    oracle: Oracle = field(default_factory=Oracle)
    late: dict[tuple[Way, str], float] = field(default_factory=lambda: defaultdict(float))
    gaps: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    failed: int = 0
    clients: int = 0
    seconds: float = 0.0

    @property
    def gap(self) -> float:
        """The longest of all."""
        return max(self.gaps.values(), default=0.0)

    def __str__(self) -> str:
        """Everything in two lines."""
        oracle = self.oracle
        faults = ", ".join(f"{count} {kind}" for kind, count in oracle.counts.items()) or "none"
        late = ", ".join(f"{kind} {way} {longest:.2f}" for (way, kind), longest in sorted(self.late.items()))
        gaps = ", ".join(f"{doing or 'quiet'} {longest:.2f}" for doing, longest in self.gaps.items())
        return (
            f"{self.name} (seed {self.seed}): {self.clients} clients, {oracle.confirmed:,} notices confirmed, "
            f"{oracle.events:,} events, {self.failed:,} requests repeated, {self.seconds:.0f} s; faults: {faults}\n"
            f"  longest gap of a client, in s: {gaps}; longest from sending to receipt, in s: {late}"
        )


async def run(
    service: ShardService,
    happens: Callable[[ShardService], None],
    *,
    name: str,
    seed: int,
    folder: Path,
    clients: int = 300,
    ways: Sequence[Way] = ("http", "http", "amqp", "amqp"),
    shard_queues: ShardQueues | None = None,
) -> Course:
    """Runs until what happens is over and everything was read.

    Args:
        service: a running service with the users `users_of(clients)`.
        happens: something to a service; called on a thread.
        name: of that.
        seed: of the plan.
        folder: an empty one.
        clients: how many of ours.
        ways: one for each publisher.
        shard_queues: where publishers on the broker put notices; by the map at the start if not given.
    """
    course = Course(name=name, seed=seed, clients=clients + len(PUBLISHED))
    began = time.monotonic()
    queues = shard_queues or EvenQueues([service.ports[index] for index in service.serving])
    await _Harness(service, course, folder).run(happens, clients, ways, queues)
    course.seconds = time.monotonic() - began
    return course


def users_of(clients: int) -> range:
    """The users of a run with so many clients of ours."""
    return range(FIRST_USER, FIRST_USER + clients + len(PUBLISHED))


class _Harness:
    """All that takes part in one run."""

    def __init__(self, service: ShardService, course: Course, folder: Path) -> None:
        self.service = service
        self.course = course
        self.chance = Random(course.seed)
        self.first_sent: dict[tuple[tuple[int, str], int], float] = {}
        self.publishers: dict[int, Way] = {}
        self._folder = folder
        self._over = asyncio.Event()

    async def run(
        self,
        happens: Callable[[ShardService], None],
        clients: int,
        ways: Sequence[Way],
        queues: ShardQueues,
    ) -> None:
        users = users_of(clients)
        readers = [_Client(self, user) for user in users[:clients]]
        published = _Published(self, users[clients:])
        # No publisher is another run's too: the service would know its notices.
        first = self.service.new_publishers(len(ways))
        with published.running(self._folder):
            await asyncio.gather(*(reader.register() for reader in readers))
            await asyncio.to_thread(published.await_registered)
            async with asyncio.TaskGroup() as group:
                reading = [group.create_task(reader.live()) for reader in readers]
                sending = [
                    group.create_task(
                        self._publish(way, Publisher(first + number, users, self.random()), queues)
                    )
                    for number, way in enumerate(ways)
                ]
                await asyncio.sleep(QUIET)
                await asyncio.to_thread(happens, self.service)
                self.service.doing = ""
                await asyncio.sleep(QUIET)
                self._over.set()
                await asyncio.gather(*sending)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(READ_WITHIN):
                        await asyncio.gather(*reading)
                for task in reading:
                    task.cancel()
            await asyncio.to_thread(published.finish)
        for reader in readers:
            await reader.leave()
            reader.history.check_complete()
        await asyncio.to_thread(self._check_notifications)

    def random(self) -> Random:
        """Chance for one participant, so that they don't disturb each other's."""
        return Random(self.chance.getrandbits(64))

    @property
    def numbers(self) -> frozenset[int]:
        """The publishers'."""
        return frozenset(self.publishers)

    # Publishing.

    async def _publish(self, way: Way, publisher: Publisher, queues: ShardQueues) -> None:
        chance = self.random()
        self.publishers[publisher.number] = way
        send = _over_http(self.service, chance) if way == "http" else _over_amqp(self.service, queues)
        async with send as confirm:
            await asyncio.sleep(chance.uniform(0, BEAT))
            batches = 0
            while not self._over.is_set() or batches < LEAST_BATCHES:
                batches += 1
                await self._send([publisher.for_everybody(), *publisher.next_batch()], confirm)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), BEAT)
            # Behind it nothing comes of this publisher: who has it has all.
            await self._send([publisher.for_everybody(last=True)], confirm)

    async def _send(self, batch: list[Sent], confirm: Callable[[list[Sent]], Awaitable[str | None]]) -> None:
        oracle = self.course.oracle
        for notice in batch:
            oracle.sends(notice)
            for number in notice.numbers:
                self.first_sent[notice.stream, number] = time.monotonic()
        refusal = await confirm(batch)
        if refusal is not None:
            oracle.fault("refused", f"{batch[0].notice_id}: {refusal}")
            return
        for notice in batch:
            oracle.confirms(notice)

    # What was received.

    def received(self, kind: str, event: dict[str, Any], at: float) -> None:
        """Somebody was told of an event."""
        for stream, number in items_of(event):
            sent = self.first_sent.get((stream, number))
            way = self.publishers.get(stream[0])
            if sent is not None and way is not None:
                self.course.late[way, kind] = max(self.course.late[way, kind], at - sent)

    def _check_notifications(self) -> None:
        """Each confirmed message notified each of its readers once; a repetition has the same id (D6)."""
        oracle = self.course.oracle
        wanted = {
            (user, number)
            for notice in oracle.sent
            if notice.notifies and notice.confirmed_at != NEVER
            for user in notice.users
            for number in notice.numbers
        }
        for queue in NOTIFICATIONS:
            found: dict[str, tuple[int, int]] = {}
            deadline = time.monotonic() + READ_WITHIN
            while time.monotonic() < deadline:
                for properties, body in self.service.broker.take(queue):
                    record = json.loads(body)
                    found[properties.message_id] = (record["user_profile_id"], record["message_id"])
                if wanted <= set(found.values()):
                    break
                time.sleep(0.1)
            for pair in wanted - set(found.values()):
                oracle.fault("lost", f"{queue}: {pair}")
            for pair in wanted:
                if list(found.values()).count(pair) > 1:
                    oracle.fault("duplicate", f"{queue}: {pair}")


@contextlib.asynccontextmanager
async def _over_http(service: ShardService, chance: Random) -> Any:
    """A publisher that knows all shards, and goes to another when one is away."""
    links = [Link(port, Pulse()) for port in service.ports]
    turn = chance.randrange(len(links))

    async def confirm(batch: list[Sent]) -> str | None:
        nonlocal turn
        body = json.dumps([notice.body for notice in batch]).encode()
        request = request_bytes("POST", "/api/internal/notices", headers=BEARER, body=body)
        while True:
            with contextlib.suppress(Gone):
                told = await links[service.serving[turn % len(service.serving)]].ask(request)
                if told.status not in AWAY:
                    return None if told.status == 200 else str(told)
            turn += 1
            await asyncio.sleep(chance.uniform(0.02, 0.1))

    try:
        yield confirm
    finally:
        for link in links:
            link.close()


@contextlib.asynccontextmanager
async def _over_amqp(service: ShardService, queues: ShardQueues) -> Any:
    """The publisher that applications use, at the broker."""
    async with AsyncPublisher(service.broker.url, shards=queues, retry_for=60) as publisher:

        async def confirm(batch: list[Sent]) -> str | None:
            try:
                await publisher.send([notice.body for notice in batch])
            except PublishFailed as failure:
                return str(failure)
            return None

        yield confirm


class _Client:
    """One user's client: as honest as they come. It acknowledges what it was told, and repeats what failed."""

    def __init__(self, harness: _Harness, user: int) -> None:
        self.history = QueueHistory(harness.course.oracle, "", user)
        self._harness = harness
        self._user = user
        self._chance = harness.random()
        self._headers = {"Authorization": basic(email(user), key(user))}
        self._link = Link(harness.service.port, Pulse())
        self._last: set[int] = set()
        self._heard: tuple[float, str] | None = None
        self._gone = False

    async def register(self) -> None:
        """Makes the one queue."""
        form = {"idle_queue_timeout": 604_800, "event_types": TYPES}
        request = request_bytes("POST", "/api/v1/register", form=form, headers=self._headers)
        while True:
            told = await self._ask(request)
            if told.status not in AWAY:
                break
        assert told.status == 200, told
        self.history.name = told.json["queue_id"]
        self.history.made()

    async def live(self) -> None:
        """Until there is nothing more to come, or the queue is found gone, which must not be."""
        while not self._gone and not (self._harness.numbers and self._last >= self._harness.numbers):
            acknowledged = self.history.handled
            self.history.acknowledges(acknowledged)
            self._take(await self._ask(self._poll(acknowledged)), acknowledged)
        self.history.acknowledges(self.history.handled)

    async def leave(self) -> None:
        """Ends the queue, and the connection."""
        if not self._gone:
            query = {"queue_id": self.history.name}
            await self._ask(request_bytes("DELETE", "/api/v1/events", query=query, headers=self._headers))
        self._link.close()

    def _poll(self, acknowledged: int) -> bytes:
        query = {"queue_id": self.history.name, "last_event_id": acknowledged}
        return request_bytes("GET", "/api/v1/events", query=query, headers=self._headers)

    async def _ask(self, request: bytes) -> Told:
        told = Told(0, {})
        try:
            told = await self._link.ask(request)
        except Gone:
            pass
        except TimeoutError:
            missing = self._harness.numbers - self._last
            self._harness.course.oracle.fault("lost", f"user {self._user}: the poll hangs; without {missing}")
            self._link.close()
        if told.status in AWAY:
            self._harness.course.failed += 1
            await asyncio.sleep(self._chance.uniform(0.05, 0.15))
        return told

    def _take(self, told: Told, acknowledged: int) -> None:
        if told.status == 200:
            events = told.json["events"]
            self.history.answered(events, acknowledged=acknowledged)
            self._note(events)
        elif told.status not in AWAY:
            self._gone = True
            gone = told.json.get("code") == "BAD_EVENT_QUEUE_ID"
            kind: Literal["re-registration", "refused"] = "re-registration" if gone else "refused"
            self._harness.course.oracle.fault(kind, f"user {self._user}: {told}")

    def _note(self, events: Sequence[dict[str, Any]]) -> None:
        now = time.monotonic()
        if events:
            doing = self._harness.service.doing
            if self._heard is not None:
                gaps, (before, began) = self._harness.course.gaps, self._heard
                for during in (doing, began):
                    gaps[during] = max(gaps[during], now - before)
            self._heard = now, doing
        for event in events:
            self._harness.received("raw", event, now)
            if event.get("last"):
                self._last.add(event["publisher"])


class _Published:
    """The published clients: a process of their own, whose lines are judged at the end."""

    def __init__(self, harness: _Harness, users: Sequence[int]) -> None:
        self._harness = harness
        self._kinds = {email(user): kind for user, kind in zip(users, PUBLISHED, strict=True)}
        self._histories = {email(user): QueueHistory(harness.course.oracle, "", user) for user in users}
        self._who = [f"{kind}:{email(user)}:{key(user)}" for user, kind in zip(users, PUBLISHED, strict=True)]
        self._process: ReaderProcess | None = None

    @contextlib.contextmanager
    def running(self, folder: Path) -> Any:
        """Runs them for the time of the block."""
        url = f"http://127.0.0.1:{self._harness.service.port}"
        program = [sys.executable, published_readers.__file__, url, ",".join(TYPES), *self._who]
        with ReaderProcess(program, folder) as self._process:
            yield

    def await_registered(self) -> None:
        """Waits until all have their queues."""
        assert self._process is not None
        self._process.wait_for(len(self._who))
        for history in self._histories.values():
            history.made()

    def finish(self) -> None:
        """Waits until all have everything, and judges."""
        assert self._process is not None
        deadline = time.monotonic() + READ_WITHIN
        while time.monotonic() < deadline and not self._are_done(self._process.lines):
            time.sleep(0.2)
        lines = self._process.lines
        for name, history in self._histories.items():
            self._judge(history, [line for line in lines if line["email"] == name])

    def _are_done(self, lines: Sequence[dict[str, Any]]) -> bool:
        ended = [line for line in lines if line.get("event", {}).get("last")]
        numbers = self._harness.numbers
        return len([line for line in ended if line["event"]["publisher"] in numbers]) >= len(numbers) * len(
            self._who
        )

    def _judge(self, history: QueueHistory, lines: Sequence[dict[str, Any]]) -> None:
        registrations = 0
        for line in lines:
            if "event" in line:
                acknowledged = history.handled
                history.acknowledges(acknowledged)
                history.answered([line["event"]], acknowledged=acknowledged)
                self._harness.received(line["kind"], line["event"], line["at"])
            else:
                registrations += 1
                if registrations > 1:
                    self._harness.course.oracle.fault("re-registration", str(line))
        history.acknowledges(history.handled)
        history.check_complete()
