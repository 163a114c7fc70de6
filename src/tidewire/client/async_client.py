"""The client for asyncio. It has the methods of `Client`, as coroutines."""

import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tidewire._http import REAL_ASYNC_TIMING, AsyncConnection, AsyncTiming, TransportFailed
from tidewire.client import requests
from tidewire.client.async_stream import AsyncEvents
from tidewire.client.errors import ClientClosed, ClientError, ConnectionFailed
from tidewire.client.event_follower import EventFollower, Listening
from tidewire.client.live_state import LiveState
from tidewire.client.registration import Gap, Registration
from tidewire.client.requests import Request


class AsyncClient:
    """A client of one server, for one account, on one event loop; its tasks may share it.

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
        _timing: AsyncTiming = REAL_ASYNC_TIMING,
    ) -> None:
        self._timeout = timeout
        self._timing = _timing
        self._connection = AsyncConnection(
            url, headers=requests.basic(email, api_key), ssl_context=ssl_context
        )
        self._is_closed = False
        self._streams: list[AsyncEvents] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Deletes the queues that `events` made, as far as the server can be reached, and disconnects."""
        for stream in list(self._streams):
            await stream.aclose()
        self._is_closed = True
        await self._connection.close()

    async def register(
        self,
        event_types: Sequence[str] | None = None,
        narrow: Sequence[Sequence[str]] | None = None,
        **parameters: Any,
    ) -> Registration:
        """Makes an event queue; see `Client.register`.

        Raises:
            RequestRefused: the server answered with an error.
            ConnectionFailed: no whole answer came.
            BadAnswer: the answer names no queue.
        """
        return requests.registration(await self._ask(requests.register(event_types, narrow, parameters)))

    async def get_events(
        self, queue_id: str, last_event_id: int, dont_block: bool = False
    ) -> list[dict[str, Any]]:
        """Polls once; see `Client.get_events`.

        Raises:
            QueueGone: there is no such queue any more.
            RequestRefused: the server answered with another error.
            ConnectionFailed: no whole answer came within the client's timeout.
            BadAnswer: the answer holds no list of events.
        """
        request = requests.poll(queue_id, last_event_id, dont_block=dont_block, timeout=self._timeout)
        return requests.events(await self._ask(request))

    async def deregister(self, queue_id: str) -> None:
        """Deletes a queue and all that it holds.

        Raises:
            QueueGone: there is no such queue any more.
            RequestRefused: the server answered with another error.
            ConnectionFailed: no whole answer came.
        """
        await self._ask(requests.deregister(queue_id))

    def events(
        self,
        event_types: Sequence[str] | None = None,
        narrow: Sequence[Sequence[str]] | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        on_retry: Callable[[ClientError, float], object] | None = None,
        *,
        on_recovered: Callable[[], object] | None = None,
        state: LiveState | None = None,
        read_state: Callable[[], Mapping[str, Any] | Awaitable[Mapping[str, Any]]] | None = None,
        **parameters: Any,
    ) -> AsyncEvents:
        """Returns a stream of events, in order, for ever, without heartbeats.

        Everything is as with `Client.events`, but the queue is registered when the stream is awaited, entered or
        first asked for an event, and what is called may be a coroutine function.

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
        """
        listening = Listening(
            on_gap=on_gap,
            on_retry=on_retry,
            on_recovered=on_recovered,
            state=state,
            read_state=read_state,
        )
        parameters = requests.with_fetch_types(parameters, state)
        return AsyncEvents(
            EventFollower(listening, random=self._timing.random),
            register=lambda: self.register(event_types, narrow, **parameters),
            poll=self.get_events,
            delete=self._say_goodbye,
            sleep=self._timing.sleep,
            open_streams=self._streams,
        )

    async def _say_goodbye(self, queue_id: str) -> None:
        await self._ask(requests.deregister(queue_id, requests.FAREWELL_TIMEOUT))

    async def _ask(self, request: Request) -> dict[str, Any]:
        """Sends one request and returns the answer of a success."""
        if self._is_closed:
            raise ClientClosed("The client is closed")
        try:
            answer = await self._connection.request(
                request.method,
                request.path,
                timeout=request.timeout,
                body=request.body,
                content_type=request.content_type,
            )
        except TransportFailed as error:
            raise ConnectionFailed(str(error)) from error
        return requests.success(answer)
