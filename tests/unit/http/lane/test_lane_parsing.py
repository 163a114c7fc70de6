"""Reading heads that have come whole."""

import pytest

from tidewire.core.errors import WireError
from tidewire.http.lane.parsing import Head, parse_head

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\n\r\n"


def read(raw: bytes) -> Head:
    head = parse_head(raw)
    assert isinstance(head, Head), head
    return head


def test_a_head_is_read_in_its_parts() -> None:
    head = read(GET)
    assert (head.method, head.target, head.version) == (b"GET", b"/a?b=c", "1.1")
    assert head.headers == ((b"host", b"x"), (b"user-agent", b"y"))
    assert head.keep_alive
    assert not head.asks_first
    assert not head.has_body
    assert head.raw == GET


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"A:b", b"b"),
        (b"A: \t b\t ", b"b"),
        (b"A:", b""),
        (b"A: \t", b""),
        (b"A: b  c", b"b  c"),
        (b"A: \xff\x80", b"\xff\x80"),
        (b'A: x:y, "z"', b'x:y, "z"'),
        (b"!#$%&'*+-.^_`|~09azAZ: b", None),
    ],
)
def test_values_stand_without_the_space_around_them(line: bytes, value: bytes | None) -> None:
    (_, (name, found)) = read(b"GET / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % line).headers
    assert (name, found) == (line.partition(b":")[0].lower(), b"b" if value is None else value)


def test_the_first_of_two_headers_counts() -> None:
    head = read(b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\na: 2\r\n\r\n")
    assert head.value(b"a") == b"1"
    assert head.as_mapping().getlist("a") == ["1", "2"]
    assert head.value(b"b") is None


@pytest.mark.parametrize(
    ("lines", "length"),
    [
        (b"", 0),
        (b"Content-Length: 0\r\n", 0),
        (b"Content-Length: 1\r\n", 1),
        (b"Content-Length: 007\r\n", 7),
        (b"content-LENGTH:9999999999999999999\r\n", 9_999_999_999_999_999_999),
        (b"Transfer-Encoding: chunked\r\n", None),
        (b"transfer-encoding:\tCHUNKED \r\n", None),
        # To ignore an offer to speak something else is all that HTTP asks for; the body is the body.
        (b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n", 5),
    ],
)
def test_a_head_says_how_long_its_body_is(lines: bytes, length: int | None) -> None:
    head = read(b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\n" % lines)
    assert head.length == length
    assert head.has_body is (length != 0)


@pytest.mark.parametrize(
    ("version", "lines", "keep_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: x, Close\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\nConnection: close\r\n", False),
        (b"1.1", b"Connection: closed\r\n", True),
        (b"1.0", b"", False),
        # Few speak it, and none of them needs it.
        (b"1.0", b"Connection: keep-alive\r\n", False),
    ],
)
def test_whether_the_connection_goes_on(version: bytes, lines: bytes, keep_alive: bool) -> None:
    assert read(b"GET / HTTP/%b\r\nHost: x\r\n%b\r\n" % (version, lines)).keep_alive is keep_alive


@pytest.mark.parametrize(("version", "asks"), [(b"1.1", True), (b"1.0", False)])
def test_whether_the_client_asks_before_it_sends(version: bytes, asks: bool) -> None:
    raw = b"POST / HTTP/%b\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n" % version
    assert read(raw).asks_first is asks


def test_what_is_refused_says_why() -> None:
    problem = parse_head(b"GET / HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n\r\n")
    assert isinstance(problem, WireError)
    assert (problem.http_status, problem.code) == (417, "EXPECTATION_FAILED")
    problem = parse_head(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert isinstance(problem, WireError)
    assert problem.message == "The request has both Content-Length and Transfer-Encoding"
