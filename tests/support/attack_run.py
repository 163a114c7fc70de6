"""Attackers and victims on one door of a server, at the same time: whose answers get to whom, and what is reached.

Attackers send the forms of `support/smuggling.py`, each on a connection of its own. Victims poll their queues and ask who
they are, over connections that they keep; every answer must be their own. Events are published inside. Afterwards the
server's own counters say whether anybody has reached what is not public.
"""

import asyncio
import contextlib
import itertools
import json
import random
import re
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import uvloop

from support.fast_http import Wire, WireAnswer, own_trust
from support.raw_http import request_bytes
from support.server_process import BEARER, USER_IDS, ServerProcess, credentials, email
from support.smuggling import AIMS, CARRIERS, FORMS, INNER, Delivery, Wait

VICTIMS = ("ada", "botty")

ASKERS = 4
"""Connections over which each victim asks: connections to the server that attackers have spoilt are soon lent to one."""

INNER_QUEUES = 8
"""Queues that inner polls wait on, in turn; the next one's poll answers the one before."""

ANSWER_PATIENCE = 0.25
"""Seconds that an attacker waits for an answer to the first half of a request, which may never come."""

MOMENT = 0.004
"""Seconds at most between two pieces, drawn by chance: what matters is whether the server looks in between."""

QUIET = 0.03
"""Seconds without a byte after which an attacker goes. What it misses is seen by victims and in the counters."""

VICTIM_PATIENCE = 90.0
"""Seconds after which a victim has been forgotten, far more than a busy machine takes."""

RECONNECT_PATIENCE = 60.0

GATEWAY_FAILURES = frozenset({502, 503, 504})
"""What a proxy says when an attacker has ended a connection that was shared: a nuisance, and nobody's answer."""

CLOSED_PATHS = ("/api/internal/", "/api/v1/events/internal", "/metrics", "/console")

EVIDENCE = 20
"""Sentences of each kind that are kept."""

SHOWN = 160


Attack: TypeAlias = tuple[str, str, int, Delivery, str]
"""A form, an aim, a carrier (by its place), a delivery, and a queue of the inner account."""


@dataclass(frozen=True, slots=True)
class Door:
    """A way to the server: its name, its port, and whether a proxy stands there, which speaks TLS."""

    name: str
    port: int
    is_proxy: bool


@dataclass
class AttackOutcome:
    """What a run was like.

    Attributes:
        attacks: how many there were.
        answered: answers that victims got, all told.
        nuisances: requests of victims that a proxy failed, or whose connection ended.
        crossed: how often anybody got what was not theirs.
        reached: how often an attacker read an answer of what is not public.
        counted: how often the server says that what is not public was asked for, by route.
        starved: how often a victim had no answer in time.
        culprits: forms whose attackers have seen the answer themselves, by how often.
        sentences: what was seen, for the first of each.
        seconds: how long it took.
    """

    attacks: int = 0
    answered: int = 0
    nuisances: int = 0
    crossed: int = 0
    reached: int = 0
    starved: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    culprits: Counter[str] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def is_clean(self) -> bool:
        """Whether every answer went to whom it belongs, and nothing closed was reached."""
        return not (self.crossed or self.reached or self.starved or self.counted.total())

    def note(self, sentence: str) -> None:
        """Keeps a sentence, if there are not too many."""
        if len(self.sentences) < EVIDENCE:
            self.sentences.append(sentence)

    def __str__(self) -> str:
        counted = ", ".join(f"{route}: {count}" for route, count in self.counted.most_common())
        head = (
            f"{self.attacks} attacks in {self.seconds:.0f} s; {self.answered} answers to victims,"
            f" {self.nuisances} nuisances; {self.crossed} answers crossed, {self.starved} victims starved,"
            f" {self.reached} answers of closed routes read; counted by the server: {counted or 'none'}"
        )
        forms = [f"  by {name!r}: {count}" for name, count in self.culprits.most_common()]
        return "\n".join([head, *forms, *(f"  {sentence}" for sentence in self.sentences)])


class AttackRun:
    """One run against one door."""

    def __init__(
        self,
        server: ServerProcess,
        door: Door,
        *,
        seed: int,
        tries: int,
        names: Sequence[str] = (),
        attackers: int = 64,
        until: float = float("inf"),
        on_progress: Callable[["AttackRun"], None] | None = None,
    ) -> None:
        """Takes what it needs.

        Args:
            server: the running server.
            door: the way to it.
            seed: repeats the order of attacks.
            tries: of each form.
            names: of the forms; all that make sense at this door when there are none.
            attackers: how many at once.
            until: when to end whatever is left, by `time.monotonic`.
            on_progress: called once a second.
        """
        self.outcome = AttackOutcome()
        self.door = door
        self._server = server
        self._chance = random.Random(seed)
        self._names = [name for name in names or FORMS if door.is_proxy or FORMS[name].is_hidden]
        self._tries = tries
        self._attackers = attackers
        self._until = until
        self._on_progress = on_progress
        self._trust: ssl.SSLContext | None = own_trust() if door.is_proxy else None
        self._secrets: list[bytes] = []
        self._recent: deque[str] = deque(maxlen=12)
        self._is_over = False

    @property
    def planned(self) -> int:
        """How many attacks there are to be."""
        return self._tries * len(self._names)

    def run(self) -> AttackOutcome:
        """Attacks until every form has had its tries, or the time is up."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run())
        return self.outcome

    async def _run(self) -> None:
        began = time.monotonic()
        before = await self._closed_requests()
        inner_queues = [self._server.register(INNER) for _ in range(INNER_QUEUES)]
        queues = {name: self._server.register(name, event_types=["marked"]) for name in VICTIMS}
        self._secrets = [queue_id.encode() for queue_id in queues.values()]
        self._secrets += [b"text-for-%b" % name.encode() for name in VICTIMS]
        plan = self._plan(inner_queues)
        async with asyncio.TaskGroup() as background:
            for name, queue_id in queues.items():
                background.create_task(self._poll(name, queue_id))
                for _ in range(ASKERS):
                    background.create_task(self._ask_who_am_i(name))
            background.create_task(self._publish())
            progress = background.create_task(self._progress())
            try:
                async with asyncio.TaskGroup() as attackers:
                    for _ in range(self._attackers):
                        attackers.create_task(self._attack_in_turn(plan))
            finally:
                self._is_over = True
                progress.cancel()
        await self._count(before)
        for name, queue_id in [*queues.items(), *((INNER, queue_id) for queue_id in inner_queues)]:
            query = {"queue_id": queue_id}
            self._server.ask_as(name, "DELETE", "/api/v1/events", query=query)
        self.outcome.seconds = time.monotonic() - began

    # Attackers.

    def _plan(self, inner_queues: Sequence[str]) -> Iterator[Attack]:
        """Each form as often as it is to be tried, with what it is after, its carrier, delivery, and a queue."""
        aims, deliveries = list(AIMS), list(Delivery)
        queues = itertools.cycle(inner_queues)
        for turn in range(self._tries):
            names = list(self._names)
            self._chance.shuffle(names)
            for name in names:
                carrier = self._chance.randrange(len(CARRIERS))
                aim, delivery = aims[(turn + carrier) % len(aims)], self._chance.choice(deliveries)
                yield name, aim, carrier, delivery, next(queues)

    async def _attack_in_turn(self, plan: Iterator[Attack]) -> None:
        for attack in plan:
            if time.monotonic() > self._until:
                return
            # What breaks off is no failure: most attacks are refused.
            with contextlib.suppress(OSError, ssl.SSLError):
                await self._attack(*attack)
            self.outcome.attacks += 1

    async def _attack(
        self, name: str, aim_name: str, carrier: int, delivery: Delivery, queue_id: str
    ) -> None:
        self._recent.append(name)
        aim = AIMS[aim_name]
        wire = await Wire.connect(self.door.port, self._trust)
        try:
            steps = FORMS[name].steps(CARRIERS[carrier], aim.inner(queue_id))
            for step in delivery.steps(steps):
                if isinstance(step, bytes):
                    wire.send(step)
                elif step is Wait.ANSWER:
                    await wire.answer(ANSWER_PATIENCE)
                else:
                    await asyncio.sleep(self._chance.random() * MOMENT)
            while await wire.more(QUIET):
                pass
        finally:
            if self._chance.random() < 0.5:
                wire.close()
            else:
                wire.reset()
        self._judge(name, aim_name, queue_id, wire.received)

    def _judge(self, name: str, aim_name: str, queue_id: str, received: bytearray) -> None:
        outcome, aim = self.outcome, AIMS[aim_name]
        if any(secret in received for secret in self._secrets):
            outcome.crossed += 1
            outcome.culprits[name] += 1
            outcome.note(f"{name!r} got what is a victim's: {_shown(received)}")
        if not aim.is_answered(received, queue_id):
            return
        if aim.is_internal:
            outcome.reached += 1
        elif not self.door.is_proxy:
            outcome.crossed += 1
        else:
            return  # the proxy has taken it for a request of the attacker's own, and so it may
        outcome.culprits[name] += 1
        outcome.note(f"{name!r} had its inner request for {aim_name} answered")

    # Victims.

    async def _poll(self, name: str, queue_id: str) -> None:
        """Polls; events must be this user's, each once and in order."""
        acknowledged, expected = -1, 0
        wire: Wire | None = None
        while not self._is_over:
            query = {"queue_id": queue_id, "last_event_id": acknowledged}
            request = request_bytes("GET", "/api/v1/events", query=query, headers=credentials(name))
            wire, answer = await self._ask(wire, request)
            if answer is None:
                continue
            events = self._own_events(queue_id, answer)
            if events is None:
                self._crossed(f"a poll of {name}", answer)
                continue
            for event in events:
                acknowledged = event["id"]
                if event["type"] == "heartbeat":
                    continue
                if event["text"] != f"text-for-{name}-{expected}":
                    self._crossed(f"a poll of {name}, which awaits event {expected},", answer)
                expected += 1
        if wire is not None:
            wire.close()

    def _own_events(self, queue_id: str, answer: WireAnswer) -> list[dict[str, Any]] | None:
        """The events of a poll's answer; None when it is no answer to this poll."""
        found = _decoded(answer.body)
        events = found.get("events")
        if answer.status != 200 or found.get("queue_id") != queue_id or not isinstance(events, list):
            return None
        return events

    async def _ask_who_am_i(self, name: str) -> None:
        """Asks again and again, with nothing between, so that a connection to the server is often lent."""
        request = request_bytes("GET", "/api/v1/users/me", headers=credentials(name))
        wire: Wire | None = None
        while not self._is_over:
            wire, answer = await self._ask(wire, request)
            if answer is None:
                continue
            if answer.status != 200 or _decoded(answer.body).get("email") != email(name):
                self._crossed(f"{name}, who asked who that is,", answer)
            await asyncio.sleep(MOMENT)
        if wire is not None:
            wire.close()

    async def _ask(self, wire: Wire | None, request: bytes) -> tuple[Wire | None, WireAnswer | None]:
        """Asks over the connection or a new one; no answer when a proxy could not get one."""
        outcome = self.outcome
        if wire is None or wire.is_closed:
            try:
                async with asyncio.timeout(RECONNECT_PATIENCE):
                    wire = await Wire.connect(self.door.port, self._trust)
            except (OSError, ssl.SSLError):
                outcome.nuisances += 1
                await asyncio.sleep(MOMENT)
                return None, None
        wire.restart()
        answer = await self._awaited(wire, request)
        if answer is None:
            if not wire.is_closed and not self._is_over:
                outcome.starved += 1
                outcome.note(f"a victim had no answer to {_shown(request)}")
            outcome.nuisances += 1
            wire.close()
            return None, None
        outcome.answered += 1
        if answer.status in GATEWAY_FAILURES:
            outcome.nuisances += 1
            return wire, None
        if not wire.is_at_rest():
            self._crossed("a victim, who asked once,", WireAnswer(answer.status, bytes(wire.received)))
        return wire, answer

    async def _awaited(self, wire: Wire, request: bytes) -> WireAnswer | None:
        wire.send(request)
        deadline = time.monotonic() + VICTIM_PATIENCE
        while not wire.answers and not wire.is_closed and time.monotonic() < deadline:
            await wire.more(1.0)
            if self._is_over and not wire.answers:
                # The publisher has ended, and a poll would wait for its heartbeat.
                await wire.more(1.0)
                break
        return wire.answers[0] if wire.answers else None

    def _crossed(self, whose: str, answer: WireAnswer) -> None:
        outcome = self.outcome
        outcome.crossed += 1
        recent = ", ".join(self._recent)
        outcome.note(f"{whose} got {answer.status} {_shown(answer.body)}; last attacks: {recent}")

    async def _publish(self) -> None:
        """Publishes inside, not through the door, a marked event for each victim in turn."""
        wire = await Wire.connect(self._server.port)
        for number in itertools.count():
            if self._is_over:
                break
            notices = [
                {"event": {"type": "marked", "text": f"text-for-{name}-{number}"}, "users": [USER_IDS[name]]}
                for name in VICTIMS
            ]
            body = json.dumps(notices).encode()
            answer = await wire.ask(
                request_bytes("POST", "/api/internal/notices", headers=BEARER, body=body), VICTIM_PATIENCE
            )
            assert answer is not None, "the server took no notice in time"
            assert answer.status == 200, answer
            await asyncio.sleep(0.02)
        wire.close()

    # What the server says.

    async def _closed_requests(self) -> Counter[str]:
        """How often what is not public was asked for; reading it is a request of its own, which it does not yet say."""
        text = self._server.ask("GET", "/metrics").body.decode()
        counted: Counter[str] = Counter()
        pattern = re.compile(r"^tidewire_http_requests_total\{(.*)\} ([0-9.e+]+)$", re.MULTILINE)
        for labels, value in pattern.findall(text):
            found = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            path = next((path for path in found.values() if path.startswith(CLOSED_PATHS)), None)
            is_ours = path == "/api/internal/notices" and "200" in found.values()
            if path is not None and not is_ours:
                counted[path] += int(float(value))
        return counted

    async def _count(self, before: Counter[str]) -> None:
        after = await self._closed_requests()
        after["/metrics"] -= 1  # the reading before
        after.subtract(before)
        self.outcome.counted = +after

    async def _progress(self) -> None:
        while not self._is_over:
            await asyncio.sleep(1.0)
            if self._on_progress is not None:
                self._on_progress(self)


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _shown(received: bytes | bytearray) -> str:
    return repr(bytes(received[-SHOWN:]))
