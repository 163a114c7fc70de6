"""Peers that send slowly, stop in the middle, do not read, or hang up by half: each costs a bounded time and nobody else.

What holds for a new connection must hold for one that has had requests before, of whatever kind.
"""

import contextlib
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.raw_http import Closed, RawConnection, request_bytes
from support.server_process import ServerProcess, StartServer, credentials, poll_bytes
from support.waiting import eventually

pytestmark = pytest.mark.slow

SHORT = ("limits.header_deadline=1", "limits.request_deadline=1", "limits.write_deadline=1")

TRICKLE_EVERY = 0.05
PATIENCE = 60.0
"""Seconds in which whoever is slow must have been cut off; a busy machine takes some of the time."""

LIVE = request_bytes("GET", "/health/live")
ME = request_bytes("GET", "/api/v1/users/me", headers=credentials("ada"))
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
REGISTER = b"POST /api/v1/register HTTP/1.1\r\nHost: x\r\n" + FORM
AUTH = f"Authorization: {credentials('ada')['Authorization']}\r\n".encode()
CHUNKED = REGISTER + AUTH + b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED_CHUNKS = REGISTER + b"Transfer-Encoding: chunked\r\n\r\n"


def nothing_before(_connection: RawConnection) -> None:
    """A new connection."""


def an_ordinary_request(connection: RawConnection) -> None:
    assert connection.answer_to(ME).status == 200


def a_lane_request(connection: RawConnection) -> None:
    """A poll, which is answered in the shortest way."""
    query = {"queue_id": "none", "last_event_id": -1}
    assert connection.answer_to(
        request_bytes("GET", "/api/v1/events", query=query, headers=credentials("ada"))
    )


def a_body_held_back(connection: RawConnection) -> None:
    answer = connection.answer_to(REGISTER + b"Content-Length: 3\r\n\r\n")
    assert answer.status == 401
    if answer.headers.get("connection") == "close":
        connection.reconnect()
    else:
        connection.send(b"a=b")


def a_chunked_request(connection: RawConnection) -> None:
    assert connection.answer_to(CHUNKED + b"3\r\na=b\r\n0\r\n\r\n").status == 200


def an_expectation(connection: RawConnection) -> None:
    head = REGISTER + AUTH + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    connection.send(head)
    connection.send(b"a=b")
    assert connection.answer().status == 200


def requests_at_once(connection: RawConnection) -> None:
    connection.send(ME + LIVE + ME)
    assert [connection.answer().status for _ in range(3)] == [200] * 3


BEFORE: tuple[Callable[[RawConnection], None], ...] = (
    nothing_before,
    an_ordinary_request,
    a_lane_request,
    a_body_held_back,
    a_chunked_request,
    an_expectation,
    requests_at_once,
)

before = pytest.mark.parametrize("before", BEFORE, ids=lambda made: made.__name__)


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that waits for a second, and no longer."""
    server = ServerProcess(tmp_path_factory.mktemp("hurried"), "log.level=warning", *SHORT)
    server.start()
    try:
        yield server
        assert server.is_running(), server.log
        assert server.stop() == 0, server.log
        assert "Traceback" not in server.log, server.log
    finally:
        server.destroy()


def trickle(connection: RawConnection, byte: Callable[[int], bytes]) -> bytes:
    """Sends a little again and again until the connection is closed, and returns what came meanwhile."""
    received = b""
    for number in range(int(PATIENCE / TRICKLE_EVERY)):
        connection.send(byte(number))
        with contextlib.suppress(TimeoutError):
            return received + connection.rest(within=TRICKLE_EVERY)
    raise TimeoutError(f"still open after {PATIENCE} s")


SLOW: dict[str, tuple[bytes, Callable[[int], bytes]]] = {
    "a head without an end": (b"GET /health/live HTTP/1.1\r\nHost: x\r\n", lambda _: b""),
    "a head byte by byte": (b"", lambda n: LIVE[n : n + 1] if n < 20 else b"x"),
    "a header for ever": (b"GET /health/live HTTP/1.1\r\nHost: x\r\nA: ", lambda _: b"b"),
    "header after header": (b"GET /health/live HTTP/1.1\r\nHost: x\r\n", lambda n: b"A%d: b\r\n" % (n % 9)),
    "the head of a poll": (poll_bytes("ada", "none")[:-2], lambda _: b""),
    "the head of a publisher": (b"POST /api/internal/notices HTTP/1.1\r\nHost: x\r\n", lambda _: b""),
    "a target byte by byte": (b"GET /", lambda _: b"x"),
    "half a line end": (LIVE[:-1], lambda _: b""),
    "a body that does not come": (REGISTER + AUTH + b"Content-Length: 9\r\n\r\na", lambda _: b""),
    "a body byte by byte": (REGISTER + AUTH + b"Content-Length: 9999\r\n\r\n", lambda _: b"a"),
    "chunk after chunk": (CHUNKED, lambda _: b"1\r\na\r\n"),
    "a chunk's size without an end": (CHUNKED, lambda _: b"0"),
    "a chunk's extension without an end": (CHUNKED + b"1;", lambda _: b"a"),
    "trailer after trailer": (
        CHUNKED + b"0\r\n",
        lambda n: b"A%d: b\r\n" % (n % 9),
    ),
    "a refused body byte by byte": (REGISTER + b"Content-Length: 99999\r\n\r\n", lambda _: b"a"),
    "a refused body in chunks": (REFUSED_CHUNKS, lambda _: b"1\r\na\r\n"),
    "an upgrade's body": (
        REGISTER + AUTH + b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 9\r\n\r\n",
        lambda _: b"",
    ),
}


def is_cut_off(
    server: ServerProcess,
    before: Callable[[RawConnection], None],
    head: bytes,
    byte: Callable[[int], bytes],
) -> bool:
    """Whether the server ends such a connection, and doesn't answer as if the request were whole."""
    with RawConnection(server.port) as connection:
        before(connection)
        connection.send(head)
        try:
            return b" 200 OK" not in trickle(connection, byte)
        except TimeoutError:
            return False


@before
def test_who_is_slow_is_cut_off(hurried: ServerProcess, before: Callable[[RawConnection], None]) -> None:
    """All at the same time, as nearly all of it is waiting."""
    with ThreadPoolExecutor(len(SLOW)) as pool:
        cut_off = pool.map(lambda slow: is_cut_off(hurried, before, *slow), SLOW.values())
    assert [name for name, is_cut in zip(SLOW, cut_off, strict=True) if not is_cut] == []


@before
@pytest.mark.parametrize("end", [b"", b" HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["without an end", "whole"])
def test_a_target_is_bounded(
    attacked_server: ServerProcess, before: Callable[[RawConnection], None], end: bytes
) -> None:
    with RawConnection(attacked_server.port) as connection:
        before(connection)
        connection.send(b"GET /health/live?" + b"x" * 100_000 + end)
        assert connection.answer().status == 414
        assert connection.is_closed()


@before
def test_a_head_is_bounded(attacked_server: ServerProcess, before: Callable[[RawConnection], None]) -> None:
    with RawConnection(attacked_server.port) as connection:
        before(connection)
        connection.send(b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000)
        assert connection.answer().status == 431
        assert connection.is_closed()


def connections(server: ServerProcess) -> int:
    """How many the server has, this request's not counted."""
    text = server.ask("GET", "/metrics").body.decode()
    found = re.search(r"^tidewire_http_connections ([0-9.]+)$", text, re.MULTILINE)
    assert found is not None
    return int(float(found[1])) - 1


def test_who_does_not_read_is_cut_off_and_loses_no_event(start_server: StartServer) -> None:
    server = start_server("log.level=warning", *SHORT)
    queue_id = server.register("ada")
    server.publish_event("ada", type="large", text="x" * 500_000)
    base = connections(server)
    peers = []
    for _ in range(5):
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(("127.0.0.1", server.port))
        peer.sendall(poll_bytes("ada", queue_id) * 20)
        peers.append(peer)
    eventually(lambda: connections(server) > base, what="they are there")
    assert server.ask_as("bob", "GET", "/api/v1/users/me").status == 200
    eventually(lambda: connections(server) <= base, what="they are cut off", within=PATIENCE)
    assert [event["type"] for event in server.events("ada", queue_id)] == ["large"]
    for peer in peers:
        peer.close()


HALF: dict[str, tuple[bytes, int | None]] = {
    "nothing": (b"", None),
    "half a head": (LIVE[:20], None),
    "a head without its body": (REGISTER + AUTH + b"Content-Length: 9\r\n\r\n", None),
    "half a body": (REGISTER + AUTH + b"Content-Length: 9\r\n\r\na=b", None),
    "half a chunk": (CHUNKED + b"9\r\na=b", None),
    "chunks without an end": (CHUNKED + b"3\r\na=b\r\n", None),
    "half a publisher's body": (
        b"POST /api/internal/notices HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[",
        None,
    ),
    "a whole request": (ME, 200),
    "a whole request of the lane": (LIVE, 200),
    "a request with its body": (REGISTER + AUTH + b"Content-Length: 3\r\n\r\na=b", 200),
    "two requests": (ME + LIVE, 200),
}


@before
@pytest.mark.parametrize(("sent", "status"), HALF.values(), ids=HALF)
def test_who_hangs_up_by_half_gets_what_was_asked_for_and_nothing_else(
    hurried: ServerProcess,
    before: Callable[[RawConnection], None],
    sent: bytes,
    status: int | None,
) -> None:
    """What came whole may be answered; what broke off never has an effect, and neither keeps the connection."""
    with RawConnection(hurried.port) as connection:
        before(connection)
        connection.send(sent)
        with contextlib.suppress(Closed, OSError):
            connection.end_sending()
            answer = connection.answer()
            assert answer.status == status if status else answer.status >= 400, answer
        connection.rest()


def test_a_poll_whose_client_hangs_up_by_half_ends_and_keeps_its_events(start_server: StartServer) -> None:
    server = start_server("log.level=warning")
    queue_id = server.register("ada")
    poll = server.park("ada", queue_id)
    poll.end_sending()
    server.publish_event("ada", type="a")
    with contextlib.suppress(Closed):
        assert [event["type"] for event in poll.answer().json["events"]] == ["a"]
    assert [event["type"] for event in server.events("ada", queue_id)] == ["a"]
