"""The head of a request: the one grammar that it must have, and what it says of the bytes that follow.

The grammar is narrower than the standard's wherever programs that read the same bytes are known to differ (RFC 9112): lines end
with CR and LF and are never folded, names stand directly before their colon, no value has a control character, and the
length of a body is said once or not at all. A head that leaves room for two readings is refused, not read in one of them.
"""

import re
from typing import NamedTuple

from starlette.datastructures import Headers

from tidewire.core.errors import BadRequest, ExpectationFailed, WireError
from tidewire.http.admission import host_problem

END = b"\r\n\r\n"

METHOD_BYTES = 24
"""Of a method at most; the longest registered one has 17."""

LENGTH_DIGITS = 19
"""Of a body's length at most: more does not fit into 64 bits, and some programs go on counting from 0."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"

FIELD = re.compile(rb"(%b):([\t -~\x80-\xff]*+)\r\n" % _TOKEN)
"""One header line."""

REQUEST_LINE = re.compile(rb"([A-Z]{1,%d}+) (/[!\"$-~]*+) HTTP/1\.([01])\r\n" % METHOD_BYTES)
"""A path with its query, as a server is asked for it. A whole URL names a second host beside `Host`, `*` and
`host:port` name nothing here, and a fragment is never sent."""

_HEAD = re.compile(rb"%b((?:%b:[\t -~\x80-\xff]*+\r\n)*+)\r\n" % (REQUEST_LINE.pattern, _TOKEN))

REQUEST_LINE_REST = METHOD_BYTES + len("  HTTP/1.1")
"""What a request line may have beside its target, in bytes."""

_LENGTH = re.compile(rb"[0-9]{1,%d}" % LENGTH_DIGITS)

_OF_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"expect", b"host"})


class Head(NamedTuple):
    """One request without its body.

    Attributes:
        method: in capital letters.
        target: path and query, as they came.
        version: `1.0` or `1.1`.
        headers: names in lower case, in their order.
        keep_alive: whether the client wants the connection to go on; one of HTTP/1.0 never does.
        length: bytes of the body; None when it comes in chunks.
        asks_first: the client sends the body when it is told to (`Expect: 100-continue`).
        raw: the whole head as it came.
    """

    method: bytes
    target: bytes
    version: str
    headers: tuple[tuple[bytes, bytes], ...]
    keep_alive: bool
    length: int | None
    asks_first: bool
    raw: bytes

    def value(self, name: bytes) -> bytes | None:
        """The value of the first header of that name, as the ordinary routes have it."""
        for header, value in self.headers:
            if header == name:
                return value
        return None

    def as_mapping(self) -> Headers:
        """The headers as the ordinary routes have them."""
        return Headers(raw=list(self.headers))

    @property
    def has_body(self) -> bool:
        """Whether something follows the head."""
        return self.length != 0


def unparsed() -> BadRequest:
    """What is said of bytes that no grammar fits."""
    return BadRequest("The request is not HTTP that can be read")


def parse_head(raw: bytes) -> Head | WireError:
    """Reads a head that has come whole.

    Args:
        raw: everything from the request line to the empty line, both included.

    Returns:
        The head, or why it is refused. Its size is not judged here.
    """
    match = _HEAD.fullmatch(raw)
    if match is None:
        return unparsed()
    method, target, minor, fields = match.groups()
    headers = tuple([(name.lower(), value.strip(b" \t")) for name, value in FIELD.findall(fields)])
    said: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _OF_FRAMING:
            said.setdefault(name, []).append(value)
    version = "1.1" if minor == b"1" else "1.0"
    problem = host_problem(len(said.get(b"host", ())), version) or _expectation_problem(said)
    if problem is not None:
        return problem
    length = _body_length(said, version)
    if isinstance(length, WireError):
        return length
    return Head(
        method,
        target,
        version,
        headers,
        keep_alive=version == "1.1" and not _wants_close(said.get(b"connection", ())),
        length=length,
        asks_first=version == "1.1" and b"expect" in said,
        raw=raw,
    )


def _expectation_problem(said: dict[bytes, list[bytes]]) -> WireError | None:
    expected = said.get(b"expect")
    if expected is None or [value.lower() for value in expected] == [b"100-continue"]:
        return None
    return ExpectationFailed()


def _body_length(said: dict[bytes, list[bytes]], version: str) -> int | WireError | None:
    """How long the body is, None for one in chunks; or why that can't be said for certain."""
    codings, lengths = said.get(b"transfer-encoding"), said.get(b"content-length")
    if codings is not None:
        if lengths is not None:
            return BadRequest("The request has both Content-Length and Transfer-Encoding")
        if version != "1.1" or [coding.lower() for coding in codings] != [b"chunked"]:
            return BadRequest("The only Transfer-Encoding is 'chunked', once, in HTTP/1.1")
        return None
    if lengths is None:
        return 0
    if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
        return BadRequest("The request must have one Content-Length, which is a number of bytes")
    return int(lengths[0])


def _wants_close(values: list[bytes] | tuple[()]) -> bool:
    return any(token.strip().lower() == b"close" for value in values for token in value.split(b","))
