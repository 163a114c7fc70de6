"""What all connections of the fast lane share."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from starlette.types import ASGIApp

from tidewire.http.app import request_log
from tidewire.http.context import ServerContext
from tidewire.http.lane.peer_limits import Admission, Bounds, Waitlist
from tidewire.http.lane.response_bytes import HeaderLines, Renderer
from tidewire.http.lane.write_budget import Turn
from tidewire.http.request_log import POLL_PATH, SESSION_POLL_PATH
from tidewire.http.responses import written

LINGER = 2.0
"""Seconds that a peer has to read its last answer and to stop sending what nobody reads."""


class Peer(Protocol):
    """A connection, as far as deadlines are concerned."""

    def too_slow(self) -> None:
        """Its request did not come in time."""

    def end(self) -> None:
        """It has been idle for long enough."""

    def abort(self) -> None:
        """It does not read what it asked for."""

    def expire(self) -> None:
        """Ends the waiting poll, because its token or session has expired."""


class Lane:
    """The shared side of the fast lane."""

    def __init__(
        self,
        context: ServerContext,
        *,
        bounds: Bounds,
        application: ASGIApp,
        start: Callable[[Coroutine[Any, Any, None]], object],
        default_headers: Callable[[], HeaderLines],
        connections: set[Any],
        call_soon: Callable[[Callable[[], None]], object],
        now: float,
    ) -> None:
        """Takes what is shared.

        Args:
            context: the server's parts, the same that the ordinary routes use.
            bounds: sizes, times and numbers.
            application: the ordinary routes, for requests that the lane does not answer itself.
            start: has one of them run, as a task that a stop waits for.
            default_headers: the headers that every answer begins with; a new list when they change.
            connections: where open connections are entered, for the time of a stop.
            call_soon: calls a function on the loop's next turn.
            now: the loop's time.
        """
        self.context = context
        self.bounds = bounds
        self.application = application
        self.start = start
        self.connections = connections
        self.call_soon = call_soon
        self.turn = Turn(call_soon)
        self.log = request_log(context)
        self.polls = Renderer(default_headers, context.cors.lines(None))
        self._default_headers = default_headers
        self.internal = Renderer(default_headers, ())
        self.polls_of = {POLL_PATH: self.polls, SESSION_POLL_PATH: self.internal}
        """By path: what pages of other origins may never read has no lines of CORS."""
        self.admission = Admission(bounds)
        self.requests = context.statistics
        self.requests.connections = connections
        self.statistics = self.requests.lane
        self.now = now
        self.slow: Waitlist[Peer] = Waitlist(bounds.header_deadline, lambda peer: peer.too_slow())
        """Peers whose request's head has not come whole."""
        self.sending: Waitlist[Peer] = Waitlist(bounds.request_deadline, lambda peer: peer.too_slow())
        """Peers whose request's body has not come whole."""
        self.expiring: dict[Peer, float] = {}
        """Peers whose poll waits, and when its token or session expires."""
        self.idle: Waitlist[Peer] = Waitlist(bounds.keep_alive, lambda peer: peer.end())
        self.ending: Waitlist[Peer] = Waitlist(LINGER, lambda peer: peer.abort())
        """Peers that have had their last answer, and may still be sending."""
        self.blocked: Waitlist[Peer] = Waitlist(bounds.write_deadline, lambda peer: peer.abort())

    def default_lines(self) -> bytes:
        """The header lines that every answer begins with, as bytes."""
        return written(self._default_headers())

    def sweep(self, now: float) -> None:
        """Once a second, with the loop's time: ends what takes too long."""
        self.now = now
        self.idle.sweep(now)
        self.ending.sweep(now)
        for waiting in (self.slow, self.sending, self.blocked):
            self.statistics.timed_out += waiting.sweep(now)
        if self.expiring:
            time = self.context.now()
            for peer in [peer for peer, ends_at in self.expiring.items() if ends_at <= time]:
                del self.expiring[peer]
                peer.expire()

    def block(self, peer: Peer, transport: asyncio.WriteTransport) -> None:
        """The peer does not read what it was given: that is counted, and whoever holds most may have to go for it."""
        self.blocked.add(peer, self.now)
        shard = self.context.engine.shard
        shard.transit.hold(peer, transport.get_write_buffer_size())
        for each in shard.take_unread():
            # Not from here: the peer may be in the middle of writing.
            self.call_soon(each.abort)

    def unblock(self, peer: Peer) -> None:
        """It reads again, or is gone."""
        self.blocked.discard(peer)
        self.context.engine.shard.transit.let_go(peer)

    def forget(self, peer: Peer) -> None:
        """Takes a connection off every list."""
        for waiting in (self.idle, self.slow, self.sending, self.ending, self.blocked):
            waiting.discard(peer)
        self.context.engine.shard.transit.let_go(peer)
        self.expiring.pop(peer, None)
