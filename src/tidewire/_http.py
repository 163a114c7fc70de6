"""HTTP as the client and the publisher speak it, on the standard library alone.

`Connection` sends one request at a time over one kept connection and gives back an `Answer`, whatever its
status; `TransportFailed` means that no whole answer came. What an answer means is for its callers to say,
and so is whether to try again; `Backoff` says how long to wait before that.
"""

import email.utils
import http.client
import io
import json
import os
import random
import socket
import ssl
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from tidewire import TidewireError, __version__

#: Seconds until a connection must stand. A poll may wait long for its answer, but nothing does to connect.
CONNECT_TIMEOUT = 10.0

#: Seconds; a longer `Retry-After` is cut to this, so that one wrong header can't silence a client for days.
MAX_RETRY_AFTER = 3600.0

TOO_MANY_REQUESTS = 429
FIRST_SERVER_ERROR = 500


class BadUrl(TidewireError, ValueError):
    """The server's address can't be used; the sentence says what is wrong, without repeating the address."""

    code = "BAD_URL"
    http_status = 400


class TransportFailed(TidewireError):
    """No whole answer came: no connection, a connection that broke, or no answer in time."""

    code = "CONNECTION_FAILED"
    http_status = 503
    retry_helps = True


@dataclass(frozen=True, slots=True)
class Timing:
    """Where waiting, durations and chance come from; tests give their own.

    Attributes:
        sleep: waits that many seconds.
        clock: seconds that only ever grow, from any start.
        random: a number from 0 up to, but not including, 1.
    """

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random


REAL_TIMING = Timing()


class Backoff:
    """How long to wait before trying again: exponential, with full jitter.

    Each wait is drawn between nothing and a ceiling that doubles from `first` to `limit` (both in seconds).
    The whole range is drawn from, so that many clients that lost one server don't come back together.
    """

    def __init__(self, *, first: float, limit: float, random: Callable[[], float]) -> None:
        self._first = first
        self._limit = limit
        self._random = random
        self._ceiling = first

    def next_delay(self, at_least: float | None = None) -> float:
        """Returns the next wait in seconds; `at_least` is what the server asked for, and is added to."""
        delay = self._random() * self._ceiling
        self._ceiling = min(self._limit, self._ceiling * 2)
        return delay + (at_least or 0.0)

    def reset(self) -> None:
        """Begins anew, after something succeeded."""
        self._ceiling = self._first


class Answer(NamedTuple):
    """A whole HTTP answer.

    Attributes:
        status: the HTTP status.
        headers: the headers; their names match in any case.
        json: the body when it is a JSON object, else None.
    """

    status: int
    headers: http.client.HTTPMessage
    json: dict[str, Any] | None

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later, by its status alone."""
        return self.status >= FIRST_SERVER_ERROR or self.status == TOO_MANY_REQUESTS

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server asks to wait (`Retry-After`), or None when it asks for nothing readable."""
        value = (self.headers.get("Retry-After") or "").strip()
        if value.isascii() and value.replace(".", "", 1).isdigit():
            return min(float(value), MAX_RETRY_AFTER)
        # A date is measured against the server's own, so that a wrong clock here doesn't matter.
        until, now = _http_date(value), _http_date(self.headers.get("Date"))
        return None if until is None or now is None else min(max(until - now, 0.0), MAX_RETRY_AFTER)


def error_of(answer: Answer) -> tuple[str, str, dict[str, Any]]:
    """Takes an error answer apart (R6.5): its code, its sentence, and its further members.

    What did not come from Tidewire, such as a proxy's page, gets the code `HTTP_ERROR`.
    """
    body = answer.json or {}
    code, sentence = body.get("code"), body.get("msg")
    if not isinstance(code, str):
        code = "HTTP_ERROR"
    if not isinstance(sentence, str):
        sentence = f"The server answered {answer.status} and did not say why"
    data = {key: value for key, value in body.items() if key not in ("result", "msg", "code")}
    return code, sentence, data


class Connection:
    """One kept connection to one server; it is made when first needed and made anew when it broke.

    One thread at a time. Credentials stand only in `headers`, and no exception repeats those.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        ssl_context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = _Address.parse(url)
        self._headers = {
            "User-Agent": f"TidewirePython/{__version__}",
            "Accept": "application/json",
            **headers,
        }
        self._ssl_context = ssl_context
        self._clock = clock
        self._open: http.client.HTTPConnection | None = None
        self._process_id = 0

    def request(
        self, method: str, path: str, *, timeout: float, body: bytes | None = None, content_type: str = ""
    ) -> Answer:
        """Sends one request and reads its whole answer, in `timeout` seconds altogether.

        A kept connection that turns out to be closed, with no answer begun, is replaced once: the request may
        then reach the server twice, so only repeatable requests may be sent.

        Raises:
            TransportFailed: no whole answer came in time.
        """
        deadline = self._clock() + timeout
        headers = self._headers if not content_type else {**self._headers, "Content-Type": content_type}
        target = self._address.prefix + path
        try:
            response = self._begin(method, target, body, headers, deadline)
            return self._read(response)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise TransportFailed(self._sentence(error, timeout)) from error
        except BaseException:
            self.close()  # an interrupted exchange leaves an answer behind that nothing may read as its own
            raise

    def close(self) -> None:
        """Closes the connection; a later request makes a new one."""
        connection, self._open = self._open, None
        if connection is not None:
            connection.close()

    def _begin(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str], deadline: float
    ) -> http.client.HTTPResponse:
        if self._process_id != os.getpid():
            self.close()  # a connection inherited by a fork is shared with the parent
        is_kept = self._open is not None and self._open.sock is not None
        try:
            return self._send(method, target, body, headers, deadline)
        except ConnectionError:
            if not is_kept:
                raise
            self.close()
            return self._send(method, target, body, headers, deadline)

    def _send(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str], deadline: float
    ) -> http.client.HTTPResponse:
        connection = self._connected(deadline)
        wire = cast("_DeadlineSocket", connection.sock)
        wire.deadline = deadline
        connection.request(method, target, body=body, headers=headers)
        return connection.getresponse()

    def _connected(self, deadline: float) -> http.client.HTTPConnection:
        connection = self._open
        if connection is not None and connection.sock is not None:
            return connection
        connection = self._open = self._address.connection(
            timeout=max(0.001, min(CONNECT_TIMEOUT, deadline - self._clock())), ssl_context=self._ssl_context
        )
        self._process_id = os.getpid()
        connection.connect()
        connection.sock = _DeadlineSocket(connection.sock, self._clock)
        return connection

    def _read(self, response: http.client.HTTPResponse) -> Answer:
        with response:
            body = response.read()
        return Answer(response.status, response.headers, _json_object(body))

    def _sentence(self, error: Exception, timeout: float) -> str:
        where = self._address.shown
        if isinstance(error, TimeoutError):
            return f"No answer from {where} within {timeout:g} s"
        if isinstance(error, ConnectionRefusedError):
            return f"Nothing listens at {where}; is the server running?"
        if isinstance(error, http.client.IncompleteRead):
            return f"The answer from {where} broke off"
        # The types are named, not quoted: what a broken server sent may hold anything.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return f"No answer from {where}: {reason}"


class _Address(NamedTuple):
    """A server's address, taken apart."""

    scheme: str
    host: str
    port: int | None
    prefix: str

    @classmethod
    def parse(cls, url: str) -> "_Address":
        """Reads `http(s)://host[:port][/prefix]`; raises `BadUrl`."""
        if not url.isascii() or not url.isprintable() or " " in url:
            raise BadUrl("The server's URL has characters that no URL has")
        try:
            parts = urllib.parse.urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise BadUrl("The server's URL can't be read; write it as http://host:port") from None
        if parts.scheme not in ("http", "https") or not host:
            raise BadUrl("The server's URL must have the form http://host:port or https://host")
        if parts.username is not None or parts.query or parts.fragment:
            raise BadUrl("The server's URL must have no user name, query or fragment")
        return cls(parts.scheme, host, port, parts.path.rstrip("/"))

    @property
    def shown(self) -> str:
        """The address for a sentence."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (f":{self.port}" if self.port is not None else "")

    def connection(self, *, timeout: float, ssl_context: ssl.SSLContext | None) -> http.client.HTTPConnection:
        """Makes a connection, not yet connected."""
        if self.scheme == "https":
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=ssl_context)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)


class _DeadlineSocket:
    """A socket as `http.client` uses it, on which every wait ends at one deadline.

    A plain socket timeout begins anew with each byte, so that an answer that drips would never time out.
    """

    def __init__(self, plain: socket.socket, clock: Callable[[], float]) -> None:
        self._plain = plain
        self._clock = clock
        self.deadline = 0.0

    def arm(self) -> None:
        """Makes the next wait end at the deadline; raises `TimeoutError` when that has passed."""
        left = self.deadline - self._clock()
        if left <= 0:
            raise TimeoutError
        self._plain.settimeout(left)

    def sendall(self, data: Any) -> None:
        self.arm()
        self._plain.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        if mode != "rb":
            raise ValueError(mode)
        return io.BufferedReader(_DeadlineReader(self, self._plain.makefile("rb", buffering=0)))

    def close(self) -> None:
        self._plain.close()


class _DeadlineReader(io.RawIOBase):
    """The reading side of a `_DeadlineSocket`."""

    def __init__(self, wire: _DeadlineSocket, raw: socket.SocketIO) -> None:
        super().__init__()
        self._wire = wire
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._wire.arm()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _http_date(text: str | None) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text or "").timestamp()
    except ValueError:
        return None
