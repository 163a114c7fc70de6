"""Which requests to publish have the head of the one before."""

import pytest
from starlette.datastructures import Headers

from tidewire.http.lane.parsing import Head, parse_head
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.lane.shortcuts import MAX_BYTES, RememberedHead, parts_of
from tidewire.http.request_log import NO_LINE

START = b"POST /api/internal/notices HTTP/1.1\r\nHost: x\r\nContent-Length: "
REST = b"\r\nAuthorization: Bearer s\r\n\r\n"


def parts(raw: bytes, bounds: Bounds = Bounds()) -> tuple[bytes, bytes] | None:  # noqa: B008 - frozen
    head = parse_head(raw)
    assert isinstance(head, Head), head
    return parts_of(head, bounds)


def known(head: bytes = START + b"2" + REST) -> RememberedHead:
    found = parts(head)
    assert found is not None
    return RememberedHead(*found, Headers(), NO_LINE)


@pytest.mark.parametrize("body", [b"{}", b"", b"x" * 1000, b"\r\n\r\n"])
def test_only_the_body_may_differ(body: bytes) -> None:
    assert known().body_of(START + b"%d" % len(body) + REST + body) == body


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        START,
        START + b"2",
        START + b"2" + REST,
        START + b"2" + REST + b"{",
        START + b"2" + REST + b"{}G",
        START + b"" + REST + b"{}",
        START + b"+2" + REST + b"{}",
        START + b"2 " + REST + b"{}",
        START + b"-1" + REST,
        START + b"\xc2\xb2" + REST + b"{}",
        START + b"1" * 30 + REST + b"{}",
        START + b"2" + REST.replace(b"Bearer s", b"Bearer t") + b"{}",
        START.replace(b"Host", b"host") + b"2" + REST + b"{}",
        START + b"2\r\nExpect: 100-continue" + REST + b"{}",
    ],
)
def test_whatever_else_differs_is_looked_at_from_the_beginning(request_: bytes) -> None:
    assert known().body_of(request_) is None


def test_what_is_too_long_is_looked_at_from_the_beginning() -> None:
    length = MAX_BYTES + 1
    assert known().body_of(START + b"%d" % length + REST + bytes(length)) is None


def test_a_head_that_does_not_say_its_length_is_not_known() -> None:
    assert parts(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n") is None


def test_a_head_that_a_longer_length_would_take_beyond_the_bound_is_not_known() -> None:
    raw = START + b"2" + REST
    assert parts(raw, Bounds(head_bytes=len(raw) + len(str(MAX_BYTES)))) is not None
    assert parts(raw, Bounds(head_bytes=len(raw) + len(str(MAX_BYTES)) - 1)) is None
