"""Reading requests on the lane: the head, with the parser that uvicorn uses, and the target of a poll.

A target that is not written as clients usually write it belongs to the ordinary route.
"""

import re
from collections.abc import KeysView, Mapping
from types import MappingProxyType
from typing import NamedTuple

from starlette.datastructures import Headers

from tidewire.core.errors import BadRequest, ExpectationFailed, WireError
from tidewire.http.authentication import host_problem
from tidewire.http.request_log import POLL_PATH, SESSION_POLL_PATH

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


_ONE_LENGTH = "The request must have one Content-Length, which is a number of bytes"


_ONE_CODING = "The only Transfer-Encoding is 'chunked', once, in HTTP/1.1"


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
        names: of all headers.
    """

    method: bytes
    target: bytes
    version: str
    headers: tuple[tuple[bytes, bytes], ...]
    keep_alive: bool
    length: int | None
    asks_first: bool
    raw: bytes
    names: KeysView[bytes]

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
    version = "1.1" if minor == b"1" else "1.0"
    said = dict(headers)
    if len(said) != len(headers):
        problem = _repetition_problem(headers, version)
        if problem is not None:
            return problem
    if b"host" not in said and version == "1.1":
        return host_problem(0, version) or unparsed()
    expected = said.get(b"expect")
    if expected is not None and expected.lower() != b"100-continue":
        return ExpectationFailed()
    length: int | None = 0
    if b"content-length" in said or b"transfer-encoding" in said:
        found = _body_length(said, version)
        if isinstance(found, WireError):
            return found
        length = found
    keep_alive = version == "1.1" and not (b"connection" in said and _wants_close(headers))
    asks_first = expected is not None and version == "1.1"
    return Head(method, target, version, headers, keep_alive, length, asks_first, raw, said.keys())


def _repetition_problem(headers: tuple[tuple[bytes, bytes], ...], version: str) -> WireError | None:
    """What is wrong with saying something twice, if that is: each reader may believe another."""
    names = [name for name, _ in headers]
    if names.count(b"host") > 1:
        return host_problem(names.count(b"host"), version)
    if names.count(b"expect") > 1:
        return ExpectationFailed()
    if names.count(b"content-length") > 1:
        return BadRequest(_ONE_LENGTH)
    if names.count(b"transfer-encoding") > 1:
        return BadRequest(_ONE_CODING)
    return None


def _body_length(said: dict[bytes, bytes], version: str) -> int | WireError | None:
    """How long the body is, None for one in chunks; or why that can't be said for certain."""
    coding, length = said.get(b"transfer-encoding"), said.get(b"content-length", b"")
    if coding is not None:
        if b"content-length" in said:
            return BadRequest("The request has both Content-Length and Transfer-Encoding")
        return None if version == "1.1" and coding.lower() == b"chunked" else BadRequest(_ONE_CODING)
    return int(length) if _LENGTH.fullmatch(length) else BadRequest(_ONE_LENGTH)


def _wants_close(headers: tuple[tuple[bytes, bytes], ...]) -> bool:
    said = b",".join([value for name, value in headers if name == b"connection"]).lower()
    return b"close" in said and b"close" in [token.strip() for token in said.split(b",")]


NUMBER = re.compile(rb"-1|0|[1-9][0-9]{0,17}")
"""An event id as clients write it, in 64 bits; others take the long way."""


_PATHS: Mapping[bytes, str] = MappingProxyType(
    {path.encode(): path for path in (POLL_PATH, SESSION_POLL_PATH)}
)


_NAMES = frozenset({b"queue_id", b"last_event_id", b"dont_block", b"client"})


_BOOLEANS: Mapping[bytes, bool] = MappingProxyType({b"true": True, b"false": False})


class PollRequest(NamedTuple):
    """What a poll asks for, and by which of the two paths."""

    queue_id: str
    last_event_id: int
    block: bool
    client: str | None
    path: str = POLL_PATH


def parse_poll(target: bytes) -> PollRequest | None:
    """The poll in a target, or None when it needs decoding, checking, or an answer in words."""
    written, _, query = target.partition(b"?")
    path = _PATHS.get(written)
    if path is None or b"%" in query or b"+" in query or not query.isascii():
        return None
    values: dict[bytes, bytes] = {}
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name not in _NAMES or name in values or not value:
            return None
        values[name] = value
    queue_id, last_event_id = values.get(b"queue_id"), values.get(b"last_event_id")
    dont_block = _BOOLEANS.get(values.get(b"dont_block", b"false"))
    if queue_id is None or last_event_id is None or dont_block is None:
        return None
    if not NUMBER.fullmatch(last_event_id):
        return None
    client = values.get(b"client")
    return PollRequest(
        queue_id.decode(),
        int(last_event_id),
        not dont_block,
        None if client is None else client.decode(),
        path,
    )
