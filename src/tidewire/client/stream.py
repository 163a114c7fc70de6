"""The steps of `EventFollower`, taken by a thread that waits."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol

from tidewire.client.errors import ClientError
from tidewire.client.event_follower import Call, Deliver, Event, EventFollower, Pause, Poll, Register, Step
from tidewire.client.registration import Registration


class ReadsQueues(Protocol):
    """Reads a queue once."""

    def __call__(self, queue_id: str, last_event_id: int, dont_block: bool) -> list[Event]:
        """Acknowledges up to `last_event_id` and returns what the queue holds."""


class Stream:
    """One reader's stream.

    Args:
        following: says what to do.
        register: makes a queue.
        poll: reads a queue.
        delete: deletes a queue, quickly or not at all.
        sleep: waits.
        open_streams: where this stands while it has a queue to delete.
    """

    def __init__(
        self,
        follower: EventFollower,
        *,
        register: Callable[[], Registration],
        poll: ReadsQueues,
        delete: Callable[[str], None],
        sleep: Callable[[float], None],
        open_streams: "list[Stream]",
    ) -> None:
        self._follower = follower
        self._register = register
        self._poll = poll
        self._delete = delete
        self._sleep = sleep
        self._open = open_streams

    def start(self) -> None:
        """Registers the first queue."""
        for _ in self._carried_out(self._follower.opening()):
            raise AssertionError("nothing is delivered before there is a queue")
        self._open.append(self)

    def events(self) -> Iterator[Event]:
        """Yields events until closed, and then deletes the queue."""
        try:
            yield from self._carried_out(self._follower.following())
        finally:
            self.leave()

    def leave(self) -> None:
        """Deletes the queue, if that is quickly done; it expires by itself otherwise."""
        self._follower.is_over = True
        if self in self._open:
            self._open.remove(self)
            with contextlib.suppress(ClientError):
                self._delete(self._follower.queue_id)

    def _carried_out(self, steps: Generator[Step, Any, None]) -> Iterator[Event]:
        result: object = None
        error: ClientError | None = None
        while True:
            try:
                step = steps.send(result) if error is None else steps.throw(error)
            except StopIteration:
                return
            result = error = None
            if isinstance(step, Deliver):
                yield step.event
                continue
            try:
                result = self._done(step)
            except ClientError as failure:
                error = failure

    def _done(self, step: Register | Poll | Pause | Call) -> object:
        match step:
            case Register():
                return self._register()
            case Poll(queue_id, last_event_id, dont_block):
                return self._poll(queue_id, last_event_id, dont_block)
            case Pause(seconds):
                return self._sleep(seconds)
            case Call(function):
                return function()
