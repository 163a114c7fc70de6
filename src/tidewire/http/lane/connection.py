"""One connection of the fast lane: a poll waits on it as the engine's slot, and its answer is one write.

Requests are served one after the other. What is no poll and no publishing, or is in any way unusual, goes to
uvicorn's own protocol, bytes and all, which gives the connection back once it has answered. So nothing need be
known here of how the ordinary routes refuse what they refuse.
"""

import asyncio

from tidewire.core.errors import BadEventQueueId, InternalError, RequestTimeout, TooManyConnections, WireError
from tidewire.core.ids import UserId
from tidewire.core.state import Batch
from tidewire.http import answers
from tidewire.http.application import worded
from tidewire.http.lane import publishing
from tidewire.http.lane.head import END, Head, without_upgrade
from tidewire.http.lane.lane import Lane
from tidewire.http.lane.repoll import Repoll, remembered
from tidewire.http.lane.target import parse_poll

PIPELINE_BYTES = 65_536
"""Of further requests that are taken in while one is under way; then the peer has to wait."""


class LaneConnection(asyncio.Protocol):
    """A connection, and the slot of the poll that waits on it.

    It is idle, or in the middle of a request's bytes (`_buffer`), or a request is with the engine (`_busy`), or
    all is with the ordinary protocol; or it was refused, and what still comes is thrown away (`_ending`).
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
        "_repoll",
        "_user_agent",
        "_waits_on",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._address = ""
        self._buffer: bytes | bytearray = b""
        self._needed = 0
        self._busy = False
        self._ending = False
        self._waits_on: str | None = None
        self._keep_alive = True
        self._repoll: Repoll | None = None
        self._blocked = False
        self._reading_paused = False
        self._user_agent: bytes | None = None

    # Called by the transport.

    def connection_made(  # type: ignore[override]  # of a stream protocol it is always one of these
        self, transport: asyncio.Transport
    ) -> None:
        """Lets the connection in, or refuses it when there are too many."""
        lane = self._lane
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if isinstance(peer, tuple) else ""
        lane.connections.add(self)
        if lane.admission.enter(self._address):
            lane.slow.add(self, lane.now)
        else:
            lane.statistics.refused += 1
            self._refuse(TooManyConnections())

    def data_received(self, data: bytes) -> None:
        """Serves a request, or keeps what came until it can be served."""
        repoll = self._repoll
        if repoll is not None and not (self._busy or self._buffer or self._blocked):
            acknowledged = repoll.acknowledged(data)
            if acknowledged is not None and repoll.generation == self._lane.site.authenticator.generation:
                self._lane.statistics.repolls += 1
                self._lane.idle.discard(self)
                self._poll(repoll.queue_id, UserId(repoll.user_id), acknowledged, block=repoll.block)
                return
        if self._ending:
            return
        self._buffer += data
        if not (self._busy or self._blocked):
            self._advance()
        elif len(self._buffer) > PIPELINE_BYTES and not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """Tells the engine when a poll waited here (R2.21)."""
        lane = self._lane
        lane.connections.discard(self)
        lane.admission.leave(self._address)
        lane.forget(self)
        if self._waits_on is not None:
            lane.site.engine.lost(self._waits_on, self)
            self._waits_on = None

    def pause_writing(self) -> None:
        """The peer does not read: it gets nothing more until it does, or is dropped in time."""
        self._blocked = True
        self._lane.blocked.add(self, self._lane.now)

    def resume_writing(self) -> None:
        """It reads again."""
        self._blocked = False
        self._lane.blocked.discard(self)
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
        while buffer[:2] == b"\r\n":  # empty lines before a request mean nothing in HTTP
            buffer = self._buffer = buffer[2:]
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

    def _take(self, head: Head, raw: bytes) -> bool:
        """Serves a request here if it is one of the two kinds; False when it is for the ordinary routes."""
        if head.method == b"GET":
            return self._take_poll(head, raw)
        if head.method == b"POST" and head.target == publishing.PATH:
            return self._take_notices(head, len(raw))
        return False

    def _await_head(self) -> None:
        lane = self._lane
        buffer = self._buffer
        problem = lane.bounds.unfinished_problem(buffer)
        if problem is not None:
            self._refuse(problem)
        elif buffer.count(b"\n") != buffer.count(b"\r\n") or not buffer[:1].isalpha():
            # Will never be HTTP; the strict parser says so at once.
            self._hand_over()
        else:
            lane.slow.add(self, lane.now)

    def _take_poll(self, head: Head, raw: bytes) -> bool:
        poll = parse_poll(head.target)
        if poll is None or head.has_body or head.value(b"expect") is not None:
            return False
        lane = self._lane
        authenticator = lane.site.authenticator
        self._keep_alive = head.keep_alive
        self._user_agent = head.value(b"user-agent")
        self._buffer = self._buffer[len(raw) :]
        lane.statistics.polls += 1
        try:
            user = authenticator.authenticate(head.text(b"authorization"), head.text(b"host"))
        except WireError as error:
            self._fail(error)
            return True
        self._repoll = remembered(
            raw,
            queue_id=poll.queue_id,
            user_id=user.id,
            block=poll.block,
            generation=authenticator.generation,
        )
        if not head.keep_alive:
            self._repoll = None
        self._poll(poll.queue_id, user.id, poll.last_event_id, block=poll.block)
        return True

    def _poll(self, queue_id: str, user_id: UserId, acknowledged: int, *, block: bool) -> None:
        site = self._lane.site
        self._busy = True
        self._waits_on = queue_id
        try:
            site.engine.poll(
                queue_id,
                user_id=user_id,
                last_event_id=acknowledged,
                block=block and not site.lifecycle.stopping,
                slot=self,
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, this connection gets an answer
            self._waits_on = None
            self._fail(error)

    def complete(self, answer: Batch) -> None:
        """Takes the answer to the poll that waits here; called by the engine."""
        self._waits_on = None
        self._finish(self._lane.renderer.events(answer, close=self._closes()))

    def _take_notices(self, head: Head, size: int) -> bool:
        lane = self._lane
        length = publishing.body_length(head)
        if length is None or not publishing.is_admitted(head, self._address, lane.site):
            return False
        total = size + length
        if len(self._buffer) < total:
            self._needed = total
            self._buffer = bytearray(self._buffer)
            lane.sending.add(self, lane.now)
            return True
        lane.sending.discard(self)
        self._needed = 0
        body, self._buffer = bytes(self._buffer[size:total]), bytes(self._buffer[total:])
        self._keep_alive = head.keep_alive
        lane.statistics.publishes += 1
        self._busy = True
        try:
            publishing.publish(body, lane.site, publishing.Confirmation(self._confirm))
        except Exception as error:  # noqa: BLE001 - whatever it is, this connection gets an answer
            self._fail(error)
        return True

    def _confirm(self, body: bytes) -> None:
        self._finish(self._lane.renderer.success(body, close=self._closes()))

    # Answers.

    def _closes(self) -> bool:
        return not self._keep_alive or self._lane.site.lifecycle.stopping

    def _finish(self, answer: bytes) -> None:
        """Writes an answer, and goes on with what has come meanwhile."""
        lane = self._lane
        self._busy = False
        transport = self.transport
        if transport.is_closing():
            return
        closes = self._closes()
        transport.write(answer)
        if closes:
            transport.close()
        elif self._buffer:
            # Not from here: the engine is in the middle of something.
            lane.call_soon(self._resume)
        else:
            lane.idle.add(self, lane.now)

    def _fail(self, error: Exception) -> None:
        self._finish(self._failure(error, close=self._closes()))

    def _refuse(self, error: WireError) -> None:
        """Answers and ends: what follows can't be understood, or isn't wanted.

        The peer ends it, or the deadline: to close while bytes come in would reset the connection, and the peer
        would never read the answer.
        """
        self._ending = True
        self._buffer = b""
        self.transport.write(self._failure(error, close=True))
        self.transport.write_eof()
        self._lane.forget(self)
        self._lane.slow.add(self, self._lane.now)

    def _failure(self, error: Exception, *, close: bool) -> bytes:
        site = self._lane.site
        if isinstance(error, BadEventQueueId):
            agent = None if self._user_agent is None else self._user_agent.decode("latin-1")
            error = worded(error, agent, site)
        elif not isinstance(error, WireError):
            site.log.error("request failed", exc_info=error)
            error = InternalError()
        return self._lane.renderer.response(answers.failure(error), close=close)

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
        self._repoll = None
        protocol = lane.ordinary(self, self.transport)
        protocol.data_received(data)
