"""A connection's transport: what the framer finds in its bytes is served, one request at a time, and answered.

Deadlines, back-pressure and the end of a connection are here, and apply to every request on it, on either route. No
other protocol ever gets the transport, so nothing else can read from it. What an accepted upgrade will
speak belongs here too: its bytes then go to a framer of its own, in place of `RequestFramer`.
"""

import asyncio
from abc import ABC, abstractmethod

from starlette.datastructures import Headers

from tidewire.core.bytes_in_transit import no_room
from tidewire.core.errors import InternalError, RequestTimeout, TooManyConnections, WireError
from tidewire.http import responses
from tidewire.http.app import UNMATCHED, failure_of
from tidewire.http.lane.asgi_exchange import Exchange, scope_of
from tidewire.http.lane.parsing import Head
from tidewire.http.lane.protocol import END_OF_BODY, NEED_DATA, Body, Event, Refusal, RequestFramer
from tidewire.http.lane.response_bytes import Renderer
from tidewire.http.lane.shared import Lane
from tidewire.http.request_info import RequestInfo
from tidewire.http.responses import Response

PIPELINE_BYTES = 65_536
"""Of what comes that are taken in before they can be looked at; then the peer has to wait."""

SWALLOWED_BYTES = 16_384
"""Of a body that are still to come when its request is answered already, and for which the connection is kept: less work
than a new one. Behind a longer body it ends."""

EVENTS_AT_ONCE = 500
"""Parts of requests that are looked at before others have their turn: a body may come in chunks of one byte."""


UNREAD_BYTES = 16_384
"""Written and not read, from which on a peer counts as one that doesn't read: about as much as every connection counts
for anyway (`core/memory.py`)."""


class HttpConnection(asyncio.Protocol, ABC):
    """The part of a connection that knows nothing of what requests mean.

    It is idle, or in the middle of a request's bytes, or a request is being served (`_busy`), by the subclass or by an
    `Exchange`; or the body of one that was answered is still coming; or it has been refused or told that it ends, and
    what still comes is thrown away (`_ending`).
    """

    __slots__ = (
        "_address",
        "_blocked",
        "_busy",
        "_drained",
        "_ending",
        "_exchange",
        "_framer",
        "_head",
        "_keep_alive",
        "_lane",
        "_reading_paused",
        "_taken",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._address = ""
        self._framer = RequestFramer(lane.bounds)
        self._busy = False
        self._ending = False
        self._keep_alive = True
        self._exchange: Exchange | None = None
        """The request that the ordinary routes answer."""
        self._head: Head | None = None
        """Of the request whose body is awaited to be served here."""
        self._taken: bytearray | None = None
        """What has come of it."""
        self._blocked = False
        """The peer has not read what it has been given."""
        self._drained: asyncio.Event | None = None
        """Of who waits until it has."""
        self._reading_paused = False

    # What requests mean is said by the subclass.

    @abstractmethod
    def _take_again(self, data: bytes) -> bool:
        """Serves a request that is a repetition of the one before; whether it was one."""

    @abstractmethod
    def _take(self, head: Head) -> bool:
        """Serves a request here; False to have the ordinary routes do it.

        Whoever serves it sets `_busy` and calls `_finish` in the end. A body that it wants it asks for with `_take_body`.
        """

    @abstractmethod
    def _take_whole(self, head: Head, body: bytes) -> bool:
        """Serves a request whose body was asked for and has come; False to have the ordinary routes do it."""

    @abstractmethod
    def expire(self) -> None:
        """Ends the waiting poll, because its token or session has expired."""

    @property
    def held_bytes(self) -> int:
        """Bytes that came and nobody has taken, and answers that the peer has not read."""
        held = self._framer.buffered + self.transport.get_write_buffer_size()
        if self._exchange is not None:
            held += self._exchange.held_bytes
        return held if self._taken is None else held + len(self._taken)

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
        framer = self._framer
        if framer.untouched and not (self._busy or self._blocked) and self._take_again(data):
            return
        if not self._ending:
            framer.receive(data)
            self._advance()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """The connection is closed; a request under way is cancelled."""
        lane = self._lane
        lane.connections.discard(self)
        lane.admission.leave(self._address)
        lane.forget(self)
        self._blocked = False
        self._drop_request()

    def pause_writing(self) -> None:
        """The peer does not read: it gets nothing more until it does, or is dropped in time."""
        self._blocked = True
        self._lane.block(self, self.transport)

    def resume_writing(self) -> None:
        """Called by the loop: the peer reads again, so more may be written."""
        self._blocked = False
        self._lane.unblock(self)
        if self._drained is not None:
            self._drained.set()
        self._resume()

    # Called by whoever sweeps and stops.

    def too_slow(self) -> None:
        """Its request did not come in time."""
        if self._exchange is not None:
            self.transport.abort()  # as if the client had gone
        elif self._taken is not None or (self._framer.buffered and not self._framer.in_body):
            self._refuse(RequestTimeout())
        else:
            self.transport.close()

    def end(self) -> None:
        """It has been idle for long enough."""
        self.transport.close()

    def abort(self) -> None:
        """It does not read, or does not stop sending; its queue keeps the events."""
        self.transport.abort()

    def shutdown(self) -> None:
        """The server stops: idle connections end, others with their answer (uvicorn calls this)."""
        if self._busy:
            self._keep_alive = False
        else:
            self.transport.close()

    # Requests.

    def _advance(self) -> None:
        """Looks at what has come, as far as it can be served now."""
        framer = self._framer
        for _ in range(EVENTS_AT_ONCE):
            if self._ending:
                return
            if not framer.in_body:
                if self._busy or self._blocked or framer.untouched:
                    break
            elif self._exchange is not None and self._exchange.is_full:
                break
            event = framer.next_event()
            if event is NEED_DATA:
                self._await_more()
                break
            if isinstance(event, Head):
                self._begin(event)
            else:
                self._handle(event)
        else:
            self._lane.call_soon(self._resume)
        if (framer.buffered > PIPELINE_BYTES) != self._reading_paused:
            self._pause_reading(wanted=not self._reading_paused)

    def _pause_reading(self, *, wanted: bool) -> None:
        self._reading_paused = wanted
        if wanted:
            self.transport.pause_reading()
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def _handle(self, event: Event) -> None:
        if isinstance(event, Body):
            if self._exchange is not None:
                self._exchange.feed(event.data)
            elif self._taken is not None:
                self._keep(self._taken, event.data)
        elif isinstance(event, Refusal):
            self._refuse(event.error)
        elif event is END_OF_BODY:
            self._lane.sending.discard(self)
            self._end_body()

    def _begin(self, head: Head) -> None:
        lane = self._lane
        lane.slow.discard(self)
        lane.idle.discard(self)
        self._keep_alive = head.keep_alive
        try:
            served = self._take(head)
        except Exception as error:  # noqa: BLE001 - whatever it is, this connection gets an answer
            self._fail_unexpectedly(head, error)
            return
        if not served:
            self._serve(head)

    def _end_body(self) -> None:
        if self._exchange is not None:
            self._exchange.end_body()
        elif self._taken is not None:
            body, head = bytes(self._taken), self._head
            self._let_go_of_body()
            if head is not None:
                self._serve_whole(head, body)
        else:
            self._go_on()  # it was answered before

    def _serve_whole(self, head: Head, body: bytes) -> None:
        try:
            served = self._take_whole(head, body)
        except Exception as error:  # noqa: BLE001 - whatever it is, this connection gets an answer
            self._fail_unexpectedly(head, error)
            return
        if not served:
            exchange = self._serve(head)
            exchange.feed(body)
            exchange.end_body()

    def _keep(self, taken: bytearray, data: bytes) -> None:
        """Keeps more of the body, if there is room for it beside those of others."""
        shard = self._lane.context.engine.shard
        if shard.transit.take(len(data), len(taken)):
            taken += data
        else:
            shard.statistics.turned_away["body"] += 1
            self._refuse(no_room())

    def _let_go_of_body(self) -> None:
        """The body that was kept is whole, or won't be."""
        if self._taken:
            self._lane.context.engine.shard.transit.give_back(len(self._taken))
        self._taken = self._head = None

    def _take_body(self, head: Head) -> None:
        """Keeps the body that comes, and has `_take_whole` called with it."""
        self._busy = True
        self._head = head
        self._taken = bytearray()

    def _serve(self, head: Head) -> Exchange:
        """Has the ordinary routes answer."""
        lane = self._lane
        lane.statistics.handed_over += 1
        self._busy = True
        exchange = self._exchange = Exchange(self, head)
        ends = (self.transport.get_extra_info(name) for name in ("sockname", "peername"))
        server, client = (tuple(end[:2]) if isinstance(end, tuple) else None for end in ends)
        lane.start(exchange.run(lane.application, scope_of(head, server=server, client=client)))
        return exchange

    def _await_more(self) -> None:
        lane, framer = self._lane, self._framer
        if framer.in_body:
            lane.sending.add(self, lane.now)
        elif not framer.untouched and not self._busy:
            lane.idle.discard(self)
            lane.slow.add(self, lane.now)

    # What an exchange asks of its connection.

    @property
    def goes_on(self) -> bool:
        """Whether another request may follow the one under way, going by what is still to come of its body."""
        remaining = self._framer.remaining
        if not self._keep_alive or remaining is None or remaining > SWALLOWED_BYTES:
            return False
        return not (remaining and self._exchange is not None and self._exchange.awaits_word)

    def default_lines(self) -> bytes:
        """The header lines that every answer begins with."""
        return self._lane.default_lines()

    def body_taken(self) -> None:
        """The application has taken what there was of the body."""
        if self._framer.in_body:
            self._resume()

    async def drained(self) -> None:
        """Returns when the peer has read enough of what was written, or is gone."""
        while self._blocked:
            if self._drained is None:
                self._drained = asyncio.Event()
            self._drained.clear()
            await self._drained.wait()

    def answered(self) -> None:
        """The ordinary routes have answered."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None and not exchange.keep_alive:
            self._keep_alive = False
        self._after_answer()

    def failed(self, error: Exception, *, began: bool) -> None:
        """The ordinary routes have not answered, or not to the end."""
        self._lane.context.log.error("request failed", exc_info=error)
        if began:
            self.transport.abort()
        else:
            self._refuse(InternalError())

    # Answers.

    def _finish(self, written: bytes) -> None:
        """Writes an answer, and goes on with what has come meanwhile."""
        lane = self._lane
        if self.transport.is_closing():
            self._busy = False
            return
        self.transport.write(written)
        if self._keep_alive and self._framer.untouched and not lane.context.lifecycle.stopping:
            # The usual case: a repetition, which the framer never saw, and nothing behind it.
            self._busy = False
            lane.idle.add(self, lane.now)
        else:
            self._after_answer()

    def _after_answer(self) -> None:
        lane, framer = self._lane, self._framer
        self._busy = False
        if self.transport.is_closing():
            return
        if not self._keep_alive or lane.context.lifecycle.stopping:
            if framer.in_body or framer.buffered:
                self._linger()
            else:
                self.transport.close()
        elif framer.in_body:
            # What little is still to come of its body is nobody's.
            lane.call_soon(self._resume)
        else:
            self._go_on()

    def _go_on(self) -> None:
        lane, framer = self._lane, self._framer
        framer.start_next()
        if framer.untouched:
            lane.idle.add(self, lane.now)
        else:
            # Not from here: the engine is in the middle of something.
            lane.call_soon(self._resume)

    def _refuse(self, error: WireError) -> None:
        """Answers and ends: what follows can't be understood, or isn't wanted.

        Nothing is logged: there may be no method and no path to name, and anybody could fill the log with it.
        """
        self._end_with(responses.failure(error), self._lane.internal)

    def _fail_unexpectedly(self, head: Head, error: Exception) -> None:
        """Answers what failed before it was known whose request it is, as the ordinary routes would, and ends."""
        lane = self._lane
        path = head.target.partition(b"?")[0].decode("ascii")
        info = RequestInfo(
            method=head.method.decode("ascii"),
            path=path,
            peer=self._address or None,
            headers=Headers(),
            began=lane.context.timer(),
            number=lane.context.request_ids.take(),
        )
        response = failure_of(error, info, lane.context)
        lane.requests.answers[UNMATCHED, UNMATCHED, response.status] += 1
        self._end_with(response, lane.polls_of.get(path, lane.internal))

    def _end_with(self, response: Response, renderer: Renderer) -> None:
        """Writes the last answer of the connection, unless one is on its way already."""
        unanswered = self._exchange is None or not self._exchange.began
        self._drop_request()
        if self.transport.is_closing():
            return
        if unanswered:
            self.transport.write(renderer.answer(response, allowance=None, stopping=True, keep_alive=False))
        self._linger()

    def _drop_request(self) -> None:
        """Cancels the request under way: nobody waits for its answer any more."""
        exchange, self._exchange = self._exchange, None
        self._let_go_of_body()
        self._busy = False
        if exchange is not None:
            exchange.disconnect()
        if self._drained is not None:
            self._drained.set()

    def _linger(self) -> None:
        """Ends the connection when the peer does, or soon.

        To close while bytes come in would reset the connection, and the peer would never read the answer.
        """
        lane = self._lane
        self._ending = True
        self._framer = RequestFramer(lane.bounds)  # lets go of what came
        self._framer.untouched = False  # and nothing that comes is looked at, not even a repetition
        lane.forget(self)
        lane.ending.add(self, lane.now)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self._reading_paused:
            self._pause_reading(wanted=False)

    def _resume(self) -> None:
        if not (self.transport.is_closing() or self._ending):
            self._advance()
