"""The memory harness: whatever makes a server keep things, drawn at random, against a budget; then a kill, and a start.

Registrations, notices, bodies that stall, readers that read, and readers that don't. One process and one loop drive all
of them. What is measured is the process: the most memory that it ever took.
"""

import asyncio
import contextlib
import json
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from support.raw_http import basic, request_bytes
from support.server_process import BEARER, REALM, ServerProcess
from support.wire_client import Gone, Link, Pulse

USERS = 60
FIRST_USER = 101

SETTLED = 1.10
"""Times the budget that a process may take beyond its base: what was counted is measured, and memory is in pieces."""

WORKERS = {"register": 2, "publish": 3, "read": 3, "wait": 8, "unread": 6, "stall": 4, "delete": 1}
"""How many of each kind are at work at any time."""

EMOJI = "\N{GRINNING FACE}"


@dataclass(kw_only=True)
class Figures:
    """What a run measured, in bytes.

    Attributes:
        base: of a process that has nothing to do.
        peaks: the most that each process took, from its start to its end.
        done: what clients did, and what they were answered.
        parts: what the budget counted at the end of each process.
    """

    seed: int
    budget: int
    base: int = 0
    peaks: list[int] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    parts: list[dict[str, int]] = field(default_factory=list)
    slowest: float = 0.0

    @property
    def allowed(self) -> int:
        """The most that a process may take."""
        return round(self.base + SETTLED * self.budget)

    def __str__(self) -> str:
        """Everything, for a person."""
        peaks = ", ".join(f"{(peak - self.base) / self.budget:.0%}" for peak in self.peaks)
        done = ", ".join(f"{name} {count:,}" for name, count in sorted(self.done.items()))
        parts = "\n".join(
            ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sorted(each.items()) if size >= 1e5)
            for each in self.parts
        )
        return (
            f"seed {self.seed}: budget {self.budget / 1e6:.0f} MB, base {self.base / 1e6:.0f} MB, the most beyond it "
            f"{peaks} of the budget; slowest health check {self.slowest:.2f} s\n{done}\nMB counted at the end: {parts}"
        )


class Run:
    """One run; see the module."""

    def __init__(self, server: ServerProcess, figures: Figures, chance: Random) -> None:
        self._server = server
        self._figures = figures
        self._chance = chance
        self._queues: dict[str, int] = {}
        self._number = 0

    async def go(self, seconds: float) -> None:
        """Has everybody at work for so long."""
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "register": self._register,
            "publish": self._publish,
            "read": self._read,
            "wait": self._wait,
            "unread": self._leave_unread,
            "stall": self._stall,
            "delete": self._delete,
        }
        tasks = [
            asyncio.create_task(self._again(kinds[kind]))
            for kind, count in WORKERS.items()
            for _ in range(count)
        ]
        tasks.append(asyncio.create_task(self._again(self._look)))
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _again(self, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await act()
            except (Gone, OSError, TimeoutError):
                self._figures.done["broken off"] += 1
                await asyncio.sleep(0.05)

    async def _ask(self, what: str, request: bytes) -> dict[str, object]:
        link = Link(self._server.port, Pulse())
        try:
            told = await link.ask(request)
        finally:
            link.close()
        self._figures.done[f"{what} {told.status}"] += 1
        if told.status == 503:
            await asyncio.sleep(0.1)
        return told.json if told.status == 200 else {}

    # What clients do.

    async def _register(self) -> None:
        chance, user = self._chance, self._any_user()
        terms = chance.choice((0, 0, 1, 5, 40, 100, 900))
        wide = chance.choice(("", "", EMOJI))
        narrow = [
            ["topic", f"{number} {chance.random()} {wide}" + "x" * chance.randrange(200)]
            for number in range(terms)
        ]
        form: dict[str, object] = {"idle_queue_timeout": 3600}
        if narrow:
            form["narrow"] = narrow
        if chance.random() < 0.2:
            form["event_types"] = [
                "deploy",
                *(f"type {chance.random()}" for _ in range(chance.randrange(50))),
            ]
        request = request_bytes("POST", "/api/v1/register", form=form, headers=login(user))
        answer = await self._ask("register", request)
        if "queue_id" in answer:
            self._queues[str(answer["queue_id"])] = user
        await asyncio.sleep(chance.random() * 0.1)

    async def _publish(self) -> None:
        chance = self._chance
        notices = []
        for _ in range(chance.randrange(1, 20)):
            self._number += 1
            text = "x" * round(10 ** chance.uniform(1, 5.2))
            count = chance.choice((1, 1, 3, USERS))
            users = chance.sample(range(FIRST_USER, FIRST_USER + USERS), count)
            one: dict[str, object] = {"event": {"type": "deploy", "text": text}, "users": users}
            if chance.random() < 0.8:
                one["id"] = f"notice {self._number} " + "y" * chance.randrange(100)
            notices.append(one)
        await self._ask("publish", publish_bytes(json.dumps(notices).encode()))
        await asyncio.sleep(chance.random() * 0.05)

    async def _read(self) -> None:
        queue_id, user = self._any_queue()
        link = Link(self._server.port, Pulse())
        last = -1
        try:
            for _ in range(self._chance.randrange(1, 30)):
                told = await link.ask(poll_bytes(queue_id, user, last, block=False))
                self._figures.done[f"poll {told.status}"] += 1
                if told.status != 200:
                    self._queues.pop(queue_id, None)
                    break
                if not told.json["events"]:
                    break
                last = told.json["events"][-1]["id"]
        finally:
            link.close()
        await asyncio.sleep(0.02)

    async def _wait(self) -> None:
        queue_id, user = self._any_queue()
        link = Link(self._server.port, Pulse())
        try:
            await link.send(poll_bytes(queue_id, user, -1, block=True))
            await asyncio.sleep(self._chance.random() * 2)
        finally:
            link.close()

    async def _leave_unread(self) -> None:
        """Several connections at once that ask for all that a queue has, and read nothing of it."""
        left: list[socket.socket] = []
        loop = asyncio.get_running_loop()
        try:
            for _ in range(self._chance.randrange(1, 40)):
                queue_id, user = self._any_queue()
                one = socket.socket()
                left.append(one)
                one.setblocking(False)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                await loop.sock_connect(one, ("127.0.0.1", self._server.port))
                await loop.sock_sendall(one, poll_bytes(queue_id, user, -1, block=False))
                self._figures.done["left unread"] += 1
            await asyncio.sleep(self._chance.random() * 5)
        finally:
            for one in left:
                one.close()

    async def _stall(self) -> None:
        """Bodies of which a part comes, and then nothing."""
        links = [Link(self._server.port, Pulse()) for _ in range(self._chance.randrange(1, 10))]
        try:
            for link in links:
                size = self._chance.randrange(100_000, 10_000_000)
                if self._chance.random() < 0.5:
                    whole = publish_bytes(b"[" + b" " * size)
                else:
                    form = {"narrow": "x" * min(size, 1_000_000)}
                    headers = login(self._any_user())
                    whole = request_bytes("POST", "/api/v1/register", form=form, headers=headers)
                with contextlib.suppress(Gone, TimeoutError):
                    async with asyncio.timeout(3):
                        await link.send(whole[: -self._chance.randrange(1, len(whole) // 2)])
                self._figures.done["stalled"] += 1
            await asyncio.sleep(self._chance.random() * 3)
        finally:
            for link in links:
                link.close()

    async def _delete(self) -> None:
        if len(self._queues) > 50:
            queue_id, user = self._any_queue()
            del self._queues[queue_id]
            form = {"queue_id": queue_id}
            request = request_bytes("DELETE", "/api/v1/events", form=form, headers=login(user))
            await self._ask("delete", request)
        await asyncio.sleep(0.5)

    async def _look(self) -> None:
        """How long others have to wait meanwhile."""
        began = time.monotonic()
        await self._ask("health", request_bytes("GET", "/health/live"))
        self._figures.slowest = max(self._figures.slowest, time.monotonic() - began)
        await asyncio.sleep(0.2)

    def _any_user(self) -> int:
        return self._chance.randrange(FIRST_USER, FIRST_USER + USERS)

    def _any_queue(self) -> tuple[str, int]:
        if not self._queues:
            raise Gone
        return self._chance.choice(list(self._queues.items()))


def login(user: int) -> dict[str, str]:
    """The credentials of a user."""
    return {"Authorization": basic(f"user{user}@test.example", f"{user:032}")}


def poll_bytes(queue_id: str, user: int, last: int, *, block: bool) -> bytes:
    """A poll."""
    query = {"queue_id": queue_id, "last_event_id": last, "dont_block": not block}
    return request_bytes("GET", "/api/v1/events", query=query, headers=login(user))


def publish_bytes(body: bytes) -> bytes:
    """A request to publish."""
    return request_bytes("POST", "/api/internal/notices", body=body, headers=BEARER)


def users_file() -> str:
    """All users."""
    entry = '[[user]]\nid = {0}\nrealm_id = 1\nemail = "user{0}@test.example"\napi_key = "{0:032}"\nfull_name = "U"\nrole = "member"\n'
    return REALM + "\n".join(entry.format(user) for user in range(FIRST_USER, FIRST_USER + USERS))


async def run(folder: Path, *, seed: int, seconds: float, budget: int, kills: int = 1) -> Figures:
    """Runs for so long, with so many kills spread over it and a last one at the end, after which it starts once more."""
    figures = Figures(seed=seed, budget=budget)
    chance = Random(seed)
    server = ServerProcess(
        folder,
        f"queues.memory_budget={budget}",
        "log.level=warning",
        "storage.snapshot_after_bytes=20000000",
        "limits.request_deadline=5",
        "limits.write_deadline=10",
        "queues.max_per_user=0",
    )
    server.users_path.write_text(users_file())
    try:
        server.start()
        figures.base = server.resident("VmRSS")
        work = Run(server, figures, chance)
        for _ in range(kills):
            await work.go(seconds / kills)
            figures.peaks.append(server.resident("VmHWM"))
            figures.parts.append(parts(server))
            server.signal(signal.SIGKILL)
            server.wait()
            server.start()
        figures.peaks.append(server.resident("VmHWM"))
        figures.parts.append(parts(server))
        assert server.stop() == 0, server.log
    finally:
        server.destroy()
    assert "Traceback" not in server.log, server.log
    return figures


def parts(server: ServerProcess) -> dict[str, int]:
    """What the budget counts now, by what it is for."""
    text = server.ask("GET", "/metrics").body.decode()
    found = re.findall(r'tidewire_memory_part_bytes\{part="(\w+)"\} (\S+)', text)
    used = re.findall(r"^tidewire_memory_used_bytes (\S+)", text, re.MULTILINE)
    return {**{name: round(float(size)) for name, size in found}, "used": round(float(used[0]))}
