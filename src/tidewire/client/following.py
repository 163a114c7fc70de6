"""Following one stream of events over lost answers, absent servers and queues that end.

Two rules hold throughout. The `last_event_id` of a poll is the id of the last event whose processing
finished: it moves only when the reader asks for the event after it. And what was yielded once is not yielded
again: ids of one queue only grow, so whatever is not above `last_event_id` is a repeat.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from tidewire._http import Backoff, Timing
from tidewire.client.errors import ClientError, QueueGone, RequestRefused
from tidewire.client.values import Gap, Registration

T = TypeVar("T")

#: Seconds: the first wait's ceiling, and the largest; the range that the web app of section 6F uses (R6.91).
FIRST_DELAY, LONGEST_DELAY = 1.0, 45.0


class Poll(Protocol):
    """Reads a queue once."""

    def __call__(self, queue_id: str, last_event_id: int) -> list[dict[str, Any]]:
        """Acknowledges up to `last_event_id` and returns what the queue holds."""


class Following:
    """One reader's stream of events, and the queue that feeds it at the moment.

    Args:
        register: makes a queue.
        poll: reads a queue.
        delete: deletes a queue, quickly or not at all.
        on_gap: is told of queues that ended.
        on_retry: is told of failures that will be tried again, and the wait in seconds.
        timing: where waits and jitter come from.
        followed: where this stands while it has a queue to delete.
    """

    def __init__(
        self,
        *,
        register: Callable[[], Registration],
        poll: Poll,
        delete: Callable[[str], None],
        on_gap: Callable[[Gap], object] | None,
        on_retry: Callable[[ClientError, float], object] | None,
        timing: Timing,
        followed: "list[Following]",
    ) -> None:
        self._register = register
        self._poll = poll
        self._delete = delete
        self._on_gap = on_gap
        self._on_retry = on_retry
        self._sleep = timing.sleep
        self._backoff = Backoff(first=FIRST_DELAY, limit=LONGEST_DELAY, random=timing.random)
        self._followed = followed
        self._queue_id = ""
        self._last_event_id = -1

    def start(self) -> None:
        """Registers the first queue; raises `ClientError` where no server is found (R6.85)."""
        self._take(self._patiently(self._register, is_first=True))
        self._followed.append(self)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yields events until closed, and then deletes the queue."""
        try:
            while self in self._followed:
                yield from self._processed(self._next_answer())
        finally:
            self.leave()

    def leave(self) -> None:
        """Deletes the queue, if that is quickly done; it expires by itself otherwise."""
        if self in self._followed:
            self._followed.remove(self)
            with contextlib.suppress(ClientError):
                self._delete(self._queue_id)

    def _processed(self, answer: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yields what is new in an answer, and counts each event as processed when control comes back."""
        for event in sorted(answer, key=_event_id):
            if event["id"] <= self._last_event_id:
                continue
            if event.get("type") != "heartbeat":
                yield event
            self._last_event_id = event["id"]

    def _next_answer(self) -> list[dict[str, Any]]:
        """Polls until something new comes, with a new queue where the old one is gone."""
        was_empty = was_gone = False
        while True:
            try:
                answer = self._patiently(lambda: self._poll(self._queue_id, self._last_event_id))
            except QueueGone as error:
                # Clients that push each other out of `max_per_user` must not do it as fast as they can.
                self._pause_if(was_gone)
                was_gone = True
                self._replace_queue(error.reason)
                continue
            if any(event["id"] > self._last_event_id for event in answer):
                self._backoff.reset()
                return answer
            # One answer without news is normal: another poll took this one's place, or the server stops
            # (R2.18, R6.65). A row of them must not become a busy loop.
            self._pause_if(was_empty)
            was_empty = True

    def _pause_if(self, is_repeated: bool) -> None:
        if is_repeated:
            self._sleep(self._backoff.next_delay())

    def _replace_queue(self, reason: str) -> None:
        old_queue_id, last_event_id = self._queue_id, self._last_event_id
        self._take(self._patiently(self._register))
        if self._on_gap is not None:
            self._on_gap(Gap(old_queue_id, reason, last_event_id, self._queue_id))

    def _take(self, registration: Registration) -> None:
        self._queue_id = registration.queue_id
        self._last_event_id = registration.last_event_id

    def _patiently(self, attempt: Callable[[], T], *, is_first: bool = False) -> T:
        """Repeats `attempt` until it succeeds, or fails in a way that no retry can help."""
        while True:
            try:
                return attempt()
            except ClientError as error:
                # Before any success only an answer proves that the address is right.
                if not error.retry_helps or (is_first and not isinstance(error, RequestRefused)):
                    raise
                self._pause(error)

    def _pause(self, error: ClientError) -> None:
        delay = self._backoff.next_delay(error.retry_after)
        if self._on_retry is not None:
            self._on_retry(error, delay)
        self._sleep(delay)


def _event_id(event: dict[str, Any]) -> int:
    event_id: int = event["id"]
    return event_id
