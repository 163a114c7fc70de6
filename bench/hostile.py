"""What another user notices of bodies that are made to take long: one family after the other, at 8 MB a second.

Run by itself with a port and the name of a family, it is the attacker: a process of its own, so that the polls that are
timed are not slowed by their own load.
"""

import json
import random
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote, urlencode

from candidates import tidewire
from columns import Figures, print_columns
from processes import LOAD_CORE, pinned
from talking import Talk, as_user, poll_path
from users import SECRET

CONNECTIONS = 8
BYTES_A_SECOND = 1_000_000
"""Of each connection."""

PIECE = 10_000
"""Bytes that a connection sends at a time."""

QUIET, WATCHED, LARGE = 2.0, 5.0, 25.0
"""Seconds in which polls are timed: before the attack, during it, and when a request has 16 MB."""

CALM = 1.0
"""Seconds until an attack has begun, and until all is quiet after one."""

BETWEEN = 0.004
"""Seconds between two polls; each is timed from the moment when it is due, so that what holds the server for a second
delays hundreds of them and not one."""

FEWEST = 3
"""Rounds at least."""

MEGABYTE = 1_000_000
VICTIM, ATTACKER = 1, 2
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
INSIDE = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
NOTICES, NOTIFY, REGISTER = "/api/internal/notices", "/api/internal/notify_tornado", "/api/v1/register"


class Family(NamedTuple):
    """One way to keep a server busy.

    Attributes:
        request: what a connection sends again and again.
        setup: what there is before.
        rate: bytes a second of a connection.
        watched: seconds in which polls are timed: a large request must have come whole.
    """

    request: Callable[[], bytes]
    setup: Callable[[Talk], None] = lambda _: None
    rate: int = BYTES_A_SECOND
    watched: float = WATCHED


def request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A whole request."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        *(f"{name}: {it}" for name, it in headers.items()),
    ]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def notices(body: bytes) -> bytes:
    """A request to publish, of somebody who knows the secret."""
    return request("POST", NOTICES, INSIDE, body)


def registration(**parameters: str) -> bytes:
    """A registration of somebody who has an account."""
    return request("POST", REGISTER, {**FORM, **as_user(ATTACKER)}, urlencode(parameters).encode())


def event(value: bytes, users: bytes = b"[2]") -> bytes:
    """A notice."""
    return b'{"event":{"type":"x","value":%b},"users":%b}' % (value, users)


def message(number: int) -> dict[str, object]:
    """A message to the channel `general`, to everybody who hears it."""
    return {
        "type": "message",
        "realm_id": 1,
        "stream_name": "general",
        "invite_only": False,
        "sender_delivery_email": "a@example.com",
        "sender_avatar_source": "G",
        "sender_avatar_version": 1,
        "sender_email_address_visibility": 1,
        "message_dict": {
            "id": number,
            "sender_id": 1,
            "type": "stream",
            "display_recipient": "general",
            "subject": "t",
            "content": "hello",
            "rendered_content": "<p>hello</p>",
            "sender_email": "a@example.com",
            "client": "website",
            "sender_realm_id": 1,
            "sender_full_name": "A",
            "timestamp": 1,
            "sender_delivery_email": "a@example.com",
            "sender_avatar_source": "G",
            "sender_avatar_version": 1,
            "sender_email_address_visibility": 1,
            "avatar_url": None,
            "sender_is_mirror_dummy": False,
            "recipient_type": 2,
            "recipient_type_id": 1,
            "stream_id": 1,
        },
    }


def hundred_queues(talk: Talk) -> None:
    """100 queues whose narrow has 299 terms, as many as a registration may have, half of them of another spelling."""
    for number in range(100):
        terms = [["channel", "general"], ["stream", "General"]] * 149 + [["topic", f"t{number}"]]
        talk.register(
            10 + number, narrow=json.dumps(terms), all_public_streams="true", event_types='["message"]'
        )


def multipart() -> bytes:
    """A form whose value looks like its boundary, again and again."""
    boundary = b"B" * 69
    value = (b"\r\n--" + boundary) * 14_000
    body = b'--%bC\r\nContent-Disposition: form-data; name="a"\r\n\r\n%b\r\n--%bC--\r\n' % (
        boundary,
        value,
        boundary,
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary.decode()}C", **as_user(ATTACKER)}
    return request("POST", REGISTER, headers, body)


SMALL = b'{"event":{"type":"a"},"users":[]}'
USERS = b",".join(b"%d" % user for user in range(1_000_000, 1_100_000))
FLAGGED = b",".join(b'{"id":%d,"flags":["read"]}' % user for user in range(1_000_000, 1_100_000))

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "a megabyte of %, no login": Family(
            lambda: request("GET", "/api/v1/server_settings", FORM, b"a=" + b"%" * MEGABYTE)
        ),
        "16 MB to notify_tornado, no secret": Family(
            lambda: request("POST", NOTIFY, FORM, b"data=" + b"%" * (16 * MEGABYTE)), watched=LARGE
        ),
        "a megabyte to register, no login": Family(
            lambda: request("POST", REGISTER, FORM, b"a=" + b"%" * MEGABYTE)
        ),
        "16 MB to notify_tornado, a wrong secret": Family(
            lambda: request("POST", NOTIFY, FORM, b"data=" + b"&secret" * (2 * MEGABYTE) + b"&secret=wrong"),
            watched=LARGE,
        ),
        "form of %": Family(
            lambda: request("POST", REGISTER, {**FORM, **as_user(ATTACKER)}, b"a=" + b"%" * MEGABYTE)
        ),
        "form of many fields": Family(
            lambda: request("POST", REGISTER, {**FORM, **as_user(ATTACKER)}, b"a=1&" * (MEGABYTE // 4))
        ),
        "multipart form of half boundaries": Family(multipart),
        "deep JSON in a parameter": Family(lambda: registration(narrow="[" * 300_000)),
        "long narrow": Family(
            lambda: registration(narrow=json.dumps([["topic", f"{number:050d}"] for number in range(999)]))
        ),
        "long list of event types": Family(
            lambda: registration(event_types=json.dumps([f"{number:050d}" for number in range(1000)]))
        ),
        "deep events": Family(
            lambda: notices(b"[" + b",".join([event(b"[" * 90 + b"]" * 90)] * (MEGABYTE // 220)) + b"]")
        ),
        "event of many lists": Family(lambda: notices(event(b"[" + b"[]," * (MEGABYTE // 3) + b"1]"))),
        "wide event": Family(
            lambda: notices(event(b"{" + b",".join(b'"%d":{}' % key for key in range(100_000)) + b"}"))
        ),
        "huge integers": Family(lambda: notices(event(b"1" * MEGABYTE))),
        "100,000 small notices": Family(lambda: notices(b"[" + b",".join([SMALL] * 100_000) + b"]")),
        "100,000 small notices, one a line": Family(lambda: notices(b"\n".join([SMALL] * 100_000))),
        "100,000 small notices, the last one wrong": Family(
            lambda: notices(b"[" + b",".join([SMALL] * 100_000) + b",{}]")
        ),
        "a notice for 100,000 users": Family(lambda: notices(event(b"1", b"[%b]" % USERS))),
        "a message for 100,000 users with flags": Family(
            lambda: notices(
                b'{"event":%b,"users":[%b]}'
                % (json.dumps({**message(1), "stream_name": None}).encode(), FLAGGED)
            )
        ),
        "a notice of 2 MB in a form, the secret last": Family(
            lambda: request(
                "POST",
                NOTIFY,
                FORM,
                b"data="
                + quote(event(b'"' + "ü".encode() * 1_000_000 + b'"')).encode()
                + b"&secret="
                + SECRET.encode(),
            )
        ),
        "messages to 100 queues of 299 terms, 40 a second": Family(
            lambda: notices(json.dumps({"event": message(1), "users": []}).encode()),
            setup=hundred_queues,
            rate=5_000,
        ),
    }
)


def main(*, rounds: int) -> None:
    """Measures and prints."""
    found: dict[str, list[Figures]] = {name: [] for name in FAMILIES}
    for _ in range(max(FEWEST, rounds // 5)):
        for name, family in FAMILIES.items():
            found[name].append(_measured(name, family))
    print_columns("A poll of another user beside bodies that are made to take long", found)


def _measured(name: str, family: Family) -> Figures:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(tidewire("queues.max_per_user=1000").start(folder, 120))
        talk = stack.enter_context(Talk(target.port))
        family.setup(talk)
        poll = poll_path(talk.register(VICTIM), -1, block=False)
        quiet = _timed(talk, poll, QUIET)
        command = pinned([sys.executable, Path(__file__), str(target.port), name], LOAD_CORE)
        attacker = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - our own
        stack.callback(attacker.wait)
        stack.callback(attacker.kill)
        time.sleep(CALM)
        attacked = _timed(talk, poll, family.watched)
        assert attacker.poll() is None, "the attacker ended"
    return {
        "p99 ratio": _p99(attacked) / _p99(quiet),
        "quiet p99 ms": _p99(quiet),
        "p99 ms": _p99(attacked),
        "p50 ms": statistics.median(attacked),
        "longest ms": max(attacked),
    }


def _timed(talk: Talk, poll: str, seconds: float) -> list[float]:
    headers = as_user(VICTIM)
    taken = []
    due = time.perf_counter()
    until = due + seconds
    while due < until:
        time.sleep(max(0.0, due - time.perf_counter()))
        talk.ask("GET", poll, headers)
        taken.append((time.perf_counter() - due) * 1000)
        due += BETWEEN * random.uniform(0.5, 1.5)  # so that polls keep no step with the attack
    return taken


def _p99(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100)[98]


# The attacker.


def attack(port: int, family: Family) -> None:
    """Sends the family's request over and over on all connections, each at its rate, until it is killed."""
    data = memoryview(family.request())
    senders = [_sender(port, data, family.rate) for _ in range(CONNECTIONS)]
    while True:
        due = min(next(sender) for sender in senders)
        time.sleep(max(0.0, min(due - time.monotonic(), 0.01)))


def _sender(port: int, data: memoryview, rate: int) -> Iterator[float]:
    """One connection: does what is due, and says when the next piece is; comes back when it was closed."""
    while True:
        with socket.create_connection(("127.0.0.1", port)) as connection, suppress(OSError):
            connection.setblocking(False)
            due = time.monotonic()
            at = 0
            while True:
                readable, writable, _ = select.select([connection], [connection], [], 0)
                if readable and not connection.recv(65_536):
                    break
                if writable and time.monotonic() >= due:
                    sent = connection.send(data[at : at + PIECE])
                    at = (at + sent) % len(data)
                    due = max(due + sent / rate, time.monotonic() - 1.0)
                yield due if writable else time.monotonic() + 0.005
        yield time.monotonic() + 0.001


if __name__ == "__main__":
    attack(int(sys.argv[1]), FAMILIES[sys.argv[2]])
