"""One request at a time over one kept connection, for a thread that waits for the answer."""

import http.client
import io
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from tidewire._http.address import Address
from tidewire._http.values import COMMON_HEADERS, CONNECT_TIMEOUT, Answer, TransportFailed


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
        self._address = Address.parse(url)
        self._headers = {**COMMON_HEADERS, **headers}
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
            raise TransportFailed(self._address.failure(error, timeout)) from error
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
        left = max(0.001, min(CONNECT_TIMEOUT, deadline - self._clock()))
        connection = self._open = _connection(self._address, timeout=left, ssl_context=self._ssl_context)
        self._process_id = os.getpid()
        connection.connect()
        connection.sock = _DeadlineSocket(connection.sock, self._clock)
        return connection

    def _read(self, response: http.client.HTTPResponse) -> Answer:
        with response:
            body = response.read()
        return Answer.of(response.status, response.headers, body)


def _connection(
    address: Address, *, timeout: float, ssl_context: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    """Makes a connection, not yet connected."""
    if address.is_secure:
        return http.client.HTTPSConnection(address.host, address.port, timeout=timeout, context=ssl_context)
    return http.client.HTTPConnection(address.host, address.port, timeout=timeout)


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
