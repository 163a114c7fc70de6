"""A real HTTP server on 127.0.0.1 that answers by a script and records what it was asked.

`replies` is the script: one `Reply` for each request that is not a DELETE, in order. A DELETE gets `farewell`.
When the script has ended, an error says so, which no client retries.
"""

import email.message
import http.server
import json
import random
import socket
import threading
import urllib.parse
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """One scripted answer.

    Attributes:
        body: bytes as they are, anything else as JSON.
        cut: promises more bytes than are sent, then closes the connection.
        drop: closes the connection without an answer.
        hang: answers nothing until the server stops.
        close: says `Connection: close`.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    drop: bool = False
    hang: bool = False
    close: bool = False


def success(**members: Any) -> Reply:
    """A success answer (R6.4)."""
    return Reply({"result": "success", "msg": "", **members})


def failure(status: int, code: str, msg: str = "No", **data: Any) -> Reply:
    """An error answer (R6.5)."""
    return Reply({"result": "error", "msg": msg, "code": code, **data}, status)


def with_headers(reply: Reply, **headers: str) -> Reply:
    """The same answer with headers; `_` stands for `-` in their names."""
    return replace(reply, headers={name.replace("_", "-"): value for name, value in headers.items()})


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: email.message.Message
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body, read as a form."""
        return dict(urllib.parse.parse_qsl(self.body.decode(), strict_parsing=True))

    @property
    def notices(self) -> list[dict[str, Any]]:
        """The body, read as newline-delimited JSON."""
        return [json.loads(line) for line in self.body.splitlines()]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, stub: "StubServer", port: int) -> None:
        self.stub = stub
        self.sockets: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.stub.connections += 1
        self.sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: clients that go away are part of the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body go out apart; the second must not wait
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Keeps the test output quiet."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path, _, query = self.path.partition("?")
        asked = Asked(self.command, path, dict(urllib.parse.parse_qsl(query)), self.headers, body)
        self._send(self.server.stub.take(asked))

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815  # the names that the base class looks for

    def _send(self, reply: Reply) -> None:
        if reply.hang:
            self.server.stub.stopping.wait()
        if reply.drop or reply.hang:
            self.close_connection = True
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status, HTTPStatus(reply.status).phrase)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.close:
            self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body) + (100 if reply.cut else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.close_connection or reply.cut


class StubServer:
    """The server; a context manager."""

    def __init__(self) -> None:
        self.replies: deque[Reply] = deque()
        self.farewell = success()
        self.asked: list[Asked] = []
        self.connections = 0
        self.stopping = threading.Event()
        self._changed = threading.Condition()
        self._held_from: int | None = None
        self._server = self._bound()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def _bound(self) -> _Server:
        """Binds a port below the range that outgoing connections take theirs from."""
        for port in random.sample(range(15000, 32000), 100):
            try:
                return _Server(self, port)
            except OSError:
                continue
        raise OSError("no free port")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Closes every connection and the port; a second time does nothing."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        self.release()
        self._server.shutdown()
        for open_socket in list(self._server.sockets):
            try:
                open_socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def script(self, *replies: Reply) -> None:
        """Adds answers to the script."""
        self.replies.extend(replies)

    def take(self, asked: Asked) -> Reply:
        """Records a request and returns its answer."""
        with self._changed:
            self.asked.append(asked)
            self._changed.notify_all()
            if asked.method == "DELETE":
                return self.farewell
            reply = self.replies.popleft() if self.replies else failure(400, "SCRIPT_ENDED")
            position = len(self.asked)
            self._changed.wait_for(lambda: self._held_from is None or position < self._held_from)
            return reply

    def wait_for(self, count: int, timeout: float = 60.0) -> bool:
        """Waits until so many requests have come; returns whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.asked) >= count, timeout)

    def hold_from(self, position: int) -> None:
        """Holds the answers of the request at that position, from 1, and of those after it."""
        with self._changed:
            self._held_from = position

    def release(self) -> None:
        """Lets the held answers go."""
        with self._changed:
            self._held_from = None
            self._changed.notify_all()

    def asked_for(self, method: str, path: str) -> list[Asked]:
        """The requests for one route, in order."""
        return [asked for asked in self.asked if (asked.method, asked.path) == (method, path)]

    @property
    def polls(self) -> list[Asked]:
        """The requests that read a queue."""
        return self.asked_for("GET", "/api/v1/events")

    @property
    def acknowledged(self) -> list[int]:
        """The `last_event_id` of each poll."""
        return [int(asked.query["last_event_id"]) for asked in self.polls]

    @property
    def deleted(self) -> list[str]:
        """The queues that DELETE named."""
        return [asked.form["queue_id"] for asked in self.asked_for("DELETE", "/api/v1/events")]
