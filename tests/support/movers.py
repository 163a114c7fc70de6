"""Clients and a publisher that go on whatever becomes of the shards, and know what each client must have got."""

import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from support.raw_http import Answer, Closed, RawConnection, basic, request_bytes
from support.server_process import BEARER, REALM

FIRST_USER = 101
PAUSE = 0.02
"""Seconds until what failed is tried again."""

Ports = Callable[[], Sequence[int]]


def mover_entry(user_id: int) -> str:
    """A user as it stands in the users file."""
    return (
        f'[[user]]\nid = {user_id}\nrealm_id = 1\nemail = "u{user_id}@test.example"\n'
        f'api_key = "{user_id:032d}"\nfull_name = "U{user_id}"\nrole = "member"\n\n'
    )


def movers_file(count: int) -> str:
    """A users file with that many."""
    return REALM + "".join(mover_entry(user_id) for user_id in range(FIRST_USER, FIRST_USER + count))


def credentials_of(user_id: int) -> dict[str, str]:
    """The `Authorization` header of one of them."""
    return {"Authorization": basic(f"u{user_id}@test.example", f"{user_id:032d}")}


class Patient:
    """Asks until there is an answer, at any of the shards; a 5xx is none."""

    def __init__(self, ports: Ports, chance: random.Random) -> None:
        self._ports = ports
        self._chance = chance
        self._connection: RawConnection | None = None
        self.failures: defaultdict[str, int] = defaultdict(int)

    def ask(self, request: bytes, stopped: threading.Event) -> Answer | None:
        """The answer; None when it is time to stop."""
        while not stopped.is_set():
            try:
                if self._connection is None:
                    self._connection = RawConnection(self._chance.choice(self._ports()), timeout=30.0)
                answer = self._connection.answer_to(request)
            except (Closed, OSError) as error:
                self.failures[type(error).__name__] += 1
            else:
                if answer.status < 500:
                    return answer
                self.failures[f"{answer.status}"] += 1
            self.close()
            time.sleep(PAUSE)
        return None

    def close(self) -> None:
        """Lets go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Listener(threading.Thread):
    """A client of one user; `got` is what it has processed, in order."""

    def __init__(self, user_id: int, ports: Ports, *, reconnects: bool, **parameters: Any) -> None:
        super().__init__(daemon=True)
        chance = random.Random(user_id)
        self.user_id = user_id
        self.got: list[int] = []
        self.refusals: list[Answer] = []
        self.stopped = threading.Event()
        self._chance = chance
        self._reconnects = reconnects
        self.asking = Patient(ports, chance)
        form = {"event_types": ["count", "message"], **parameters}
        answer = self._ask("POST", "/api/v1/register", form=form)
        assert answer is not None
        assert answer.status == 200, answer
        self.queue_id = answer.json["queue_id"]

    def _ask(self, method: str, path: str, **request: Any) -> Answer | None:
        raw = request_bytes(method, path, headers=credentials_of(self.user_id), **request)
        return self.asking.ask(raw, self.stopped)

    def run(self) -> None:
        """Polls and acknowledges until it is stopped, or refused."""
        try:
            self._listen()
        finally:
            self.asking.close()

    def _listen(self) -> None:
        last = -1
        while not self.stopped.is_set():
            query = {"queue_id": self.queue_id, "last_event_id": last}
            answer = self._ask("GET", "/api/v1/events", query=query)
            if answer is None:
                return
            if answer.status != 200:
                self.refusals.append(answer)
                return
            for event in answer.json["events"]:
                last = event["id"]
                if event["type"] == "count":
                    self.got.append(event["n"])
                elif event["type"] == "message":
                    self.got.append(event["message"]["id"])
            if self._reconnects and self._chance.random() < 0.2:
                self.asking.close()


class Source(threading.Thread):
    """A publisher of numbered events, one after the other, each until it is confirmed."""

    def __init__(self, users: Sequence[int], ports: Ports, *, batch: int = 3) -> None:
        super().__init__(daemon=True)
        self.expected: defaultdict[int, list[int]] = defaultdict(list)
        self.count = 0
        self.slowest = 0.0
        self.refusals: list[Answer] = []
        self.stopped = threading.Event()
        self.abandoned = threading.Event()
        self._users = users
        self._batch = batch
        self._chance = random.Random(1)
        self.asking = Patient(ports, self._chance)

    def run(self) -> None:
        """Publishes until it is stopped; what it has begun, it ends, unless it is `abandoned`."""
        try:
            self._publish()
        finally:
            self.asking.close()

    def _publish(self) -> None:
        while not self.stopped.is_set():
            notices = [self._notice() for _ in range(self._batch)]
            raw = request_bytes(
                "POST", "/api/internal/notices", headers=BEARER, body=json.dumps(notices).encode()
            )
            began = time.monotonic()
            answer = self.asking.ask(raw, self.abandoned)
            self.slowest = max(self.slowest, time.monotonic() - began)
            if answer is None:
                return
            if answer.status != 200:
                self.refusals.append(answer)
                return

    def _notice(self) -> dict[str, Any]:
        self.count += 1
        users = self._chance.sample(self._users, self._chance.randint(1, min(8, len(self._users))))
        for user_id in users:
            self.expected[user_id].append(self.count)
        return {"id": f"n-{self.count}", "event": {"type": "count", "n": self.count}, "users": users}


def caught_up(source: Source, listeners: Sequence[Listener]) -> bool:
    """Whether all have what they must have got, or one was refused."""
    return any(listener.refusals for listener in listeners) or all(
        len(listener.got) >= len(source.expected[listener.user_id]) for listener in listeners
    )


def check_all(source: Source, listeners: Sequence[Listener]) -> None:
    """Nobody lost an event, got one twice, or in another order, and nobody lost a queue."""
    assert not source.refusals, source.refusals
    for listener in listeners:
        assert not listener.refusals, (listener.user_id, listener.refusals[0])
        assert listener.got == source.expected[listener.user_id], listener.user_id
