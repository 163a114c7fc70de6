"""The client's door: one method a request, and `events`, which keeps a queue alive by itself."""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tidewire._http import REAL_TIMING, Connection, Timing, TransportFailed
from tidewire.client import requests
from tidewire.client.errors import ClientClosed, ClientError, ConnectionFailed
from tidewire.client.event_follower import EventFollower, Listening
from tidewire.client.live_state import LiveState
from tidewire.client.registration import Gap, Registration
from tidewire.client.requests import Request
from tidewire.client.stream import Stream


class Client:
    """A client of one server, for one account.

    Use one thread at a time; give each thread a client of its own.

    Args:
        url: `http://host:port`, or `https://host`, with a path in front of `/api` if there is one.
        email: the account's address.
        api_key: the account's key; it appears in no exception.
        timeout: seconds for a poll. The server ends each with a heartbeat well within 90 (R6.46), so a poll that
            takes longer is given up and begun anew.
        ssl_context: for https; the system's certificates when not given.

    Raises:
        BadUrl: `url` can't be used.
    """

    def __init__(
        self,
        url: str,
        *,
        email: str,
        api_key: str,
        timeout: float = requests.POLL_TIMEOUT,
        ssl_context: ssl.SSLContext | None = None,
        _timing: Timing = REAL_TIMING,
    ) -> None:
        self._timeout = timeout
        self._timing = _timing
        self._connection = Connection(
            url,
            headers=requests.basic(email, api_key),
            ssl_context=ssl_context,
            clock=_timing.clock,
        )
        self._is_closed = False
        self._streams: list[Stream] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Deletes the queues that `events` made, as far as the server can be reached, and disconnects."""
        for stream in list(self._streams):
            stream.leave()
        self._is_closed = True
        self._connection.close()

    def register(
        self,
        event_types: Sequence[str] | None = None,
        narrow: Sequence[Sequence[str]] | None = None,
        **parameters: Any,
    ) -> Registration:
        """Makes an event queue; the caller polls it and deregisters it.

        Args:
            event_types: which types the queue gets; all when None.
            narrow: pairs of operator and operand that messages must match; none when None.
            **parameters: the further parameters of the route (R6.50), such as `fetch_event_types`,
                `client_capabilities` or `idle_queue_timeout`. None leaves a parameter out.

        Raises:
            RequestRefused: the server answered with an error.
            ConnectionFailed: no whole answer came.
            BadAnswer: the answer names no queue.
        """
        return requests.registration(self._ask(requests.register(event_types, narrow, parameters)))

    def get_events(self, queue_id: str, last_event_id: int, dont_block: bool = False) -> list[dict[str, Any]]:
        """Polls once: waits until the queue holds something, and returns it, heartbeats included.

        Args:
            queue_id: the queue, from `register`.
            last_event_id: acknowledges every event up to this id; the server then forgets them.
            dont_block: returns at once, even with nothing.

        Raises:
            QueueGone: there is no such queue any more.
            RequestRefused: the server answered with another error.
            ConnectionFailed: no whole answer came within the client's timeout.
            BadAnswer: the answer holds no list of events.
        """
        request = requests.poll(queue_id, last_event_id, dont_block=dont_block, timeout=self._timeout)
        return requests.events(self._ask(request))

    def deregister(self, queue_id: str) -> None:
        """Deletes a queue and all that it holds.

        Raises:
            QueueGone: there is no such queue any more.
            RequestRefused: the server answered with another error.
            ConnectionFailed: no whole answer came.
        """
        self._ask(requests.deregister(queue_id))

    def events(
        self,
        event_types: Sequence[str] | None = None,
        narrow: Sequence[Sequence[str]] | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        on_retry: Callable[[ClientError, float], object] | None = None,
        *,
        on_recovered: Callable[[], object] | None = None,
        state: LiveState | None = None,
        read_state: Callable[[], Mapping[str, Any]] | None = None,
        **parameters: Any,
    ) -> Iterator[dict[str, Any]]:
        """Registers a queue at once, and yields its events in order, for ever, without heartbeats.

        An event is acknowledged when the loop asks for the one after it, so what a crash interrupts is still
        on the server, until the queue expires. No event is yielded twice. Dropped connections, timeouts,
        5xx and 429 are tried again for as long as it takes, after waits of up to 45 s or what the server asks
        for. When the queue is gone a new one is registered in its place. Leaving the loop deletes the queue.

        Args:
            event_types: as for `register`.
            narrow: as for `register`.
            on_gap: is told where events may be missing, before the first event of the new queue.
            on_retry: is told what failed, and in how many seconds the next attempt comes.
            on_recovered: is told when a poll has succeeded after such failures.
            state: is kept up to date; an event's change is in it when the event is yielded.
            read_state: reads the whole state from the application, each time that a queue was registered. When
                None, the state is what `register` answers with.
            **parameters: as for `register`; with `state`, its fetch types are `fetch_event_types`.

        Raises:
            RequestRefused: the server refused what no retry can help.
            ConnectionFailed: the first registration found no server. Later failures are retried.
            BadAnswer: the same, where something else than Tidewire answered.
        """
        listening = Listening(
            on_gap=on_gap,
            on_retry=on_retry,
            on_recovered=on_recovered,
            state=state,
            read_state=read_state,
        )
        parameters = requests.with_fetch_types(parameters, state)
        stream = Stream(
            EventFollower(listening, random=self._timing.random),
            register=lambda: self.register(event_types, narrow, **parameters),
            poll=self.get_events,
            delete=self._say_goodbye,
            sleep=self._timing.sleep,
            open_streams=self._streams,
        )
        stream.start()
        return stream.events()

    def _say_goodbye(self, queue_id: str) -> None:
        self._ask(requests.deregister(queue_id, requests.FAREWELL_TIMEOUT))

    def _ask(self, request: Request) -> dict[str, Any]:
        """Sends one request and returns the answer of a success."""
        if self._is_closed:
            raise ClientClosed("The client is closed")
        try:
            answer = self._connection.request(
                request.method,
                request.path,
                timeout=request.timeout,
                body=request.body,
                content_type=request.content_type,
            )
        except TransportFailed as error:
            raise ConnectionFailed(str(error)) from error
        return requests.success(answer)
