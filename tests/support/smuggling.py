"""Forms of request smuggling: each carries a complete inner request in a place where one reader of the wire sees none.

A form is written for a carrier (an ordinary request that surrounds it) and an inner request. Read to the letter of
RFC 9112, the inner request is never a request of its own: it is a body, a part of a head, or behind what must be
refused with the connection closed. Where a form relies on a proxy reading one thing and the server another, it says so.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias

from support.server_process import credentials

HOST = b"Host: chat.example.com\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"

OUTER = "gil"
"""The account in whose name carriers ask."""

INNER = "bob"
"""The account in whose name nothing but inner requests ask: where its name is seen, one was served."""


class Wait(Enum):
    """What an attacker waits for between two writes."""

    ANSWER = "an answer, or the end of the connection"
    MOMENT = "long enough for what was written to be read by itself"


Step: TypeAlias = bytes | Wait


def authorization(name: str) -> bytes:
    """The header line with a user's credentials."""
    return b"Authorization: %b\r\n" % credentials(name)["Authorization"].encode()


INNER_AUTHORIZATION = authorization(INNER)

# Inner requests.


@dataclass(frozen=True, slots=True)
class Aim:
    """What an inner request is after.

    Attributes:
        request: the inner request, whole; `{queue}` stands for the id of a queue of the inner account.
        marks: bytes of the answers that only this request can get.
    """

    request: bytes
    marks: tuple[bytes, ...]

    def inner(self, queue_id: str) -> bytes:
        """The request for a queue of the inner account."""
        return self.request.replace(b"{queue}", queue_id.encode())

    def is_answered(self, received: bytes | bytearray, queue_id: str) -> bool:
        """Whether an answer to it is in what was received."""
        return any(mark.replace(b"{queue}", queue_id.encode()) in received for mark in self.marks)

    @property
    def is_internal(self) -> bool:
        """Whether it asks for what is not public."""
        return INNER_AUTHORIZATION not in self.request


AIMS: Mapping[str, Aim] = MappingProxyType(
    {
        "metrics": Aim(b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n", (b"# HELP tidewire_",)),
        "internal route": Aim(
            b"POST /api/v1/events/internal HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
            (b"REQUEST_VARIABLE_MISSING", b"Access denied"),
        ),
        "operators' route": Aim(
            b"GET /api/internal/queues HTTP/1.1\r\n" + HOST + b"\r\n",
            (b"REQUEST_VARIABLE_MISSING", b"Access denied"),
        ),
        "console": Aim(
            # It answers to names that are the machine's own, and this one reaches it only when no proxy passed it on.
            b"GET /console HTTP/1.1\r\nHost: localhost\r\n\r\n",
            (b"<title>Tidewire console", b"The console does not answer"),
        ),
        "second answer": Aim(
            b"GET /api/v1/users/me HTTP/1.1\r\n" + HOST + INNER_AUTHORIZATION + b"\r\n",
            (b"bob@test.example",),
        ),
        # Its answer comes late, so that the connection to the server looks idle meanwhile: the surest way to another
        # client's answer, where connections are shared.
        "late answer": Aim(
            b"GET /api/v1/events?queue_id={queue}&last_event_id=-1 HTTP/1.1\r\n"
            + HOST
            + INNER_AUTHORIZATION
            + b"\r\n",
            (b'"queue_id":"{queue}"',),
        ),
    }
)


# Carriers.


@dataclass(frozen=True, slots=True)
class Carrier:
    """An ordinary request that surrounds an inner one; the rest of its head is the form's."""

    method: bytes
    target: bytes
    lines: bytes = b""

    def head(self, lines: bytes = b"", *, target: bytes | None = None, version: bytes = b"HTTP/1.1") -> bytes:
        """The whole head with further lines."""
        return b"%b %b %b\r\n%b%b%b\r\n" % (
            self.method,
            target or self.target,
            version,
            HOST,
            self.lines,
            lines,
        )

    def sized(self, body: bytes, lines: bytes = b"", *, version: bytes = b"HTTP/1.1") -> bytes:
        """The request with a body and its length."""
        return self.head(b"Content-Length: %d\r\n%b" % (len(body), lines), version=version) + body


CARRIERS: tuple[Carrier, ...] = (
    Carrier(b"POST", b"/api/v1/register", FORM),
    Carrier(b"POST", b"/json/register"),
    Carrier(b"GET", b"/api/v1/server_settings"),
    Carrier(b"GET", b"/api/v1/users/me", authorization(OUTER)),
    Carrier(b"DELETE", b"/api/v1/events?queue_id=none", FORM + authorization(OUTER)),
    Carrier(b"GET", b"/api/v1/events?queue_id=none&last_event_id=-1", authorization(OUTER)),
    Carrier(b"POST", b"/api/v1/events"),
)
"""Answered early and late, with a login and without, by views that read their body and by others."""


@dataclass(frozen=True, slots=True)
class SmugglingForm:
    """One way to hide a request.

    Attributes:
        steps: what to write, and what to wait for, for a carrier and an inner request.
        is_hidden: to the letter, the inner request is no request. Otherwise it is one that a proxy would have to
            take for its own, and judge: then nothing is shown by its being answered without a proxy.
    """

    steps: Callable[[Carrier, bytes], tuple[Step, ...]]
    is_hidden: bool = True


class Delivery(Enum):
    """In how many pieces a form arrives: a reader may take what comes by itself for something new."""

    AT_ONCE = "as the form has it"
    APART = "what follows a head comes by itself"
    AFTER_ANSWER = "what follows a head comes when the head is answered"

    def steps(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """The form's steps, delivered like this."""
        return tuple(part for step in steps for part in self._parts(step))

    def _parts(self, step: Step) -> tuple[Step, ...]:
        if self is Delivery.AT_ONCE or isinstance(step, Wait) or not step.partition(HEAD_END)[2]:
            return (step,)
        head, end, rest = step.partition(HEAD_END)
        return head + end, Wait.MOMENT if self is Delivery.APART else Wait.ANSWER, rest


HEAD_END = b"\r\n\r\n"

Named: TypeAlias = Iterator[tuple[str, SmugglingForm]]

UPGRADE = b"Connection: upgrade\r\nUpgrade: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"
FORM_BODY = b"event_types=%5B%5D"


def chunk(data: bytes) -> bytes:
    """One chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _plain(lines: bytes) -> SmugglingForm:
    """A body of its length, under unusual header lines."""
    return SmugglingForm(lambda carrier, inner: (carrier.sized(inner, lines),))


def _chunks(lines: bytes) -> SmugglingForm:
    """The same in a chunk."""
    return SmugglingForm(lambda carrier, inner: (carrier.head(CHUNKED + lines) + chunk(inner) + END,))


def _written(write: Callable[[Carrier, bytes], bytes], *, is_hidden: bool = True) -> SmugglingForm:
    """A form that is written at once."""
    return SmugglingForm(lambda carrier, inner: (write(carrier, inner),), is_hidden)


# Offers to speak another protocol.

UPGRADES: Mapping[str, bytes] = MappingProxyType(
    {
        "to x": UPGRADE,
        "to a WebSocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "to HTTP/2": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        "to TLS": b"Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n",
        "in capitals": b"CONNECTION: UPGRADE\r\nUPGRADE: X\r\n",
        "among others": b"Connection: keep-alive, Upgrade, close-not\r\nUpgrade: x\r\n",
        "in two Connection lines": b"Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: x\r\n",
        "in two Upgrade lines": b"Upgrade: y\r\nConnection: upgrade\r\nUpgrade: x\r\n",
        "without Connection": b"Upgrade: x\r\n",
        "without Upgrade": b"Connection: upgrade\r\n",
        "with a tab": b"Connection:\tupgrade\r\nUpgrade:\tx\r\n",
        "and Expect": UPGRADE + b"Expect: 100-continue\r\n",
        "and close": b"Connection: upgrade, close\r\nUpgrade: x\r\n",
    }
)


def _after(first: Callable[[Carrier], tuple[Step, ...]], lines: bytes) -> SmugglingForm:
    """An upgrade with a body, on a connection that has had something before."""
    return SmugglingForm(lambda carrier, inner: (*first(carrier), carrier.sized(inner, lines)))


def _held_back(carrier: Carrier) -> tuple[Step, ...]:
    """A request whose body comes when its answer is there."""
    return carrier.head(b"Content-Length: %d\r\n" % len(FORM_BODY)), Wait.ANSWER, FORM_BODY


def _late(carrier: Carrier) -> tuple[Step, ...]:
    """A request whose body comes while it is being answered."""
    head = carrier.head(b"Content-Length: %d\r\n" % len(FORM_BODY))
    return head, Wait.MOMENT, FORM_BODY, Wait.ANSWER


def _upgrades() -> Named:
    for name, lines in UPGRADES.items():
        yield f"an upgrade {name}", _plain(lines)
        yield f"a second request with an upgrade {name}", _after(lambda c: (c.head(), Wait.ANSWER), lines)
    yield "an upgrade of a chunked request", _chunks(UPGRADE)
    yield "an upgrade behind a body held back", _after(_held_back, UPGRADE)
    yield (
        "an upgrade behind a body held back for ever",
        _after(lambda c: (c.head(b"Content-Length: 9\r\n"), Wait.ANSWER), UPGRADE),
    )
    yield (
        "an upgrade behind a chunked request",
        _after(lambda c: (c.head(CHUNKED) + chunk(b"a=b") + END, Wait.ANSWER), UPGRADE),
    )
    yield "an upgrade in the same segment as another request", _after(lambda c: (c.head(),), UPGRADE)
    # A proxy keeps a connection only when the body was on its way before the answer was.
    yield "an upgrade behind a body held back for a moment", _after(_late, UPGRADE)
    yield (
        "an upgrade behind two bodies held back for a moment",
        _after(lambda c: (*_late(c), *_late(c)), UPGRADE),
    )


# Bodies that come when the answer is there, or half before.


def _bodies_held_back() -> Named:
    yield (
        "a body held back",
        SmugglingForm(lambda c, i: (c.head(b"Content-Length: %d\r\n" % len(i)), Wait.ANSWER, i)),
    )
    yield (
        "half a body held back",
        SmugglingForm(
            lambda c, i: (
                c.head(b"Content-Length: %d\r\n" % (len(i) + 5)) + b"a=b&c",
                Wait.ANSWER,
                i,
            )
        ),
    )
    yield "chunks held back", SmugglingForm(lambda c, i: (c.head(CHUNKED), Wait.ANSWER, chunk(i) + END))
    yield (
        "a chunk held back behind its size",
        SmugglingForm(lambda c, i: (c.head(CHUNKED) + b"%x\r\n" % len(i), Wait.ANSWER, i + b"\r\n" + END)),
    )
    yield (
        "chunks held back behind one",
        SmugglingForm(lambda c, i: (c.head(CHUNKED) + chunk(b"a=b"), Wait.ANSWER, chunk(i) + END)),
    )
    yield (
        "a large body that goes on when it was refused",
        SmugglingForm(lambda c, i: (c.head(b"Content-Length: 70000\r\n") + b"a", Wait.ANSWER, i, i, i)),
    )
    yield (
        "a body longer than is taken",
        SmugglingForm(lambda c, i: (c.head(b"Content-Length: 99999999999\r\n"), Wait.ANSWER, i)),
    )
    yield (
        "a body in small pieces",
        SmugglingForm(
            lambda c, i: (
                c.head(b"Content-Length: %d\r\n" % len(i)),
                Wait.MOMENT,
                i[:7],
                Wait.MOMENT,
                i[7:],
            )
        ),
    )
    yield (
        "a head and its body in pieces",
        SmugglingForm(lambda c, i: (c.sized(i)[:30], Wait.MOMENT, c.sized(i)[30:])),
    )
    for expectation in (b"100-continue", b"100-Continue, x", b"miracles", b""):
        lines = b"Expect: %b\r\n" % expectation
        name = expectation.decode() or "nothing"
        yield f"an expectation of {name} not waited for", _plain(lines)
        yield (
            f"an expectation of {name} and a body held back",
            SmugglingForm(
                lambda c, i, lines=lines: (  # type: ignore[misc]  # the default binds the loop's value
                    c.head(lines + b"Content-Length: %d\r\n" % len(i)),
                    Wait.ANSWER,
                    i,
                )
            ),
        )
    yield "an expectation with chunks", _chunks(b"Expect: 100-continue\r\n")


# Two lengths: Content-Length and chunks.

CODINGS: Mapping[str, bytes] = MappingProxyType(
    {
        "chunks": CHUNKED,
        "an unknown coding": b"Transfer-Encoding: xchunked\r\n",
        "a space before the colon": b"Transfer-Encoding : chunked\r\n",
        "a tab before the coding": b"Transfer-Encoding:\tchunked\r\n",
        "a vertical tab before the coding": b"Transfer-Encoding: \x0bchunked\r\n",
        "a vertical tab behind the coding": b"Transfer-Encoding: chunked\x0b\r\n",
        "a space before the name": b" Transfer-Encoding: chunked\r\n",
        "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n",
        "a bare line feed before the name": b"X: x\nTransfer-Encoding: chunked\r\n",
        "a bare carriage return before the name": b"X: x\rTransfer-Encoding: chunked\r\n",
        "a bare line feed behind the name": b"Transfer-Encoding\n: chunked\r\n",
        "NUL in the name": b"Transfer-Encoding\x00: chunked\r\n",
        "NUL before the coding": b"Transfer-Encoding: \x00chunked\r\n",
        "a high byte before the coding": b"Transfer-Encoding: \xffchunked\r\n",
        "chunks and identity": b"Transfer-Encoding: chunked, identity\r\n",
        "identity and chunks": b"Transfer-Encoding: identity, chunked\r\n",
        "identity": b"Transfer-Encoding: identity\r\n",
        "gzip and chunks": b"Transfer-Encoding: gzip, chunked\r\n",
        "chunks twice": b"Transfer-Encoding: chunked, chunked\r\n",
        "chunks in two lines": CHUNKED + CHUNKED,
        "chunks and another line": CHUNKED + b"Transfer-Encoding: x\r\n",
        "another line and chunks": b"Transfer-Encoding: x\r\n" + CHUNKED,
        "capitals": b"TRANSFER-ENCODING: CHUNKED\r\n",
        "quotes": b'Transfer-Encoding: "chunked"\r\n',
        "a parameter": b"Transfer-Encoding: chunked;q=1\r\n",
        "a comma before the coding": b"Transfer-Encoding: ,chunked\r\n",
        "a comma behind the coding": b"Transfer-Encoding: chunked,\r\n",
        "an empty coding": b"Transfer-Encoding:\r\n",
        "an underscore": b"Transfer_Encoding: chunked\r\n",
        "TE": b"TE: chunked\r\n",
        "a coding named by Connection": b"Connection: Transfer-Encoding\r\n" + CHUNKED,
    }
)


def _two_lengths() -> Named:
    for name, lines in CODINGS.items():
        yield (
            f"a length over chunks: {name}",
            SmugglingForm(lambda c, i, lines=lines: (c.sized(END + i, lines),)),  # type: ignore[misc]  # as above
        )

        def short(carrier: Carrier, inner: bytes, lines: bytes = lines) -> tuple[Step, ...]:
            body = chunk(inner) + END
            size = body.index(b"\r\n") + 2
            return (carrier.head(b"Content-Length: %d\r\n%b" % (size, lines)) + body,)

        # Whoever must ignore such a line has to take the inner request for a further one.
        must_ignore = name in {"an underscore", "TE"}
        yield f"chunks over a length: {name}", SmugglingForm(short, not must_ignore)
    yield (
        "chunks before a length",
        _written(lambda c, i: c.head(CHUNKED + b"Content-Length: 0\r\n") + END + i),
    )


# Lengths.


def _lengths() -> Named:
    def with_length(lines: bytes) -> SmugglingForm:
        return SmugglingForm(lambda c, i: (c.head(lines.replace(b"{n}", b"%d" % len(i))) + i,))

    for name, lines in {
        "twice, short first": b"Content-Length: 0\r\nContent-Length: {n}\r\n",
        "twice, short last": b"Content-Length: {n}\r\nContent-Length: 0\r\n",
        "in a list": b"Content-Length: {n}, 0\r\n",
        "in a list, short first": b"Content-Length: 0,{n}\r\n",
        "with a plus": b"Content-Length: +{n}\r\n",
        "with a minus": b"Content-Length: -{n}\r\n",
        "with leading zeros": b"Content-Length: 000{n}\r\n",
        "in hex": b"Content-Length: 0x{n}\r\n",
        "with a fraction": b"Content-Length: {n}.0\r\n",
        "with an exponent": b"Content-Length: {n}e0\r\n",
        "with an underscore": b"Content-Length: 1_0\r\n",
        "with spaces around": b"Content-Length:   {n}   \r\n",
        "with a space inside": b"Content-Length: 0 {n}\r\n",
        "with NUL": b"Content-Length: {n}\x00\r\n",
        "with a vertical tab": b"Content-Length: \x0b{n}\r\n",
        "with other digits": b"Content-Length: \xc2\xb2\r\n",
        "empty": b"Content-Length:\r\n",
        "over 64 bits": b"Content-Length: 18446744073709551616\r\n",
        "just over 64 bits": b"Content-Length: 18446744073709551617\r\n",
        "of 40 digits": b"Content-Length: " + b"0" * 12 + b"9" * 28 + b"\r\n",
        "with a space before the colon": b"Content-Length : {n}\r\n",
        "with a tab before the colon": b"Content-Length\t: {n}\r\n",
        "folded": b"Content-Length:\r\n {n}\r\n",
        "behind a bare line feed": b"X: x\nContent-Length: {n}\r\n",
        "behind a bare carriage return": b"X: x\rContent-Length: {n}\r\n",
        "with NUL in its name": b"Content-\x00Length: {n}\r\n",
    }.items():
        yield f"a length {name}", with_length(lines)
    for name, lines in {
        "with an underscore in its name": b"Content_Length: {n}\r\n",
        "of nothing": b"Content-Length: 0\r\n",
        "of nothing with Connection": b"Connection: Content-Length\r\nContent-Length: 0\r\n",
        "that is missing": b"",
    }.items():
        yield f"a length {name}", SmugglingForm(with_length(lines).steps, is_hidden=False)


# Chunks.


def _chunk_tricks() -> Named:
    def chunks(write: Callable[[bytes], bytes]) -> SmugglingForm:
        return SmugglingForm(lambda c, i: (c.head(CHUNKED) + write(i),))

    yield "a chunked body", _chunks(b"")
    yield "a chunk with an extension", chunks(lambda i: b"%x;a=b\r\n%b\r\n" % (len(i), i) + END)
    yield "an extension with a line feed", chunks(lambda i: b"3;a=\nb\r\na=b\r\n" + END + i)
    yield "an extension with a carriage return", chunks(lambda i: b"3;a=\rb\r\na=b\r\n" + END + i)
    yield "a line end in a quoted extension", chunks(lambda i: b'3;a="\r\na=b\r\n' + END + i)
    yield "an extension that is the request", chunks(lambda i: b"3;" + i + b"\r\na=b\r\n" + END)
    # Good to the letter, so what follows is a request.
    yield (
        "a long extension",
        _written(
            lambda c, i: c.head(CHUNKED) + b"3;" + b"a" * 20_000 + b"\r\na=b\r\n" + END + i,
            is_hidden=False,
        ),
    )
    yield "an extension without a name", chunks(lambda i: b"3;\n\r\na=b\r\n" + END + i)
    yield "a size ended by a line feed", chunks(lambda i: b"3\na=b\r\n" + END + i)
    yield "chunks ended by line feeds", chunks(lambda i: b"3\na=b\n0\n\n" + i)
    yield "a last chunk ended by line feeds", chunks(lambda i: b"3\r\na=b\r\n0\n\n" + i)
    yield "an end with a bare line feed", chunks(lambda i: b"3\r\na=b\r\n0\r\n\n" + i)
    yield "a size ended by a carriage return", chunks(lambda i: b"3\ra=b\r\n" + END + i)
    yield "a chunk without its end", chunks(lambda i: b"3\r\na=b" + END + i)
    yield "a chunk with another end", chunks(lambda i: b"3\r\na=bXX" + END + i)
    yield "a chunk longer than its size", chunks(lambda i: b"1\r\na=b\r\n" + END + i)
    yield "a size in hex with 0x", chunks(lambda i: b"0x3\r\na=b\r\n" + END + i)
    yield "a size with a plus", chunks(lambda i: b"+3\r\na=b\r\n" + END + i)
    yield "a size with a minus", chunks(lambda i: b"-3\r\na=b\r\n" + END + i)
    yield "a size with a space before", chunks(lambda i: b" 3\r\na=b\r\n" + END + i)
    yield "a size with an underscore", chunks(lambda i: b"0_3\r\na=b\r\n" + END + i)
    yield "a size over 64 bits", chunks(lambda i: b"10000000000000003\r\na=b\r\n" + END + i)
    yield "a size of 40 digits", chunks(lambda i: b"f" * 40 + b"\r\na=b\r\n" + END + i)
    yield "an empty size", chunks(lambda i: b"\r\n" + END + i)
    yield "a size that is no number", chunks(lambda i: b"g\r\n" + END + i)
    yield "a size with NUL", chunks(lambda i: b"3\x00\r\na=b\r\n" + END + i)
    yield "trailers that are the request", chunks(lambda i: b"3\r\na=b\r\n0\r\n" + i)
    for name, line in {
        "a length": b"Content-Length: 500",
        "chunks": b"Transfer-Encoding: chunked",
        "who asks": INNER_AUTHORIZATION.rstrip(),
        "where from": b"X-Forwarded-For: 127.0.0.1",
        "a host": b"Host: localhost",
        "a bare line feed": b"A: b\n",
        "a space before the colon": b"A : b",
        "a folded line": b"A: b\r\n c",
    }.items():
        end = b"0\r\n%b\r\n\r\n" % line
        yield f"trailers with {name}", chunks(lambda i, end=end: chunk(i) + end)  # type: ignore[misc]  # as above


# Heads.


def _heads() -> Named:
    headers: Mapping[str, bytes] = {
        "NUL in a value": b"A: b\x00c\r\n",
        "NUL in a name": b"A\x00: b\r\n",
        "a carriage return in a value": b"A: b\rc\r\n",
        "a line feed in a value": b"A: b\nc\r\n",
        "a folded line": b"A: b\r\n c\r\n",
        "a folded line of nothing": b"A: b\r\n \r\n",
        "a space before the colon": b"A : b\r\n",
        "a line without a colon": b"Abc\r\n",
        "a line without a name": b": b\r\n",
        "101 lines": b"A: b\r\n" * 101,
        "a long line": b"A: " + b"b" * 20_000 + b"\r\n",
        "a second host": b"Host: 127.0.0.1\r\n",
        "a method to put in place": b"X-HTTP-Method-Override: GET\r\n",
        "a path to put in place": b"X-Original-URL: /metrics\r\nX-Rewrite-URL: /metrics\r\n",
        "an address": b"X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\n",
        "an address with an underscore": b"X_Forwarded_For: 127.0.0.1\r\n",
        "an old connection header": b"Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=9, max=9\r\n",
    }
    for name, lines in headers.items():
        yield f"a head with {name}", _plain(lines)
    for named in (
        b"Content-Length",
        b"Transfer-Encoding",
        b"X-Forwarded-For",
        b"Authorization",
        b"Host",
        b"close, X-Forwarded-For",
        b"keep-alive, Content-Length, X-Forwarded-For",
    ):
        lines = b"Connection: %b\r\n" % named
        yield f"a length and Connection: {named.decode()}", _plain(lines)
        yield f"chunks and Connection: {named.decode()}", _chunks(lines)
    # The inner request in the head itself.
    for name, between in {
        "two line feeds": b"\n\n",
        "two carriage returns": b"\r\r",
        "a line feed, a carriage return, a line feed": b"\n\r\n",
        "a carriage return too many": b"\r\r\n\r\r\n",
        "NUL and line feeds": b"\x00\n\n",
    }.items():
        yield (
            f"a head cut in two by {name}",
            _written(lambda c, i, cut=between: c.head(b"A: b" + cut + i)),  # type: ignore[misc]  # as above
        )
    yield "a request in a header's value", _written(lambda c, i: c.head(b"A: " + i.replace(b"\r\n", b"\r")))


# Request lines and versions.


def _request_lines() -> Named:
    targets: Mapping[str, tuple[bytes, bytes]] = {
        "a line end escaped in it": (b"", b"%20HTTP/1.1%0d%0aHost:%20x%0d%0a%0d%0a"),
        "a line feed in it": (b"", b"\nX: y"),
        "a carriage return in it": (b"", b"\rX: y"),
        "a space in it": (b"", b" HTTP/1.1"),
        "a tab in it": (b"", b"\tHTTP/1.1"),
        "NUL in it": (b"", b"\x00"),
        "a fragment": (b"", b"#x"),
        "a whole address": (b"http://chat.example.com", b""),
        "another host's address": (b"http://127.0.0.1", b""),
        "two slashes": (b"/", b""),
    }
    for name, (before, behind) in targets.items():
        yield (
            f"a target with {name}",
            _written(
                lambda c, i, before=before, behind=behind: (  # type: ignore[misc]  # as above
                    c.head(b"Content-Length: %d\r\n" % len(i), target=before + c.target + behind) + i
                )
            ),
        )
    for version in (b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1.10", b"http/1.1", b"HTTP/0.9", b"HTTP /1.1", b"x"):
        yield (
            f"version {version.decode()}",
            _written(lambda c, i, version=version: c.sized(i, version=version)),  # type: ignore[misc]  # as above
        )
    yield "HTTP/1.0 with a length", _written(lambda c, i: c.sized(i, version=b"HTTP/1.0"))
    yield (
        "HTTP/1.0 that stays, with a length",
        _written(lambda c, i: c.sized(i, b"Connection: keep-alive\r\n", version=b"HTTP/1.0")),
    )
    for name, lines in {
        "with chunks": CHUNKED,
        "that stays, with chunks": CHUNKED + b"Connection: keep-alive\r\n",
        "with chunks and a length": CHUNKED + b"Content-Length: 5\r\n",
    }.items():
        yield (
            f"HTTP/1.0 {name}",
            _written(
                lambda c, i, lines=lines: (  # type: ignore[misc]  # as above
                    c.head(lines, version=b"HTTP/1.0") + chunk(i) + END
                )
            ),
        )
    yield "a request behind one in HTTP/1.0", _written(lambda c, i: c.head(version=b"HTTP/1.0") + i)
    yield "a request behind the last one", _written(lambda c, i: c.head(b"Connection: close\r\n") + i)
    yield (
        "a request behind the last one's body",
        _written(lambda c, i: c.sized(FORM_BODY, b"Connection: close\r\n") + i),
    )
    for method in (b"CONNECT", b"TRACE", b"HEAD", b"OPTIONS", b"PRI", b"get"):
        yield (
            f"method {method.decode()} with a body",
            _written(
                lambda c, i, method=method: Carrier(method, c.target, c.lines).sized(i)  # type: ignore[misc]  # as above
            ),
        )
    yield (
        "several requests with bodies at once",
        _written(lambda c, i: b"".join(c.sized(i) for _ in range(5))),
    )
    yield (
        "an early answer before others",
        _written(lambda c, i: CARRIERS[0].sized(i) + CARRIERS[3].sized(i, UPGRADE) + c.sized(i)),
    )


# Internal routes by an unusual target: what the proxy lets pass must not be more to the server.


def _targets() -> Named:
    for target in (
        b"http://127.0.0.1/metrics",
        b"/metrics",
        b"//metrics",
        b"/api/v1/events/../../../metrics",
        b"/api/v1/events/..%2f..%2f..%2fmetrics",
        b"/api/v1/events/%2e%2e/%2e%2e/%2e%2e/metrics",
        b"/api/v1/events;/../../../metrics",
        b"/metrics%3f/../api/v1/events",
        b"/metrics#/../api/v1/events",
        b"/api/v1/events/internal%0a/../../events",
        b"/api/v1/events%2finternal",
        b"/api/v1/events/./internal",
        b"/api/v1/%65vents/internal",
        b"/console%00/../api/v1/events",
        b"/api/v1/register%0a/../../internal/queues",
        b"/\\metrics",
    ):
        yield (
            f"target {target.decode()}",
            _written(
                lambda c, i, target=target: (  # type: ignore[misc]  # as above
                    c.head(b"Content-Length: %d\r\n" % len(i), target=target) + i
                ),
                is_hidden=False,
            ),
        )


def _all() -> dict[str, SmugglingForm]:
    families = (
        _upgrades,
        _bodies_held_back,
        _two_lengths,
        _lengths,
        _chunk_tricks,
        _heads,
        _request_lines,
        _targets,
    )
    return {name: form for family in families for name, form in family()}


FORMS: Mapping[str, SmugglingForm] = MappingProxyType(_all())
"""Each form by its name."""
