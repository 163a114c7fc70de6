"""The client's door: one method a request, and `events`, which keeps a queue alive by itself."""

import base64
import json
import ssl
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tidewire._http import REAL_TIMING, Answer, Connection, Timing, TransportFailed
from tidewire.client.errors import BadAnswer, ClientClosed, ClientError, ConnectionFailed, refused
from tidewire.client.following import Following
from tidewire.client.values import Gap, Registration

#: Seconds for each of the short requests: register may have to build a large initial state.
REQUEST_TIMEOUT = 30.0

#: Seconds for the farewell. The queue of a client that can't say goodbye expires by itself (R6.90).
FAREWELL_TIMEOUT = 1.0

FORM = "application/x-www-form-urlencoded"
OK = 200


class Client:
    """A client of one server, for one account.

    Use one thread at a time; give each thread a client of its own.

    Args:
        url: `http://host:port`, or `https://host`, with a path in front of `/api` if there is one.
        email: the account's address.
        api_key: the account's key; it appears in no exception.
        timeout: seconds for a poll; the server ends each poll well within 90 (R6.46).
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
        timeout: float = 90.0,
        ssl_context: ssl.SSLContext | None = None,
        _timing: Timing = REAL_TIMING,
    ) -> None:
        credentials = base64.b64encode(f"{email}:{api_key}".encode()).decode("ascii")
        self._timeout = timeout
        self._timing = _timing
        self._connection = Connection(
            url,
            headers={"Authorization": f"Basic {credentials}"},
            ssl_context=ssl_context,
            clock=_timing.clock,
        )
        self._is_closed = False
        self._followed: list[Following] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Deletes the queues that `events` made, as far as the server can be reached, and disconnects."""
        for following in list(self._followed):
            following.leave()
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
        form = _encode(parameters | {"event_types": event_types, "narrow": narrow or []})
        answer = self._ask("POST", "/api/v1/register", timeout=REQUEST_TIMEOUT, form=form)
        queue_id, last_event_id = answer.get("queue_id"), answer.get("last_event_id")
        if not isinstance(queue_id, str) or not isinstance(last_event_id, int):
            raise BadAnswer("The answer to register names no queue")
        idle_timeout = answer.get("idle_queue_timeout_secs")
        if not isinstance(idle_timeout, int | float):
            idle_timeout = None
        return Registration(queue_id, last_event_id, idle_timeout, answer)

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
        query = _encode({"queue_id": queue_id, "last_event_id": last_event_id, "dont_block": dont_block})
        answer = self._ask("GET", f"/api/v1/events?{query}", timeout=self._timeout)
        events = answer.get("events")
        if not isinstance(events, list) or not all(_is_event(event) for event in events):
            raise BadAnswer("The answer to a poll holds no list of events")
        return events

    def deregister(self, queue_id: str) -> None:
        """Deletes a queue and all that it holds.

        Raises:
            QueueGone: there is no such queue any more.
            RequestRefused: the server answered with another error.
            ConnectionFailed: no whole answer came.
        """
        self._deregister(queue_id, REQUEST_TIMEOUT)

    def events(
        self,
        event_types: Sequence[str] | None = None,
        narrow: Sequence[Sequence[str]] | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        on_retry: Callable[[ClientError, float], object] | None = None,
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
            **parameters: as for `register`.

        Raises:
            RequestRefused: the server refused what no retry can help.
            ConnectionFailed: the first registration found no server. Later failures are retried.
            BadAnswer: the same, where something else than Tidewire answered.
        """
        following = Following(
            register=lambda: self.register(event_types, narrow, **parameters),
            poll=self.get_events,
            delete=lambda queue_id: self._deregister(queue_id, FAREWELL_TIMEOUT),
            on_gap=on_gap,
            on_retry=on_retry,
            timing=self._timing,
            followed=self._followed,
        )
        following.start()
        return following.events()

    def _deregister(self, queue_id: str, timeout: float) -> None:
        self._ask("DELETE", "/api/v1/events", timeout=timeout, form=_encode({"queue_id": queue_id}))

    def _ask(self, method: str, path: str, *, timeout: float, form: str | None = None) -> dict[str, Any]:
        """Sends one request and returns the answer of a success."""
        if self._is_closed:
            raise ClientClosed("The client is closed")
        body, content_type = (None, "") if form is None else (form.encode("ascii"), FORM)
        try:
            answer = self._connection.request(
                method, path, timeout=timeout, body=body, content_type=content_type
            )
        except TransportFailed as error:
            raise ConnectionFailed(str(error)) from error
        return _success(answer)


def _success(answer: Answer) -> dict[str, Any]:
    if answer.status != OK:
        raise refused(answer)
    if answer.json is None:
        raise BadAnswer("The server's answer is not a JSON object; is this the URL of a Tidewire server?")
    if answer.json.get("result") != "success":
        raise refused(answer)
    return answer.json


def _encode(parameters: Mapping[str, Any]) -> str:
    """Encodes parameters as the published client does: strings bare, the rest JSON, None left out (R6.81)."""
    return urllib.parse.urlencode(
        {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in parameters.items()
            if value is not None
        }
    )


def _is_event(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), int)
