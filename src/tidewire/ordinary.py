"""uvicorn's connection, lent by the fast lane for one request and whatever came with it.

Its class is adjusted here where it would lose a request, wait for ever, or write tracebacks of what any client
can cause. It is semi-private: `tests/contract/test_uvicorn.py` fails when it changes shape.
"""

from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tidewire.core.errors import BadRequest, HeadersTooLarge
from tidewire.http import answers
from tidewire.http.head import head_lines, written
from tidewire.http.lane.connection import LaneConnection
from tidewire.http.lane.lane import Lane

_BROKEN = answers.failure(BadRequest("The request is not HTTP that can be read"))

BROKEN = b"HTTP/1.1 400 Bad Request\r\n%b\r\n%b" % (written(head_lines(_BROKEN, close=True)), _BROKEN.body)
"""The answer to what can't be parsed. It is not logged: there is no method and no path to name, and anybody could fill
the log with it."""


class Ordinary(HttpToolsProtocol):
    """A connection on which Starlette's routes answer.

    uvicorn tells the loss of a connection only to the newest of pipelined requests. The one under way would
    write to a connection that is gone, and fail with a traceback in the log.
    """

    _running: RequestResponseCycle | None = None
    _is_broken = False
    _between_requests = True

    def __init__(self, lane: Lane, lender: LaneConnection, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._lane = lane
        self._lender = lender
        self._head_size = 0

    # Reading.

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; what is no HTTP is refused in its turn, and nothing behind it is read."""
        self._unset_keepalive_if_required()
        if self._is_broken:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # To ignore an upgrade is all that HTTP asks for; the lane has taken out most offers.
            return
        except httptools.HttpParserError:
            self._is_broken = True
            self._give_up_unfinished()
            if self._running is None or self._running.response_complete or self._running.disconnected:
                self._refuse_broken()

    def on_message_begin(self) -> None:
        """The first byte of a request has come; the rest has a deadline."""
        self._between_requests = False
        self._head_size = 0
        self._lane.sending.add(self, self._lane.now)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Bounds what the lane has not seen: requests that come behind a chunked one."""
        super().on_url(url)
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bounds it, header by header."""
        self._grow(len(name) + len(value))
        super().on_header(name, value)

    def _grow(self, size: int) -> None:
        self._head_size += size
        bounds = self._lane.bounds
        if self._head_size > bounds.head_bytes or len(self.headers) >= bounds.headers:
            # Whatever is raised here is to the parser a request that it can't read.
            raise HeadersTooLarge(bounds.head_bytes, bounds.headers)

    def on_message_complete(self) -> None:
        """The last byte of a request has come."""
        self._between_requests = True
        self._lane.sending.discard(self)
        super().on_message_complete()

    def _give_up_unfinished(self) -> None:
        """The request whose body broke off is not answered as if it were whole."""
        unfinished = self.cycle
        if unfinished is None or unfinished.response_complete or not unfinished.more_body:
            return
        if self.pipeline and self.pipeline[0][0] is unfinished:
            self.pipeline.popleft()
        unfinished.disconnected = True
        unfinished.message_event.set()
        if unfinished.response_started:
            self.transport.close()  # it was refused already, and only its body was still on the way

    def _refuse_broken(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(BROKEN)
            self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # Answering.

    def on_response_complete(self) -> None:
        """Goes on with the next request, refuses what was broken behind the last good one, or gives back."""
        is_last = not self.pipeline and self._between_requests and not self._is_broken
        super().on_response_complete()
        if self._is_broken and self._running is not None and self._running.response_complete:
            self._refuse_broken()
        if is_last and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._lane.forget(self)
            self.connections.discard(self)
            self.transport.set_protocol(self._lender)
            self._lender.given_back(blocked=self.flow.write_paused)
            # The parser holds this protocol: without it both are gone at once, and not when the garbage collector comes
            # by, which is rarely; 10,000 clients that register would leave 13 MB behind.
            del self.parser
            self._running = None

    def pause_writing(self) -> None:
        """The peer does not read."""
        self._lane.block(self, self.transport)
        super().pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        self._lane.unblock(self)
        super().resume_writing()

    # Ending.

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the request under way, too."""
        self.pipeline.clear()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves the timer when the peer reset the connection
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        self._lane.forget(self)
        self._lender.connection_lost(exc)

    def too_slow(self) -> None:
        """The body did not come in time: as if the client had gone."""
        self.transport.abort()

    def end(self) -> None:
        """Never asked for: idle connections are the lane's."""
        self.transport.close()

    def expire(self) -> None:
        """Never asked for: the ordinary routes see to it themselves."""

    def abort(self) -> None:
        """The peer does not read what it asked for."""
        self.transport.abort()
