"""Where requests begin and end, byte by byte and in any pieces; what is ambiguous is refused."""

import itertools
import random
from collections.abc import Iterable, Sequence
from typing import Any

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.ambiguous_requests import AMBIGUOUS, SMUGGLED, TOO_MUCH, UNUSUAL, chunked, head, length
from tidewire.http.lane.parsing import Head
from tidewire.http.lane.peer_limits import Bounds
from tidewire.http.lane.protocol import END_OF_BODY, NEED_DATA, Body, Refusal, RequestFramer

Seen = list[tuple[str, Any]]

GOOD = [request for request, _ in UNUSUAL.values()]
BAD = [*AMBIGUOUS.values(), *(request for request, _ in TOO_MUCH.values())]


def events(pieces: Iterable[bytes], bounds: Bounds = Bounds()) -> Seen:  # noqa: B008 - frozen
    """What a framer makes of bytes, with each request answered as soon as it is whole; pieces of bodies are joined."""
    framer = RequestFramer(bounds)
    seen: Seen = []
    for piece in pieces:
        framer.receive(piece)
        while True:
            event = framer.next_event()
            if event is NEED_DATA:
                break
            note(event, seen)
            if not framer.in_body:
                framer.start_next()
        assert framer.untouched == (framer.buffered == 0 and is_between(seen) and framer.untouched)
    return seen


def is_between(seen: Seen) -> bool:
    return not seen or seen[-1][0] == "end" or (seen[-1][0] == "head" and not seen[-1][1][2])


def note(event: object, seen: Seen) -> None:
    if isinstance(event, Head):
        seen.append(("head", (event.method + b" " + event.target, event.headers, event.has_body)))
    elif isinstance(event, Body):
        assert event.data
        if seen[-1][0] == "body":
            _, before = seen.pop()
            assert isinstance(before, bytes)
            seen.append(("body", before + event.data))
        else:
            seen.append(("body", event.data))
    elif isinstance(event, Refusal):
        seen.append(("refused", (event.error.http_status, event.error.message)))
    else:
        assert event is END_OF_BODY
        seen.append(("end", None))


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def cut(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = sorted({0, len(data), *(at % (len(data) + 1) for at in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


@pytest.mark.parametrize(("request_", "body"), UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_request_is_read_with_its_body_and_so_is_what_follows(
    request_: bytes, body: bytes
) -> None:
    behind = head(first=b"GET /behind HTTP/1.1")
    seen = events([request_ + behind])
    bodies = [data for kind, data in seen if kind == "body"]
    assert bodies == ([body] if body else [])
    assert [what for kind, what in seen if kind == "refused"] == []
    assert [kind for kind, _ in seen].count("head") == 2
    assert seen[-1][1] == (b"GET /behind", ((b"host", b"x"),), False)


@pytest.mark.parametrize("request_", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_ambiguous_request_is_refused_and_nothing_behind_it_is_read(request_: bytes) -> None:
    seen = events([request_ + SMUGGLED * 3])
    kinds = [kind for kind, _ in seen]
    assert kinds[-1] == "refused"
    assert kinds.count("head") <= 1
    assert seen[-1][1][0] == 400
    smuggled = [what for kind, what in seen if kind == "head" and what[0].startswith(b"GET /metrics")]
    assert smuggled == []


@pytest.mark.parametrize(("request_", "status"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_is_too_much_is_refused(request_: bytes, status: int) -> None:
    seen = events([request_])
    assert [kind for kind, _ in seen][-1] == "refused"
    assert seen[-1][1][0] == status


def test_there_are_enough_ambiguous_forms() -> None:
    assert len(AMBIGUOUS) >= 60
    assert len(set(AMBIGUOUS.values())) == len(AMBIGUOUS)


@pytest.mark.parametrize("request_", [*GOOD, *BAD], ids=[*UNUSUAL, *AMBIGUOUS, *TOO_MUCH])
def test_how_bytes_are_cut_changes_nothing(request_: bytes) -> None:
    """Byte by byte, and cut in two anywhere."""
    whole = head() + request_ + SMUGGLED
    expected = events([whole])
    assert events(byte_by_byte(whole)) == expected
    places = range(1, len(whole), max(1, len(whole) // 300))
    for at in places:
        assert events([whole[:at], whole[at:]]) == expected, at


@given(
    st.lists(st.sampled_from([*GOOD, *BAD]), min_size=1, max_size=5),
    st.lists(st.integers(0, 50_000), max_size=8),
)
def test_a_pipeline_may_be_cut_anywhere(requests: Sequence[bytes], cuts: Sequence[int]) -> None:
    whole = b"".join(requests)
    assert events(cut(whole, cuts)) == events([whole])


NOISE = st.text(alphabet="\r\n\t :;,0123aAG/H.\x00\xff", max_size=6).map(lambda text: text.encode("latin-1"))


@given(
    st.sampled_from(GOOD),
    st.integers(0, 500),
    st.integers(0, 8),
    NOISE,
    st.lists(st.integers(0, 500), max_size=4),
)
@example(chunked(b"0\r\n\r\n"), 60, 0, b"\r", [1, 2, 3])
def test_changed_bytes_may_be_cut_anywhere(
    request_: bytes, at: int, dropped: int, noise: bytes, cuts: Sequence[int]
) -> None:
    at %= len(request_)
    changed = request_[:at] + noise + request_[at + dropped :] + SMUGGLED
    expected = events([changed])
    assert events(cut(changed, cuts)) == expected
    assert events(byte_by_byte(changed)) == expected


SMALL = Bounds(head_bytes=64, headers=2, target_bytes=20)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 19), None),
        (b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 20), 414),
        (b"GET /%b" % (b"a" * 60), 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: %b\r\n\r\n" % (b"a" * 32), None),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: %b\r\n\r\n" % (b"a" * 33), 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: %b" % (b"a" * 40), 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\n\r\n", 431),
        # The bound that is broken first counts, however the bytes come.
        (b"GET /%b\x00 HTTP/1.1\r\n" % (b"a" * 60), 414),
        (b"GET /\x00%b HTTP/1.1\r\n" % (b"a" * 60), 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: %b\n\r\n" % (b"a" * 60), 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: \n%b\r\n" % (b"a" * 60), 400),
    ],
)
def test_a_head_has_bounds_to_the_byte(request_: bytes, status: int | None) -> None:
    for pieces in ([request_], byte_by_byte(request_)):
        ((kind, what),) = events(pieces, SMALL)
        assert (kind, what[0] if kind == "refused" else None) == (
            "head" if status is None else "refused",
            status,
        )


def test_bounds_hold_for_every_request_of_a_connection() -> None:
    good = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    seen = events([good * 50 + b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 20)], SMALL)
    assert len(seen) == 51
    assert seen[-1][1][0] == 414


def test_the_next_request_is_not_looked_at_before_this_one_is_answered() -> None:
    framer = RequestFramer(Bounds())
    framer.receive(length(b"%d" % len(SMUGGLED)) + SMUGGLED + b"\x00")
    assert isinstance(framer.next_event(), Head)
    assert (framer.in_body, framer.remaining) == (True, len(SMUGGLED))
    assert framer.next_event() == Body(SMUGGLED)
    assert framer.next_event() is END_OF_BODY
    assert (framer.in_body, framer.remaining) == (False, 0)
    for _ in range(3):
        assert framer.next_event() is NEED_DATA
    assert framer.buffered == len(SMUGGLED) + 1
    framer.start_next()
    assert isinstance(framer.next_event(), Head)
    framer.start_next()
    assert isinstance(framer.next_event(), Refusal)
    framer.receive(SMUGGLED)
    assert (framer.next_event(), framer.buffered) == (NEED_DATA, 0)


def test_how_much_of_a_body_in_chunks_is_to_come_nobody_knows() -> None:
    framer = RequestFramer(Bounds())
    framer.receive(chunked(b"5\r\nab"))
    assert isinstance(framer.next_event(), Head)
    assert framer.next_event() == Body(b"ab")
    assert framer.remaining is None


def test_a_body_is_given_out_as_it_comes_and_not_kept() -> None:
    framer = RequestFramer(Bounds())
    framer.receive(length(b"1000000")[: -len(SMUGGLED)])
    framer.next_event()
    for _ in range(10):
        framer.receive(bytes(100_000))
        assert framer.next_event() == Body(bytes(100_000))
        assert framer.buffered == 0
    assert framer.next_event() is END_OF_BODY


# Another strict parser as a witness: whatever is read here, it reads alike.


def by_h11(data: bytes) -> Seen:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1_000_000)
    connection.receive_data(data)
    seen: Seen = []
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return seen
        if isinstance(event, h11.Request):
            has_body = any(
                name == b"transfer-encoding" or (name == b"content-length" and int(value))
                for name, value in event.headers
            )
            seen.append(("head", (event.method + b" " + event.target, tuple(event.headers), has_body)))
        elif isinstance(event, h11.Data):
            note(Body(bytes(event.data)), seen)
        elif isinstance(event, h11.EndOfMessage):
            if seen[-1][0] == "body" or seen[-1][1][2]:
                seen.append(("end", None))
            if connection.their_state is h11.MUST_CLOSE:
                return seen
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return seen
            connection.start_next_cycle()
        else:
            return seen


def read_alike(data: bytes) -> bool:
    """Whether it could be read; what could must be read alike."""
    ours = events([data])
    if any(kind == "refused" for kind, _ in ours):
        return False
    theirs = by_h11(data.lstrip(b"\r\n"))
    # It writes a coding in small letters, and reads no further behind the last request of a connection, nor
    # trailers that speak of framing.
    assert [_lowered(event) for event in ours[: len(theirs)]] == [_lowered(event) for event in theirs]
    assert theirs
    return True


def _lowered(event: tuple[str, Any]) -> Any:
    kind, what = event
    if kind != "head":
        return event
    assert isinstance(what, tuple)
    target, headers, has_body = what
    return target, [(name, value.lower()) for name, value in headers], has_body


@pytest.mark.parametrize("request_", GOOD, ids=UNUSUAL)
def test_another_parser_reads_what_is_read_here_alike(request_: bytes) -> None:
    if b"Upgrade" not in request_ and b'"e f' not in request_:
        assert read_alike(request_ + SMUGGLED)


def test_another_parser_reads_changed_requests_alike() -> None:
    chance = random.Random(20261124)
    bases = [request for request in GOOD if b"Upgrade" not in request]
    tokens = [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b"0",
        b"a",
        b"\x00",
        b";",
        b"Content-Length: 3\r\n",
        b"\xff",
    ]
    read = 0
    for _ in range(20_000):
        changed = chance.choice(bases)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(changed))
            changed = changed[:at] + chance.choice(tokens) + changed[at + chance.randint(0, 2) :]
        read += read_alike(changed + SMUGGLED)
    assert read > 1_000


def test_why_chunks_are_not_left_to_another_parser() -> None:
    """It lets a bare line feed end a trailer; who does not sees no end yet, and so no request behind it."""
    request_ = AMBIGUOUS["a trailer that ends in a line feed"]
    assert [kind for kind, _ in by_h11(request_)][-1] == "end"
    assert [kind for kind, _ in events([request_])][-1] == "refused"
