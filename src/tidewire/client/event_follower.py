"""Following one stream of events over lost answers, absent servers and queues that end, without any I/O.

`EventFollower` says step by step what to do next; a skin does it and gives back the result, or throws the
`ClientError` that came of it. Two rules hold throughout. The `last_event_id` of a poll is the id of the last
event whose processing finished: it moves only when the skin comes back from a `Deliver`. And what was delivered
once is not delivered again: ids of one queue only grow, so whatever is not above `last_event_id` is a repeat.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tidewire._http import Backoff
from tidewire.client.errors import ClientError, QueueGone, RequestRefused
from tidewire.client.live_state import LiveState
from tidewire.client.registration import Gap, Registration

Event: TypeAlias = dict[str, Any]

#: Seconds: the first wait's ceiling, and the largest; the range that the web app of section 6F uses (R6.91).
FIRST_DELAY, LONGEST_DELAY = 1.0, 45.0


@dataclass(frozen=True, slots=True)
class Register:
    """Make a queue; the result is its `Registration`."""


@dataclass(frozen=True, slots=True)
class Poll:
    """Read the queue; the result is the list of its events."""

    queue_id: str
    last_event_id: int
    dont_block: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """How to wait for a number of seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """Call what the application gave; the result is what that returns, awaited if need be."""

    function: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Deliver:
    """Give the application an event, and come back when it is done with it."""

    event: Event


Step: TypeAlias = Register | Poll | Pause | Call | Deliver


@dataclass(frozen=True, kw_only=True, slots=True)
class Listening:
    """What the application wants to know of a stream beside its events.

    Attributes:
        on_gap: is told of queues that ended.
        on_retry: is told of failures that will be tried again, and the wait in seconds.
        on_recovered: is told when a poll has succeeded after such failures.
        state: is kept up to date.
        read_state: reads the state from the application, when `register` does not answer with it.
    """

    on_gap: Callable[[Gap], object] | None = None
    on_retry: Callable[[ClientError, float], object] | None = None
    on_recovered: Callable[[], object] | None = None
    state: LiveState | None = None
    read_state: Callable[[], object] | None = None


class EventFollower:
    """One reader's stream of events, and the queue that feeds it at the moment.

    Attributes:
        queue_id: the queue; empty before there is one.
        is_over: nothing more is to be done; set by whoever leaves.
    """

    def __init__(self, listening: Listening, *, random: Callable[[], float]) -> None:
        self.queue_id = ""
        self.is_over = False
        self._listening = listening
        self._backoff = Backoff(first=FIRST_DELAY, limit=LONGEST_DELAY, random=random)
        self._last_event_id = -1
        self._has_failed = False

    def opening(self) -> Generator[Step, Any, None]:
        """Registers the first queue; raises `ClientError` where no server is found (R6.85)."""
        yield from self._take((yield from self._patiently(Register, is_first=True)))

    def following(self) -> Generator[Step, Any, None]:
        """Delivers events until it is over."""
        while not self.is_over:
            answer = yield from self._next_answer()
            for event in self._news(answer):
                yield from self._deliver(event)

    def _deliver(self, event: Event) -> Iterator[Step]:
        if event.get("type") != "heartbeat":
            if self._listening.state is not None:
                self._listening.state.take(event)
            yield Deliver(event)
        self._last_event_id = event["id"]

    def _news(self, answer: list[Event]) -> Iterator[Event]:
        """What is new in an answer, each event once."""
        for event in sorted(answer, key=_event_id):
            if event["id"] > self._last_event_id:
                yield event

    def _next_answer(self) -> Generator[Step, Any, list[Event]]:
        """Polls until something new comes, with a new queue where the old one is gone."""
        was_empty = was_gone = False
        while True:
            is_asking = self._has_failed
            try:
                answer: list[Event] = yield from self._patiently(self._poll)
            except QueueGone as error:
                # Clients that push each other out of `max_per_user` must not do it as fast as they can.
                yield from self._pause_if(was_gone)
                was_gone = True
                yield from self._replace_queue(error.reason)
                continue
            is_asking = (yield from self._recover()) or is_asking
            if any(event["id"] > self._last_event_id for event in answer):
                self._backoff.reset()
                return answer
            # One answer without news is normal: another poll took this one's place, or the server stops
            # (R2.18, R6.65). A row of them must not become a busy loop.
            yield from self._pause_if(was_empty)
            was_empty = was_empty or not is_asking

    def _poll(self) -> Poll:
        """The next poll; after a failure one that does not wait, so that a recovery shows at once (R6.91)."""
        return Poll(self.queue_id, self._last_event_id, self._has_failed)

    def _recover(self) -> Generator[Step, Any, bool]:
        """Takes note of a success; returns whether it came after failures."""
        had_failed, self._has_failed = self._has_failed, False
        if had_failed:
            told = self._listening.on_recovered
            if told is not None:
                yield Call(told)
        return had_failed

    def _pause_if(self, is_repeated: bool) -> Iterator[Step]:
        if is_repeated:
            yield Pause(self._backoff.next_delay())

    def _replace_queue(self, reason: str) -> Generator[Step, Any, None]:
        old_queue_id, last_event_id = self.queue_id, self._last_event_id
        registration = yield from self._patiently(Register)
        yield from self._take(registration)
        on_gap = self._listening.on_gap
        if on_gap is not None:
            gap = Gap(old_queue_id, reason, last_event_id, registration.queue_id)
            yield Call(lambda: on_gap(gap))

    def _take(self, registration: Registration) -> Generator[Step, Any, None]:
        self.queue_id = registration.queue_id
        self._last_event_id = registration.last_event_id
        state, read_state = self._listening.state, self._listening.read_state
        if state is None:
            return
        # The queue is there first, so what changes while the state is read comes as an event (R7.2).
        read = registration.answer if read_state is None else (yield Call(read_state))
        if not isinstance(read, Mapping):
            raise TypeError("What reads the state must return a mapping")
        state.begin(read)

    def _patiently(
        self, step: Callable[[], Register | Poll], *, is_first: bool = False
    ) -> Generator[Step, Any, Any]:
        """Repeats a step until it succeeds, or fails in a way that no retry can help."""
        while True:
            try:
                return (yield step())
            except ClientError as error:
                # Before any success only an answer proves that the address is right.
                if not error.retry_helps or (is_first and not isinstance(error, RequestRefused)):
                    raise
                failed = error
            yield from self._pause(failed)

    def _pause(self, error: ClientError) -> Iterator[Step]:
        self._has_failed = True
        delay = self._backoff.next_delay(error.retry_after)
        on_retry = self._listening.on_retry
        if on_retry is not None:
            yield Call(lambda: on_retry(error, delay))
        yield Pause(delay)


def _event_id(event: Event) -> int:
    event_id: int = event["id"]
    return event_id
