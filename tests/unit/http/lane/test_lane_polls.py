"""Which targets are polls, and which requests repeat the one before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.core.ids import UserId
from tidewire.http.lane.parsing import Head, PollRequest, parse_head, parse_poll
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.lane.shortcuts import RememberedPoll, digest_of
from tidewire.http.request_log import NO_LINE

EVENTS = b"/api/v1/events?"


def request(
    last: bytes = b"7", *, before: bytes = b"queue_id=q&", after: bytes = b"", key: bytes = b"k"
) -> bytes:
    target = b"%b%blast_event_id=%b%b" % (EVENTS, before, last, after)
    return b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %b\r\n\r\n" % (target, key)


def digest(raw: bytes, bounds: Bounds = Bounds()) -> tuple[int, bytes] | None:  # noqa: B008 - frozen
    head = parse_head(raw)
    assert isinstance(head, Head), head
    return digest_of(head, bounds)


def known(raw: bytes) -> RememberedPoll:
    found = digest(raw)
    assert found is not None
    return RememberedPoll(*found, generation=1, queue_id="q", user_id=UserId(1), block=True, line=NO_LINE)


@pytest.mark.parametrize(
    ("query", "poll"),
    [
        (b"queue_id=a-1&last_event_id=-1", PollRequest("a-1", -1, True, None)),
        (b"last_event_id=0&queue_id=1482093786:2", PollRequest("1482093786:2", 0, True, None)),
        (b"queue_id=a&last_event_id=12&dont_block=false", PollRequest("a", 12, True, None)),
        (b"dont_block=true&queue_id=a&last_event_id=12&client=me", PollRequest("a", 12, False, "me")),
        (b"queue_id=a&last_event_id=999999999999999999", PollRequest("a", 999999999999999999, True, None)),
    ],
)
def test_polls_as_clients_write_them_are_read(query: bytes, poll: PollRequest) -> None:
    assert parse_poll(EVENTS + query) == poll


def test_polls_of_browser_sessions_are_read_by_their_usual_path() -> None:
    read = parse_poll(b"/json/events?queue_id=a&last_event_id=1")
    assert read == PollRequest("a", 1, True, None, "/json/events")


@pytest.mark.parametrize(
    "target",
    [
        b"/api/v1/events",
        b"/api/v1/events?",
        b"/json/v1/events?queue_id=a&last_event_id=1",
        b"/api/v1/register?queue_id=a&last_event_id=1",
        b"/api/v1/%65vents?queue_id=a&last_event_id=1",
        *(
            EVENTS + query
            for query in (
                b"queue_id=a",
                b"last_event_id=1",
                b"queue_id=&last_event_id=1",
                b"queue_id=a&last_event_id=",
                b"queue_id=a&last_event_id=01",
                b"queue_id=a&last_event_id=+1",
                b"queue_id=a&last_event_id=1.0",
                b"queue_id=a&last_event_id=1000000000000000000",
                b"queue_id=a&last_event_id=-2",
                b"queue_id=a&last_event_id=1&last_event_id=2",
                b"queue_id=a&queue_id=b&last_event_id=1",
                b"queue_id=a%20b&last_event_id=1",
                b"queue_id=a+b&last_event_id=1",
                b"queue_id=\xe4&last_event_id=1",
                b"queue_id=a&last_event_id=1&dont_block=True",
                b"queue_id=a&last_event_id=1&dont_block=1",
                b"queue_id=a&last_event_id=1&dont_block=",
                b"queue_id=a&last_event_id=1&user_client=b",
                b"queue_id=a&last_event_id=1&slim_presence=true",
                b"queue_id=a&last_event_id=1&",
                b"queue_id=a&last_event_id=1&x",
            )
        ),
    ],
)
def test_everything_else_is_for_the_ordinary_route(target: bytes) -> None:
    assert parse_poll(target) is None


def test_a_request_that_differs_only_in_the_event_is_recognised() -> None:
    repoll = known(request(b"7"))
    assert repoll.acknowledged(request(b"7")) == 7
    assert repoll.acknowledged(request(b"123456")) == 123456
    assert repoll.acknowledged(request(b"-1")) == -1


@pytest.mark.parametrize(
    "other",
    [
        request(key=b"K"),
        request(before=b"queue_id=r&"),
        request(after=b"&dont_block=true"),
        request(b"07"),
        request(b"7a"),
        request(b""),
        request(b"1234567890123456789"),
        request() + request(),
        request()[:-2],
        request().replace(b"GET", b"get"),
        b"",
    ],
)
def test_a_request_that_differs_in_anything_else_is_not(other: bytes) -> None:
    assert known(request()).acknowledged(other) is None


def test_digits_can_not_move_between_the_number_and_what_stands_beside_it() -> None:
    repoll = known(request(b"12", after=b"3"))
    assert repoll.acknowledged(request(b"1", after=b"23")) in {None, 123}


@pytest.mark.parametrize(
    "raw",
    [
        request(before=b"last_event_id=5&"),
        request(before=b"my_last_event_id=5&"),
        b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nX: last_event_id=5\r\n\r\n",
        request(b"x"),
    ],
)
def test_what_does_not_name_its_event_once_is_not_remembered(raw: bytes) -> None:
    assert digest(raw) is None


def test_what_a_longer_number_would_take_beyond_a_bound_is_not_remembered() -> None:
    raw = request()
    target = len(raw.split(b" ")[1])
    assert digest(raw, Bounds(head_bytes=len(raw) + 18, target_bytes=target + 18)) is not None
    assert digest(raw, Bounds(head_bytes=len(raw) + 17)) is None
    assert digest(raw, Bounds(target_bytes=target + 17)) is None


@given(st.binary(max_size=300), st.integers(-1, 10**18 - 1))
def test_no_other_bytes_pass_for_a_repetition(noise: bytes, number: int) -> None:
    repoll = known(request())
    assert repoll.acknowledged(request(b"%d" % number)) == number
    assert repoll.acknowledged(noise) is None
