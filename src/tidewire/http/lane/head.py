"""The head of a request: found, bounded, and read by the same strict parser that uvicorn uses.

A head that is whole is read in one go, so one parser serves all connections: between two heads it holds
nothing. What it refuses is not judged here; uvicorn's protocol reads the same bytes and says so.
"""

from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.datastructures import Headers

END = b"\r\n\r\n"


class Head(NamedTuple):
    """One request without its body.

    Attributes:
        target: what stands between method and version, as it came.
        headers: names in lower case, in their order.
        keep_alive: whether the client wants the connection to go on, as uvicorn understands it.
        upgrade: the client offers to speak another protocol.
    """

    method: bytes
    target: bytes
    version: str
    headers: tuple[tuple[bytes, bytes], ...]
    keep_alive: bool
    upgrade: bool

    def values(self, name: bytes) -> list[bytes]:
        """The values of all headers of that name."""
        return [value for header, value in self.headers if header == name]

    def value(self, name: bytes) -> bytes | None:
        """The value of the first header of that name, as the ordinary routes have it."""
        for header, value in self.headers:
            if header == name:
                return value
        return None

    def as_mapping(self) -> Headers:
        """The headers as the ordinary routes have them."""
        return Headers(raw=list(self.headers))

    def text(self, name: bytes) -> str | None:
        """The same as text."""
        value = self.value(name)
        return None if value is None else value.decode("latin-1")

    @property
    def has_body(self) -> bool:
        """Whether something follows the head."""
        return self.value(b"transfer-encoding") is not None or self.value(b"content-length") not in {
            None,
            b"0",
        }


class HeadReader:
    """Reads heads, one after the other."""

    __slots__ = ("_ended", "_head", "_headers", "_idle_parser", "_parser", "_target")

    def __init__(self) -> None:
        self._idle_parser: HttpRequestParser | None = None
        self._begin()

    def _begin(self) -> None:
        # Only a parser that is known to be between two requests is used again.
        self._parser = self._idle_parser or HttpRequestParser(self)
        self._idle_parser = None
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head: Head | None = None
        self._ended = False

    def read(self, raw: bytes) -> Head | None:
        """The head in `raw`, which ends with an empty line; None when it is not HTTP to the letter."""
        self._begin()
        try:
            self._parser.feed_data(raw)
        except HttpParserUpgrade:
            return self._head and self._head._replace(upgrade=True)
        except HttpParserError:
            return None
        head = self._head
        if head is not None and self._ended and head.keep_alive:
            self._idle_parser = self._parser
        return head

    def on_url(self, url: bytes) -> None:
        """Called by the parser."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        parser = self._parser
        version = parser.get_http_version()
        keep_alive = version != "1.0" and parser.should_keep_alive()
        self._head = Head(
            parser.get_method(), self._target, version, tuple(self._headers), keep_alive, upgrade=False
        )

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._ended = True


def without_upgrade(raw: bytes) -> bytes:
    """A head without its offer to speak another protocol, which may be ignored (RFC 9110, 7.8).

    The parser would end the request there, and its body be lost.
    """
    lines = raw.split(b"\r\n")
    return b"\r\n".join(line for line in lines if line[:8].lower() != b"upgrade:")
