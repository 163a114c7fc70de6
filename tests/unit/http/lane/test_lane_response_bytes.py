"""Answers as bytes: both forms of a success are the same answer, and who wants the connection closed is told so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.http.lane.response_bytes import HeaderLines, Renderer
from tidewire.http.responses import Response

DATE = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]
CORS = ((b"access-control-allow-origin", b"*"),)


def rendered(headers: HeaderLines = DATE) -> Renderer:
    return Renderer(lambda: headers, CORS)


def parsed(answer: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Status line, sorted header lines, body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    return status, sorted(lines), body


@given(body=st.binary(max_size=200), stopping=st.booleans(), keep_alive=st.booleans())
def test_the_length_is_that_of_the_body_and_the_end_of_a_connection_is_said_once(
    body: bytes, *, stopping: bool, keep_alive: bool
) -> None:
    answer = rendered().success(body, stopping=stopping, keep_alive=keep_alive)
    status, lines, sent = parsed(answer)
    assert status == b"HTTP/1.1 200 OK"
    assert sent == body
    assert b"content-length: %d" % len(body) in lines
    assert lines.count(b"connection: close") == (stopping or not keep_alive)


@pytest.mark.parametrize("stopping", [False, True])
@pytest.mark.parametrize("keep_alive", [False, True])
def test_the_fast_form_of_a_success_equals_the_plain_one(*, stopping: bool, keep_alive: bool) -> None:
    renderer, body = rendered(), b'{"result":"success"}'
    plain = renderer.answer(Response(200, body), allowance=None, stopping=stopping, keep_alive=keep_alive)
    assert renderer.success(body, stopping=stopping, keep_alive=keep_alive) == plain


def test_a_new_list_of_default_headers_is_taken_up_and_an_old_one_is_not_asked_again() -> None:
    current: list[HeaderLines] = [DATE]
    renderer = Renderer(lambda: current[0], CORS)
    first = renderer.success(b"{}", stopping=False, keep_alive=True)
    assert renderer.success(b"{}", stopping=False, keep_alive=True) == first
    current[0] = [(b"date", b"Fri, 02 Jan 1970 00:00:00 GMT")]
    second = renderer.success(b"{}", stopping=False, keep_alive=True)
    assert b"Fri, 02 Jan" in second
    assert second.replace(b"Fri, 02 Jan", b"Thu, 01 Jan") == first
