"""A corpus of requests that no client should send: none may harm the server, its log, or anybody else.

Each gets an answer below 500 or a closed connection, at once; afterwards the server serves.
"""

import random
import socket
import struct
from collections.abc import Iterator

import pytest

from support.broken_requests import (
    AUTH,
    CARRIED,
    FORM,
    GOOD_PARTS,
    INTERNAL,
    LIVE,
    TRAILED,
    TYPES,
    get,
    multipart,
    poll,
    post,
    sized,
)
from support.raw_http import Answer, Closed, RawConnection, request_bytes
from support.server_process import BEARER, KEYS, SECRET, ServerProcess, credentials, email, poll_bytes
from support.stopwatch import Stopwatch
from support.waiting import eventually

pytestmark = pytest.mark.slow

FRAMED: dict[str, bytes] = {
    # Framing.
    "negative length": post(FORM + b"Content-Length: -1\r\n"),
    "length with a sign": post(FORM + b"Content-Length: +1\r\n", b"a"),
    "length in hex": post(FORM + b"Content-Length: 0x1\r\n", b"a"),
    "length with letters": post(FORM + b"Content-Length: 1a\r\n", b"a"),
    "length of other digits": post(FORM + b"Content-Length: \xb2\r\n", b"a"),
    "empty length": post(FORM + b"Content-Length: \r\n"),
    "length beyond 64 bits": post(FORM + b"Content-Length: 99999999999999999999999\r\n"),
    "length of 64 bits": post(FORM + b"Content-Length: 9223372036854775807\r\n"),
    "two lengths": post(FORM + b"Content-Length: 1\r\nContent-Length: 2\r\n", b"aa"),
    "the same length twice": post(FORM + b"Content-Length: 1\r\nContent-Length: 1\r\n", b"a"),
    "a list of lengths": post(FORM + b"Content-Length: 1, 1\r\n", b"a"),
    "length and chunks": post(FORM + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "chunks twice": post(FORM + b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"),
    "unknown coding": post(FORM + b"Transfer-Encoding: gzip\r\n"),
    "chunks not last": post(FORM + b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"),
    "disguised chunks": post(FORM + b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "chunk size no number": post(FORM + b"Transfer-Encoding: chunked\r\n", b"ZZ\r\n"),
    "chunk size negative": post(FORM + b"Transfer-Encoding: chunked\r\n", b"-1\r\n"),
    "chunk size too large": post(FORM + b"Transfer-Encoding: chunked\r\n", b"f" * 40 + b"\r\n"),
    "chunk without its end": post(FORM + b"Transfer-Encoding: chunked\r\n", b"1\r\nab\r\n0\r\n\r\n"),
    "chunk extensions": post(FORM + b"Transfer-Encoding: chunked\r\n", b"1;a=b;c\r\nx\r\n0\r\n\r\n"),
    "trailers": post(FORM + b"Transfer-Encoding: chunked\r\n", b"0\r\nA: b\r\nContent-Length: 5\r\n\r\n"),
    "bare line feeds": b"GET /health/live HTTP/1.1\nHost: x\n\n",
    "bare carriage returns": b"GET /health/live HTTP/1.1\rHost: x\r\r",
    "empty lines first": b"\r\n\r\n\r\n" + LIVE,
    "folded header": get(b"/health/live", b"A: b\r\n c\r\n"),
    "space before the colon": get(b"/health/live", b"A : b\r\n"),
    "space before the name": get(b"/health/live", b" A: b\r\n"),
    "no colon": get(b"/health/live", b"Abc\r\n"),
    "no name": get(b"/health/live", b": b\r\n"),
    "NUL in a header": get(b"/health/live", b"A: \x00\r\n"),
    "control characters in a header": get(b"/health/live", b"A: \x01\x7f\r\n"),
    "long header": get(b"/health/live", b"A: " + b"x" * 1_000_000 + b"\r\n"),
    "many headers": get(b"/health/live", b"A: x\r\n" * 20_000),
    "expects something": post(b"Expect: miracles\r\nContent-Length: 0\r\n"),
    # Methods, versions, targets.
    "unknown method": b"FOO /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "small letters": b"get /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "no method": b" /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "WebDAV": b"PROPFIND /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "TRACE": b"TRACE /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT host:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT a path": b"CONNECT /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/0.9": b"GET /health/live\r\n\r\n",
    "HTTP/1.0": get(b"/health/live", version=b"HTTP/1.0"),
    "HTTP/1.9": get(b"/health/live", version=b"HTTP/1.9"),
    "HTTP/3.7": get(b"/health/live", version=b"HTTP/3.7"),
    "no HTTP": get(b"/health/live", version=b"ICE/1.0"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "upgrade to WebSocket": get(b"/health/live", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    "upgrade to HTTP/2": get(
        b"/health/live", b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"
    ),
    "absolute target": get(b"http://x/health/live"),
    "absolute without a path": get(b"http://x"),
    "absolute with a wrong port": get(b"http://x:99999999/"),
    "no slash": get(b"health/live"),
    "raw bytes in the path": get(b"/health/\xff\xfe"),
    "escaped bytes in the path": get(b"/health/%ff%00%0d%0aX:%20y"),
    "broken escapes": get(b"/api/v1/server_settings?a=%zz&%=1&=&&&"),
    "raw bytes in the query": get(b"/api/v1/server_settings?a=\xff"),
    "escaped bytes in the query": get(b"/api/v1/server_settings?a=%ff"),
    "surrogates in the query": get(b"/api/v1/server_settings?a=%ed%a0%80"),
    "long target": get(b"/health/live?" + b"x" * 1_000_000),
    "dots": get(b"/api/v1/../../health/live/..;/%2e%2e/"),
    "slash at the end": get(b"/api/v1/events/?a=%ff"),
    "fragment": get(b"/health/live#a"),
    # Headers with a meaning.
    "no host": b"GET /api/v1/server_settings HTTP/1.1\r\n\r\n",
    "two hosts": get(b"/api/v1/server_settings", b"Host: y\r\n"),
    "host with a bracket": b"GET /api/v1/server_settings HTTP/1.1\r\nHost: [\r\n\r\n",
    "host of odd bytes": b'GET /api/v1/server_settings HTTP/1.1\r\nHost: \xff"\\\r\n\r\n',
    "host with a port of letters": b"GET /api/v1/users/me HTTP/1.1\r\nHost: x:y:z]\r\n" + AUTH + b"\r\n",
    "authorization of odd bytes": get(b"/api/v1/users/me", b"Authorization: Basic \xff\xfe\r\n"),
    "authorization without scheme": get(b"/api/v1/users/me", b"Authorization: \xff\r\n"),
    "empty authorization": get(b"/api/v1/users/me", b"Authorization: \r\n"),
    "two authorizations": get(b"/api/v1/users/me", AUTH + b"Authorization: Basic x\r\n"),
    "long authorization": get(b"/api/v1/users/me", b"Authorization: Basic " + b"YTpi" * 100_000 + b"\r\n"),
    "bearer of odd bytes": post(b"Content-Length: 0\r\n", target=b"/api/internal/notices").replace(
        AUTH, b"Authorization: Bearer \xed\xa0\x80\r\n"
    ),
    "user agent of digits": post(b"User-Agent: ZulipMobile/" + b"9" * 5000 + b".1\r\nContent-Length: 0\r\n"),
    "user agent of odd bytes": post(b"User-Agent: \xff(\xfe/\r\nContent-Length: 0\r\n"),
    "user agent of spaces": post(b"User-Agent: " + b" /" * 50_000 + b"\r\nContent-Length: 0\r\n"),
    "odd charset": post(
        b"Content-Type: multipart/form-data; boundary=B; charset=unicode_escape\r\nContent-Length: 64\r\n",
        b'--B\r\nContent-Disposition: form-data; name="\\ud800"\r\n\r\nx\r\n--B--\r\n',
    ),
    "no boundary": post(b"Content-Type: multipart/form-data\r\nContent-Length: 3\r\n", b"abc"),
    "odd content type": post(b"Content-Type: \xff;\xfe=;;\r\nContent-Length: 3\r\n", b"abc"),
    # Values.
    "no JSON": poll(b"queue_id=q&last_event_id=NaN"),
    "a number without end": poll(b"queue_id=q&last_event_id=" + b"9" * 5000),
    "an exponent": poll(b"queue_id=q&last_event_id=1e400"),
    "beyond 64 bits": poll(b"queue_id=q&last_event_id=9223372036854775808"),
    "below 64 bits": poll(b"queue_id=q&last_event_id=-9223372036854775809"),
    "deep nesting": poll(b"queue_id=q&last_event_id=-1&narrow=" + b"%5B" * 5000),
    "surrogates in JSON": poll(b"queue_id=q&last_event_id=1&event_types=%5B%22%5Cud800%22%5D"),
    "odd queue id": poll(b"last_event_id=-1&queue_id=%00%0a%1b%5B2J%22%5C%e2%80%ae"),
    "long queue id": poll(b"last_event_id=-1&queue_id=" + b"q" * 60_000),
    "all parameters empty": poll(b"queue_id=&last_event_id=&dont_block=&event_types=&narrow=&client="),
    "hundreds of parameters": poll(b"a=1&" * 500),
    "deep notice": post(
        b"Content-Length: 100000\r\n", b"[" * 100_000, target=b"/api/internal/notices"
    ).replace(AUTH, INTERNAL),
}


CORPUS = {**FRAMED, **CARRIED}


@pytest.mark.parametrize("name", CORPUS)
def test_a_broken_request_is_answered_or_cut_off_and_the_server_serves_on(
    shared_server: ServerProcess, name: str
) -> None:
    with RawConnection(shared_server.port, timeout=30) as connection:
        connection.send(CORPUS[name])
        try:
            answer = connection.answer()
        except Closed:
            pass
        else:
            assert answer.status < 500, answer
            if answer.status >= 400:
                assert answer.json["result"] == "error"
            if answer.headers.get("connection") == "close":
                assert connection.is_closed()
    assert shared_server.ask("GET", "/health/ready").status == 200
    assert "Traceback" not in shared_server.log, shared_server.log


@pytest.mark.parametrize("ending", ["close", "reset", "end sending"])
def test_half_requests_that_end_leave_nothing_behind(shared_server: ServerProcess, ending: str) -> None:
    """Cut anywhere: in the head, in the body, behind a chunk."""
    whole = post(FORM + b"Transfer-Encoding: chunked\r\n", b"5\r\na=%c3\r\n3\r\n%bc\r\n0\r\n\r\n")
    for end in [1, 3, 20, 60, len(whole) - 25, len(whole) - 20, len(whole) - 6, len(whole) - 1]:
        connection = RawConnection(shared_server.port)
        connection.send(whole[:end])
        end_connection(connection, ending)
    assert shared_server.ask("GET", "/health/ready").status == 200
    assert "Traceback" not in shared_server.log


def end_connection(connection: RawConnection, ending: str) -> None:
    if ending == "reset":
        connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif ending == "end sending":
        connection.end_sending()
        assert connection.rest() == b""
    connection.close()


@pytest.mark.parametrize(
    "request_bytes_",
    [LIVE, sized(TYPES), multipart(GOOD_PARTS), TRAILED],
    ids=["head", "form", "multipart", "chunks and trailer"],
)
def test_a_request_may_come_byte_by_byte(shared_server: ServerProcess, request_bytes_: bytes) -> None:
    """Also twice on one connection: nothing of the first is left for the second."""
    with shared_server.connect() as connection:
        for byte in request_bytes_ * 2:
            connection.send(bytes([byte]))
        assert [connection.answer().status for _ in range(2)] == [200, 200]


HALF_CLOSED = {
    "a head": LIVE,
    "HTTP/0.9": b"GET /health/live\r\n\r\n",
    "a form": sized(TYPES),
    "a multipart form": multipart(GOOD_PARTS),
    "chunks and a trailer": TRAILED,
    "a refused body": sized(TYPES).replace(AUTH, b""),
    "a pipeline": LIVE + sized(TYPES) + LIVE,
}


@pytest.mark.parametrize("name", HALF_CLOSED)
def test_a_client_may_stop_sending_anywhere(shared_server: ServerProcess, name: str) -> None:
    """The connection ends by itself, what came whole is answered, and nothing fails."""
    whole = HALF_CLOSED[name]
    for end in {*range(0, len(whole), max(1, len(whole) // 40)), len(whole)}:
        with RawConnection(shared_server.port, timeout=30) as connection:
            connection.send(whole[:end])
            connection.end_sending()
            statuses = [answer.status for answer in answers_until_closed(connection)]
        assert [status for status in statuses if status >= 500] == []
    assert shared_server.ask("GET", "/health/ready").status == 200
    assert "Traceback" not in shared_server.log, shared_server.log


def test_pipelined_requests_of_every_kind_are_answered_in_order(shared_server: ServerProcess) -> None:
    """Bodies, refusals, trailers and odd targets among each other: none is taken for a part of another."""
    kinds = [
        (LIVE, 200),
        (sized(TYPES), 200),
        (get(b"/nope"), 404),
        (multipart(GOOD_PARTS), 200),
        (TRAILED, 200),
        (sized(b"event_types=x"), 400),
        (sized(TYPES).replace(AUTH, b""), 401),
        (get(b"//other.example/health/live"), 404),
        (poll(b"queue_id=q&last_event_id=-1"), 400),
        (b"PUT /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", 405),
    ]
    chance = random.Random(20261124)
    for _ in range(10):
        chosen = [chance.choice(kinds) for _ in range(30)]
        with shared_server.connect() as connection:
            connection.send(b"".join(request for request, _ in chosen))
            assert [connection.answer().status for _ in chosen] == [status for _, status in chosen]
            connection.end_sending()
            assert connection.is_closed()
    assert "Traceback" not in shared_server.log, shared_server.log


def test_pipelined_requests_are_answered_in_order(shared_server: ServerProcess) -> None:
    queue_id = shared_server.register("ada")
    with shared_server.connect() as connection:
        register = request_bytes("POST", "/api/v1/register", form={"odd": "1"}, headers=credentials("ada"))
        connection.send(register + LIVE + get(b"/nope") + poll_bytes("ada", queue_id) + LIVE)
        assert [connection.answer().status for _ in range(3)] == [200, 200, 404]
        shared_server.publish_event("ada", type="t")
        assert len(connection.answer().json["events"]) == 1
        assert connection.answer().status == 200


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_pipelined_requests_whose_client_goes_away_are_no_failure(
    shared_server: ServerProcess, ending: str
) -> None:
    """Also the one under way must learn that there is nobody to write to."""
    queue_id = shared_server.register("ada")
    for _ in range(8):
        shared_server.publish_event("ada", type="t", text="x" * 200_000)
    for requests in (LIVE * 500, poll_bytes("ada", queue_id) * 20, LIVE + poll_bytes("bob", "no") * 50):
        for _ in range(3):
            connection = RawConnection(shared_server.port)
            connection.send(requests)
            assert connection.answer().status in {200, 400}
            end_connection(connection, ending)
    assert shared_server.ask("GET", "/health/ready").status == 200
    assert "Traceback" not in shared_server.log, shared_server.log
    assert shared_server.ask_as("ada", "DELETE", "/api/v1/events", query={"queue_id": queue_id}).status == 200


def answers_until_closed(connection: RawConnection) -> list[Answer]:
    answers = []
    while True:
        try:
            answers.append(connection.answer())
        except Closed:
            return answers


@pytest.mark.parametrize("broken", [b"\x00\x01\r\n\r\n", post(FORM + b"Content-Length: x\r\n")])
def test_a_broken_request_behind_good_ones_is_refused_after_them(
    shared_server: ServerProcess, broken: bytes
) -> None:
    """Each good one gets its answer, in order, and then the broken one: nothing overtakes."""
    with shared_server.connect() as connection:
        connection.send(LIVE + get(b"/nope") + broken)
        answers = answers_until_closed(connection)
    assert [answer.status for answer in answers] == [200, 404, 400]
    assert answers[-1].headers["connection"] == "close"


def test_what_is_no_http_gets_the_error_envelope_with_the_usual_headers(shared_server: ServerProcess) -> None:
    """R6.5, R6.12."""
    logged_before = len(shared_server.log)
    with shared_server.connect() as connection:
        connection.send(b"\x00\r\n\r\n")
        (answer,) = answers_until_closed(connection)
    assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")
    usual = shared_server.ask("GET", "/nope").headers
    assert answer.headers.keys() == {*usual, "connection"}
    assert "Invalid HTTP" not in shared_server.log[logged_before:]


def test_a_request_whose_body_breaks_off_into_no_http_is_refused_once(shared_server: ServerProcess) -> None:
    """Nothing is made of the part that came."""
    before = shared_server.log.count("/api/v1/register")
    with shared_server.connect() as connection:
        connection.send(LIVE + post(FORM + b"Transfer-Encoding: chunked\r\n", b"3\r\na=b\r\nZZ\r\n"))
        assert [answer.status for answer in answers_until_closed(connection)] == [200, 400]
    assert shared_server.log.count("/api/v1/register") == before


@pytest.mark.parametrize("lines", [b"", b"Host: a\r\nHost: b\r\n", b"Host: a\r\nhost: a\r\n"])
def test_a_request_has_one_host(shared_server: ServerProcess, lines: bytes) -> None:
    with shared_server.connect() as connection:
        connection.send(b"GET /api/v1/server_settings HTTP/1.1\r\n%b\r\n" % lines)
        assert connection.answer().status == 400
        assert connection.is_closed()


def test_an_old_request_needs_no_host(shared_server: ServerProcess) -> None:
    with shared_server.connect() as connection:
        connection.send(b"GET /health/live HTTP/1.0\r\n\r\n")
        assert connection.answer().status == 200


@pytest.mark.parametrize(
    ("lines", "begin"),
    [(b"Content-Length: 50000000\r\n", b""), (b"Transfer-Encoding: chunked\r\n", b"F4241\r\n")],
    ids=["length", "chunked"],
)
def test_an_early_refusal_ends_the_connection_and_can_be_read_while_the_body_is_sent(
    shared_server: ServerProcess, lines: bytes, begin: bytes
) -> None:
    """The client has said that it goes on sending; what it sends must not be taken for the next request."""
    head = b"POST /api/v1/register HTTP/1.1\r\nHost: x\r\n%b%b\r\n" % (FORM, lines)
    with shared_server.connect() as connection:
        connection.send(head + begin)
        answer = connection.answer()
        assert (answer.status, answer.headers["connection"]) == (401, "close")
        connection.send(b"x" * 1_000_000)
        connection.end_sending()
        assert connection.is_closed()


def test_a_refused_body_that_breaks_is_not_refused_again(shared_server: ServerProcess) -> None:
    lines = FORM + b"Transfer-Encoding: chunked\r\n"
    with shared_server.connect() as connection:
        connection.send(b"POST /api/v1/register HTTP/1.1\r\nHost: x\r\n%b\r\n" % lines)
        assert connection.answer().status == 401
        connection.send(b"ZZ\r\n")
        assert connection.is_closed()


def test_who_asks_before_sending_is_refused_without_a_wait(shared_server: ServerProcess) -> None:
    """`Expect: 100-continue`: the refusal comes in place of the go-ahead."""
    lines = b"Expect: 100-continue\r\nContent-Length: 50000000\r\n"
    with RawConnection(shared_server.port) as connection:
        watch = Stopwatch(shared_server.pid)
        connection.send(b"POST /api/v1/register HTTP/1.1\r\nHost: x\r\n" + FORM + lines + b"\r\n")
        assert connection.answer().status == 401
        assert connection.is_closed()
        assert watch.seconds < 1.5


def test_a_refusal_of_a_short_body_keeps_the_connection(shared_server: ServerProcess) -> None:
    with shared_server.connect() as connection:
        connection.send(b"POST /api/v1/register HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
        answer = connection.answer()
        assert (answer.status, "connection" in answer.headers) == (401, False)
        assert connection.answer_to(b"a=b" + LIVE).status == 200


def test_too_large_a_body_is_refused_although_it_is_sent(shared_server: ServerProcess) -> None:
    """Who sends it to its end can read the answer; the server keeps none of it."""
    body = b" " * (16 * 1024 * 1024 + 1)
    for _ in range(2):
        answer = shared_server.ask("POST", "/api/internal/notices", headers=BEARER, body=body)
        assert (answer.status, answer.json["code"]) == (413, "PAYLOAD_TOO_LARGE")


def random_requests(seed: int, count: int) -> Iterator[bytes]:
    """Good requests with bytes changed, dropped, doubled or inserted."""
    chance = random.Random(seed)
    good = [
        LIVE,
        post(FORM + b"Content-Length: 23\r\n", b"event_types=%5B%22t%22%5D"[:23]),
        poll(b"queue_id=q&last_event_id=-1&dont_block=true"),
        post(b"Content-Length: 34\r\n", b'{"event":{"type":"t"},"users":[1]}', b"/api/internal/notices"),
    ]
    for _ in range(count):
        request = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(request))
            change = chance.randrange(4)
            if change == 0:
                request[at] = chance.randrange(256)
            elif change == 1:
                del request[at : at + chance.randint(1, 8)]
            elif change == 2:
                request[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
            else:
                request[at:at] = request[at : at + chance.randint(1, 40)]
            if not request:
                break
        yield bytes(request)


def test_requests_broken_at_random_never_fail(shared_server: ServerProcess) -> None:
    logged_before = len(shared_server.log)
    for request in random_requests(20261124, 400):
        with RawConnection(shared_server.port) as connection:
            connection.send(request)
            connection.end_sending()
            received = connection.rest()
            assert b"HTTP/1.1 5" not in received, request
    assert shared_server.ask("GET", "/health/ready").status == 200
    assert "Traceback" not in shared_server.log[logged_before:]


def test_an_upgrade_is_ignored_and_so_not_logged(shared_server: ServerProcess) -> None:
    logged_before = len(shared_server.log)
    for protocol in (b"websocket", b"h2c"):
        with shared_server.connect() as connection:
            connection.send(get(b"/health/live", b"Connection: Upgrade\r\nUpgrade: %b\r\n" % protocol))
            assert connection.answer().status == 200
            connection.send(LIVE)
            assert connection.answer().status == 200
    logged = shared_server.log[logged_before:]
    assert "warning" not in logged
    assert "pgrade" not in logged


def test_nothing_secret_was_logged_by_all_this(shared_server: ServerProcess) -> None:
    """R11.18."""
    shared_server.ask("GET", "/api/v1/users/me", headers=credentials("ada"))
    log = eventually(lambda: shared_server.log, what="the log has something in it")
    for secret in (SECRET, *KEYS.values(), credentials("ada")["Authorization"], email("ada")):
        assert secret not in log
