"""A TCP proxy in front of a server that does, on demand, what networks and gateways do to requests."""

import contextlib
import enum
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from support.server_process import free_port

CHUNK = 65536

CUT_OFF = 10
"""Bytes that a cut answer lacks: less than any body has, so that its head is whole."""

BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 9\r\nConnection: close\r\n\r\nNo server"


class Fault(enum.Enum):
    """What happens to the next requests, or to the answers that come."""

    NONE = "everything passes"
    BAD_GATEWAY = "requests are answered 502 and do not reach the server"
    HANG_UP = "requests end their connection and do not reach the server"
    CUT = "answers break off before their end, and so does the connection"
    HOLD = "answers wait until the fault changes"


class FaultProxy:
    """The proxy; a context manager that listens in between.

    Attributes:
        requests: the first line of each request, in the order of arrival, faulty or not.
        faults: how many requests or answers met a fault.
    """

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self.requests: list[str] = []
        self.faults = 0
        self._server_port = server_port
        self._fault = Fault.NONE
        self._times_left: int | None = None
        self._is_closed = False
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        with self._changed:
            self._is_closed = True
        self.set(Fault.NONE)
        self.drop()
        # Threads start threads, so the list may still grow while it is gone through.
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def set(self, fault: Fault, *, times: int | None = None) -> None:
        """Changes what happens from now on, or only so many times."""
        with self._changed:
            self._fault = fault
            self._times_left = times
            self._changed.notify_all()

    def drop(self) -> None:
        """Ends all connections at once, whatever is under way on them."""
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def count(self, method_and_path: str) -> int:
        """How many requests began so."""
        return sum(line.startswith(method_and_path) for line in self.requests)

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """One connection of a client, and the one to the server that belongs to it."""
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._server_port)) as server,
        ):
            with self._changed:
                if self._is_closed:
                    return
                self._open |= {client, server}
            answers = threading.Thread(target=self._pass_answers, args=(server, client))
            answers.start()
            with contextlib.suppress(OSError):
                self._pass_requests(client, server)
            for connection in (client, server):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            answers.join()
            with self._changed:
                self._open -= {client, server}

    def _pass_requests(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(CHUNK):
            line = data.partition(b"\r\n")[0]
            if line.endswith(b"HTTP/1.1"):  # the rest of a request comes in chunks of its own
                self.requests.append(line.decode())
            if self._meets(Fault.HANG_UP):
                return
            if self._meets(Fault.BAD_GATEWAY):
                client.sendall(BAD_GATEWAY)
                client.shutdown(socket.SHUT_WR)
                # What is unread at a close takes the answer with it.
                while client.recv(CHUNK):
                    pass
                return
            server.sendall(data)

    def _pass_answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(CHUNK):
                if self._meets(Fault.HOLD):
                    with self._changed:
                        self._changed.wait_for(lambda: self._fault is not Fault.HOLD)
                if self._meets(Fault.CUT):
                    client.sendall(data[:-CUT_OFF])
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def _meets(self, fault: Fault) -> bool:
        """Whether this fault is set, and one more time of it is used up."""
        with self._changed:
            if self._fault is not fault:
                return False
            self.faults += 1
            if self._times_left is not None:
                self._times_left -= 1
                if not self._times_left:
                    self._fault = Fault.NONE
            return True
