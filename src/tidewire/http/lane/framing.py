"""A connection's bytes: requests are found in them one after the other, bounded, and handed on.

What is in any way unusual goes to uvicorn's own protocol, bytes and all, which gives the connection back when it
has answered. So nothing need be known here of how the ordinary routes refuse what they refuse.
"""

import asyncio
import re
from abc import ABC, abstractmethod

from tidewire.core.errors import RequestTimeout, TooManyConnections, WireError
from tidewire.core.transit import no_room
from tidewire.http import answers
from tidewire.http.lane.head import END, Head, without_upgrade
from tidewire.http.lane.lane import Lane

PIPELINE_BYTES = 65_536
"""Of further requests that are taken in while one is under way; then the peer has to wait."""


UNREAD_BYTES = 16_384
"""Written and not read, from which on a peer counts as one that doesn't read: about as much as every connection counts
for anyway (`core/memory.py`). What goes into the system's own buffers, some hundred thousand bytes, is no memory of ours."""


class FramedConnection(asyncio.Protocol, ABC):
    """The part of a connection that knows nothing of what requests mean.

    It is idle, or in the middle of a request's bytes (`_buffer`), or a request is being served (`_busy`), or all
    is with the ordinary protocol; or it was refused, and what still comes is thrown away (`_ending`).
    """

    __slots__ = (
        "_address",
        "_blocked",
        "_buffer",
        "_busy",
        "_ending",
        "_keep_alive",
        "_lane",
        "_needed",
        "_reading_paused",
        "_taken",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._address = ""
        self._buffer: bytes | bytearray = b""
        self._needed = 0
        """How long the buffer must be before it is worth looking at again."""
        self._busy = False
        self._ending = False
        self._keep_alive = True
        self._blocked = False
        """The peer has not read what it has been given."""
        self._reading_paused = False
        self._taken = 0
        """Bytes of a body under way, as they were counted."""

    # What requests mean is said by the subclass.

    @abstractmethod
    def _take_again(self, data: bytes) -> bool:
        """Serves a request that is a repetition of the one before; whether it was one."""

    @abstractmethod
    def _take(self, head: Head, raw: bytes) -> bool:
        """Serves the request at the beginning of the buffer, or waits for its body; False to have it handed over.

        Whoever serves it takes it out of the buffer, sets `_busy`, and calls `_finish` in the end.
        """

    @abstractmethod
    def expire(self) -> None:
        """Ends the poll that waits here, because what it was let in by has ended."""

    # Called by the transport.

    def connection_made(  # type: ignore[override]  # of a stream protocol it is always one of these
        self, transport: asyncio.Transport
    ) -> None:
        """Lets the connection in, or refuses it when there are too many."""
        lane = self._lane
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        transport.set_write_buffer_limits(high=UNREAD_BYTES)
        lane.connections.add(self)
        if lane.admission.enter(self._address):
            lane.slow.add(self, lane.now)
        else:
            lane.statistics.refused += 1
            self._refuse(TooManyConnections())

    def data_received(self, data: bytes) -> None:
        """Serves a request, or keeps what came until it can be served."""
        if self._ending:
            return
        if not (self._busy or self._buffer or self._blocked) and self._take_again(data):
            return
        self._buffer += data
        if self._needed and not self._has_room(len(data)):
            self._refuse(no_room())
        elif not (self._busy or self._blocked):
            self._advance()
        elif len(self._buffer) > PIPELINE_BYTES and not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """It is gone, whoever had it."""
        lane = self._lane
        self._give_back()
        lane.connections.discard(self)
        lane.admission.leave(self._address)
        lane.forget(self)

    def _has_room(self, size: int) -> bool:
        """Counts bytes of a body whose rest is still to come; whether there is room for them."""
        shard = self._lane.site.engine.shard
        if not shard.transit.take(size, self._taken):
            shard.statistics.turned_away["body"] += 1
            return False
        self._taken += size
        return True

    def _give_back(self) -> None:
        """The body is whole, or won't be."""
        if self._taken:
            self._lane.site.engine.shard.transit.give_back(self._taken)
            self._taken = 0

    def pause_writing(self) -> None:
        """The peer does not read: it gets nothing more until it does, or is dropped in time."""
        self._blocked = True
        self._lane.block(self, self.transport)

    def resume_writing(self) -> None:
        """It reads again."""
        self._blocked = False
        self._lane.unblock(self)
        self._resume()

    # Called by whoever sweeps and stops.

    def too_slow(self) -> None:
        """Its request did not come in time."""
        if self._ending:
            self.transport.abort()
        elif self._buffer:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()

    def end(self) -> None:
        """It has been idle for long enough."""
        self.transport.close()

    def abort(self) -> None:
        """It does not read; its queue keeps the events."""
        self.transport.abort()

    def shutdown(self) -> None:
        """The server stops: idle connections end, others with their answer (uvicorn calls this)."""
        if self._busy:
            self._keep_alive = False
        else:
            self.transport.close()

    def given_back(self, *, blocked: bool) -> None:
        """The ordinary protocol has answered, and nothing of another request has come."""
        lane = self._lane
        lane.connections.add(self)
        lane.idle.add(self, lane.now)
        if blocked:
            self.pause_writing()

    # Requests.

    def _advance(self) -> None:
        """Takes the next request out of the buffer, if it is there whole."""
        buffer = self._buffer
        if len(buffer) < max(self._needed, 1):
            return
        empty = 0
        while buffer.startswith(b"\r\n", empty):  # lines before a request that mean nothing in HTTP
            empty += 2
        if empty:
            buffer = self._buffer = buffer[empty:]
        lane = self._lane
        lane.idle.discard(self)
        end = buffer.find(END) + len(END)
        if end < len(END):
            self._await_head()
            return
        lane.slow.discard(self)
        raw = bytes(buffer[:end])
        head = lane.reader.read(raw)
        if head is None:
            self._hand_over()
            return
        problem = lane.bounds.problem(head, end)
        if problem is not None:
            self._refuse(problem)
        elif head.upgrade:
            self._buffer = without_upgrade(raw) + buffer[end:]
            self._hand_over()
        elif not self._take(head, raw):
            self._hand_over()

    def _await_head(self) -> None:
        lane = self._lane
        buffer = self._buffer
        problem = lane.bounds.unfinished_problem(buffer)
        if problem is not None:
            self._refuse(problem)
        elif buffer and _never_http(buffer):
            # The strict parser says so at once.
            self._hand_over()
        else:
            lane.slow.add(self, lane.now)

    # Answers.

    def _finish(self, written: bytes) -> None:
        """Writes an answer, and goes on with what has come meanwhile."""
        lane = self._lane
        self._busy = False
        transport = self.transport
        if transport.is_closing():
            return
        transport.write(written)
        if not self._keep_alive or lane.site.lifecycle.stopping:
            transport.close()
        elif self._buffer:
            # Not from here: the engine is in the middle of something.
            lane.call_soon(self._resume)
        else:
            lane.idle.add(self, lane.now)

    def _refuse(self, error: WireError) -> None:
        """Answers and ends: what follows can't be understood, or isn't wanted.

        The peer ends it, or the deadline: to close while bytes come in would reset the connection, and the peer
        would never read the answer. Nothing is logged: anybody could fill the log with it.
        """
        lane = self._lane
        self._ending = True
        self._buffer = b""
        self._give_back()
        answer = answers.failure(error)
        self.transport.write(lane.internal.answer(answer, allowance=None, stopping=True, keep_alive=False))
        self.transport.write_eof()
        lane.forget(self)
        lane.slow.add(self, lane.now)

    def _resume(self) -> None:
        if self.transport.is_closing() or self._busy or self._blocked:
            return
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()
        self._advance()

    def _hand_over(self) -> None:
        """Has uvicorn's protocol serve what is in the buffer."""
        lane = self._lane
        lane.statistics.handed_over += 1
        lane.forget(self)
        lane.connections.discard(self)
        data, self._buffer, self._needed = bytes(self._buffer), b"", 0
        self._give_back()
        protocol = lane.ordinary(self, self.transport)
        protocol.data_received(data)


_REQUEST_LINE = re.compile(rb"[A-Z-]+ [^ ]+ HTTP/[0-9]\.[0-9]\r\n")


def _never_http(received: bytes | bytearray) -> bool:
    """Whether the beginning of a head can't be completed to one: it begins oddly, or ends lines in its own way."""
    whole_lines = received.count(b"\r\n")
    if whole_lines and not _REQUEST_LINE.match(received):
        return True
    returns = received.count(b"\r") - received.endswith(b"\r")
    return not received[:1].isalpha() or received.count(b"\n") != whole_lines or returns != whole_lines
