"""Attackers and victims on each proxy and without one: no answer crosses, nothing closed is reached.

Each form is tried a few times here, and thousands of times by `make attack`.
"""

import contextlib
import time
from pathlib import Path

import pytest

from support.attack_run import AttackRun
from support.doors import DOORS, door
from support.lax_server import lax_server
from support.server_process import SECRET, ServerProcess
from support.smuggling import (
    AIMS,
    CARRIERS,
    CHUNKED,
    FORMS,
    INNER,
    INNER_AUTHORIZATION,
    UPGRADE,
    Carrier,
    chunk,
)

pytestmark = pytest.mark.slow

TRIES = 6
MOST_SECONDS = 60.0


@pytest.mark.parametrize("name", DOORS)
def test_no_answer_crosses_and_nothing_closed_is_reached(
    attacked_server: ServerProcess, tmp_path: Path, name: str
) -> None:
    with door(name, attacked_server.port, tmp_path) as opened:
        until = time.monotonic() + MOST_SECONDS
        outcome = AttackRun(attacked_server, opened, seed=1, tries=TRIES, until=until).run()
    assert outcome.is_clean(), str(outcome)
    assert outcome.answered


@pytest.mark.parametrize("name", ["caddy", "nginx-upgrades"])
def test_a_server_that_reads_the_wire_carelessly_is_found_out(
    attacked_server: ServerProcess, tmp_path: Path, name: str
) -> None:
    """What the attacks are worth: behind a real proxy they get through to a server with a fault."""
    names = [name for name in FORMS if name.startswith("an upgrade")]
    with lax_server(attacked_server.port) as port, door(name, port, tmp_path) as opened:
        outcome = AttackRun(attacked_server, opened, seed=1, tries=20, names=names).run()
    assert outcome.crossed, str(outcome)
    assert outcome.counted, str(outcome)


@pytest.mark.parametrize("pause", [0.0, 0.05], ids=["at once", "apart"])
@pytest.mark.parametrize("aim", AIMS)
def test_a_body_is_no_request_after_one_that_was_held_back(
    attacked_server: ServerProcess, aim: str, pause: float
) -> None:
    """The smallest case: refused before its body came, then the same with an offer to upgrade."""
    carrier, queue_id = CARRIERS[0], attacked_server.register(INNER)
    inner = AIMS[aim].inner(queue_id)
    with attacked_server.connect() as connection:
        first = connection.answer_to(carrier.head(b"Content-Length: %d\r\n" % len(inner)))
        assert first.status == 401
        connection.send(inner)
        connection.send(carrier.head(UPGRADE + b"Content-Length: %d\r\n" % len(inner)))
        time.sleep(pause)
        connection.send(inner)
        attacked_server.publish_event(INNER, type="a")  # which answers a poll
        with contextlib.suppress(OSError):
            connection.end_sending()
        received = connection.rest()
    assert not AIMS[aim].is_answered(received, queue_id)
    assert received.count(b"HTTP/1.1 ") <= 1


TRAILED: dict[str, tuple[bytes, bytes, bytes]] = {
    "an account": (b"GET", b"/api/v1/users/me", INNER_AUTHORIZATION),
    "an account to register": (b"POST", b"/api/v1/register", INNER_AUTHORIZATION),
    "the secret": (b"POST", b"/api/internal/notices", b"Authorization: Bearer %b\r\n" % SECRET.encode()),
    "the secret to read": (
        b"GET",
        b"/api/internal/queues",
        b"Authorization: Bearer %b\r\n" % SECRET.encode(),
    ),
}


@pytest.mark.parametrize("pause", [None, 0.05], ids=["at once", "apart"])
@pytest.mark.parametrize(("method", "target", "line"), TRAILED.values(), ids=TRAILED)
def test_nobody_shows_who_they_are_behind_a_body(
    attacked_server: ServerProcess, method: bytes, target: bytes, line: bytes, pause: float | None
) -> None:
    """Trailers are no headers."""
    request, trailers = Carrier(method, target).head(CHUNKED) + chunk(b"[]"), b"0\r\n%b\r\n" % line
    with attacked_server.connect() as connection:
        if pause is None:
            connection.send(request + trailers)
        else:
            connection.send(request)
            time.sleep(pause)
            connection.send(trailers)
        assert connection.answer().status in (400, 401, 403)


def test_there_are_many_forms() -> None:
    assert len(FORMS) > 200
