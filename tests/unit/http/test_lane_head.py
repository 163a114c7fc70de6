"""Reading heads with one parser for all connections."""

import pytest

from tidewire.http.lane.head import Head, HeadReader, without_upgrade

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\n\r\n"


def read(raw: bytes) -> Head:
    head = HeadReader().read(raw)
    assert head is not None
    return head


def test_a_head_is_read_in_its_parts() -> None:
    head = read(GET)
    assert (head.method, head.target, head.version) == (b"GET", b"/a?b=c", "1.1")
    assert head.headers == ((b"host", b"x"), (b"user-agent", b"y"))
    assert head.keep_alive
    assert not head.upgrade
    assert not head.has_body


def test_one_reader_reads_one_head_after_the_other() -> None:
    reader = HeadReader()
    for number in range(3):
        head = reader.read(GET.replace(b"b=c", b"b=%d" % number))
        assert head is not None
        assert head.target == b"/a?b=%d" % number


@pytest.mark.parametrize(
    "between",
    [
        b"GET / HTTP/1.1\nHost: x\n\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"\r\n\r\n",
    ],
    ids=["bare LF", "nonsense", "a body", "chunks", "the last request", "an upgrade", "HTTP/1.0", "nothing"],
)
def test_whatever_came_before_a_head_is_read_from_its_beginning(between: bytes) -> None:
    reader = HeadReader()
    reader.read(between)
    assert reader.read(GET) == read(GET)


def test_what_is_not_http_is_none() -> None:
    assert HeadReader().read(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n") is None
    assert HeadReader().read(b"GET / HTTP/9\r\n\r\n") is None


def test_the_first_of_two_headers_counts() -> None:
    head = read(b"GET / HTTP/1.1\r\nA: 1\r\na: 2\r\n\r\n")
    assert head.value(b"a") == b"1"
    assert head.text(b"a") == "1"
    assert head.values(b"a") == [b"1", b"2"]
    assert head.value(b"b") is None
    assert head.text(b"b") is None


@pytest.mark.parametrize(
    ("lines", "has_body"),
    [
        (b"Content-Length: 0\r\n", False),
        (b"Content-Length: 1\r\n", True),
        (b"Transfer-Encoding: chunked\r\n", True),
    ],
)
def test_a_body_is_announced(lines: bytes, has_body: bool) -> None:
    assert read(b"POST / HTTP/1.1\r\n%b\r\n" % lines).has_body is has_body


@pytest.mark.parametrize(
    ("version", "line", "keep_alive"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.0", b"", False),
        # uvicorn closes here too, so the answers are the same.
        (b"1.0", b"Connection: keep-alive\r\n", False),
    ],
)
def test_whether_the_connection_goes_on(version: bytes, line: bytes, keep_alive: bool) -> None:
    assert read(b"GET / HTTP/%b\r\n%b\r\n" % (version, line)).keep_alive is keep_alive


def test_an_offer_to_upgrade_is_seen_and_can_be_taken_out() -> None:
    raw = b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nupgrade: h2c\r\nContent-Length: 2\r\n\r\n"
    assert read(raw).upgrade
    kept = read(without_upgrade(raw))
    assert not kept.upgrade
    assert kept.headers == ((b"host", b"x"), (b"connection", b"Upgrade"), (b"content-length", b"2"))
