"""HTTP over plain sockets: a request may be as broken as a test wants it, an answer is read to its end."""

import base64
import json
import socket
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

TIMEOUT = 60.0
"""Seconds after which a connection counts as hung."""


class Closed(Exception):
    """The server closed the connection before a whole answer."""


@dataclass(frozen=True)
class Answer:
    """One answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        decoded = json.loads(self.body)
        assert isinstance(decoded, dict)
        return decoded


class RawConnection:
    """One connection; bytes go out as they are given."""

    def __init__(self, port: int, *, timeout: float = TIMEOUT) -> None:
        self._port, self._timeout = port, timeout
        self._socket = self._connected()
        self._received = b""

    def _connected(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=self._timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def reconnect(self) -> None:
        """Closes the connection, and has another."""
        self.close()
        self._socket = self._connected()
        self._received = b""

    def send(self, data: bytes) -> None:
        """Sends bytes; that the server has closed already is no fault."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def end_sending(self) -> None:
        """Says that no more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self, *, to_head: bool = False) -> Answer:
        """Reads one answer; `to_head` says that it has no body.

        Raises:
            Closed: there is none.
            TimeoutError: the connection hangs.
        """
        head = self._until(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        status = int(status_line.split(" ")[1])
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        if status < 200:
            return self.answer(to_head=to_head)
        length = 0 if to_head else int(headers.get("content-length", "0"))
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return Answer(status, headers, body)

    def answer_to(self, request: bytes) -> Answer:
        """Sends a request and reads its answer."""
        self.send(request)
        return self.answer()

    def rest(self, *, within: float | None = None) -> bytes:
        """Everything until the server closes the connection.

        Raises:
            TimeoutError: nothing comes for `within` seconds, else for `TIMEOUT`, and it is open.
        """
        self._socket.settimeout(self._timeout if within is None else within)
        try:
            while True:
                self._receive()
        except Closed:
            received, self._received = self._received, b""
            return received
        finally:
            self._socket.settimeout(self._timeout)

    def is_closed(self) -> bool:
        """Whether the server closes the connection without another byte."""
        return self.rest() == b""

    def _until(self, end: bytes) -> bytes:
        while end not in self._received:
            self._receive()
        found, _, self._received = self._received.partition(end)
        return found

    def _receive(self) -> None:
        try:
            data = self._socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed
        self._received += data


def basic(email: str, key: str) -> str:
    """The value of an `Authorization` header."""
    return "Basic " + base64.b64encode(f"{email}:{key}".encode()).decode()


def request_bytes(
    method: str,
    path: str,
    *,
    query: Mapping[str, Any] | None = None,
    form: Mapping[str, Any] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """A well-formed request; parameters that are no strings are sent as JSON (R6.8)."""
    target = path + (f"?{encoded(query)}" if query else "")
    lines = {"Host": "127.0.0.1", **(headers or {})}
    if form is not None:
        body = encoded(form).encode()
        lines["Content-Type"] = "application/x-www-form-urlencoded"
    if body is not None:
        lines["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b"")


def encoded(parameters: Mapping[str, Any]) -> str:
    """Parameters as clients encode them."""
    return urllib.parse.urlencode(
        {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}
    )
