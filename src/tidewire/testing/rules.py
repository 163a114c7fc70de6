"""Puts a merge rule to the proof: the compressed queue must leave a client in the state of the raw one (D3).

Needs Hypothesis, which the extra `tidewire[testing]` brings.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from tidewire.core.events.coalescing import MergeRule
from tidewire.core.events.encoding import encode_entry
from tidewire.core.events.shaped_event import Representation
from tidewire.core.queues.event_queue import EventQueue

try:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
except ModuleNotFoundError as error:
    raise ImportError(
        "tidewire.testing.rules needs Hypothesis: pip install 'tidewire[testing]'", name=error.name
    ) from None

State = TypeVar("State")

MOST_EVENTS = 12
"""In one history. Faults of rules show with three or four; more only make shrinking slow."""

CUTS = (1, 150, 300)
"""Sizes of answers, from one event to a few; 0 is everything."""


class Reading(NamedTuple):
    """A poll of the client.

    Attributes:
        max_bytes: how large the answer may be; 0: no bound.
        processed: how many of its events the client processes and acknowledges with the next poll; the rest is
            lost with the connection and comes again. None: all.
    """

    max_bytes: int
    processed: int | None


class Step(NamedTuple):
    """An event is pushed, and then the client may poll."""

    event: dict[str, Any]
    reading: Reading | None


def prove_rule(
    rule: MergeRule,
    *,
    events: st.SearchStrategy[dict[str, Any]],
    apply: Callable[[State, dict[str, Any]], State],
    initial: State,
    event_type: str | None = None,
    max_examples: int = 300,
) -> None:
    """Proves by trying that `apply` over the compressed events gives what it gives over the raw ones.

    A real queue is pushed events, read whole and in parts, acknowledged, and read again after answers that got
    lost. Whatever happens, a client that applies each event that it has not applied yet must end in the state
    of one that applied the raw events, and the rule must neither fail nor change an event.

    Args:
        rule: what is put to the proof.
        events: JSON objects with a `type`. Make members from few values, so that they meet.
        apply: gives the state after an event, which has an `id` only when it comes from the queue. The given state
            must stay as it is.
        initial: the state before the first event.
        event_type: the type that the rule belongs to; None: all types that `events` makes.
        max_examples: how many histories are tried.

    Raises:
        AssertionError: the rule is wrong; the text shows the shortest history found.
    """
    steps = st.lists(st.builds(Step, events, _READINGS), min_size=1, max_size=MOST_EVENTS)

    @settings(
        max_examples=max_examples,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(steps)
    def try_history(history: list[Step]) -> None:
        client = _Client(rule, event_type, apply, copy.deepcopy(initial))
        problem = client.follow(history)
        expected = initial
        for step in history:
            expected = apply(expected, copy.deepcopy(step.event))
        if problem is None and client.state != expected:
            problem = f"the client ends with {client.state!r}, but the raw events give {expected!r}"
        if problem is not None:
            raise AssertionError(_told(rule, problem, history, client.given))

    try:
        try_history()
    except AssertionError as error:
        # Without what Hypothesis notes, which says the same less readably.
        raise AssertionError(str(error)) from None


_READINGS: st.SearchStrategy[Reading | None] = st.one_of(
    st.none(),
    st.builds(Reading, st.sampled_from([0, *CUTS]), st.sampled_from([None, None, 0, 1, 2])),
)


class _Client:
    """A queue and the one who reads it.

    Attributes:
        given: what each answer brought that was not processed before.
    """

    def __init__(
        self,
        rule: MergeRule,
        event_type: str | None,
        apply: Callable[[State, dict[str, Any]], State],
        state: State,
    ) -> None:
        self.state = state
        self.given: list[dict[str, Any]] = []
        self._rule = rule
        self._event_type = event_type
        self._apply = apply
        self._queue = EventQueue()
        self._processed = -1
        self._failures: list[str] = []

    def follow(self, history: Sequence[Step]) -> str | None:
        """Goes through the history and reads what is left; returns what went wrong on the way."""
        for step in history:
            self._push(copy.deepcopy(step.event), step.event)
            if step.reading is not None:
                self._read(step.reading)
            if self._failures:
                return self._failures[0]
        self._read(Reading(0, None))
        self._queue.prune(self._processed)
        if self._queue:
            return "events are left that the client was never given"
        return self._failures[0] if self._failures else None

    def _push(self, event: dict[str, Any], original: Mapping[str, Any]) -> None:
        kind = event["type"]
        rules = {kind: self._rule} if self._event_type in (None, kind) else {}
        try:
            self._queue.push(Representation(event, rules))
        except Exception as error:  # noqa: BLE001 - whatever the rule does is what is looked for
            self._failures.append(f"the rule raised {error!r} for {_json(original)}")
        if event != original:
            self._failures.append(f"the rule changed an event, which queues share: {_json(original)}")

    def _read(self, reading: Reading) -> None:
        self._queue.prune(self._processed)
        entries, _ = self._queue.read(reading.max_bytes, self._merge_failed)
        events = [msgspec.json.decode(encode_entry(entry)) for entry in entries]
        for event in events[: reading.processed]:
            if event["id"] <= self._processed:
                self._failures.append(f"event {event['id']} came after {self._processed} was acknowledged")
            self.given.append(event)
            self._processed = event["id"]
            self.state = self._apply(self.state, event)

    def _merge_failed(self, _kind: str, error: Exception) -> None:
        self._failures.append(f"merging failed: {error!r}")


def _told(rule: MergeRule, problem: str, history: Sequence[Step], given_out: Sequence[dict[str, Any]]) -> str:
    lines = [f"{rule!r} is wrong: {problem}", "", "pushed:"]
    for number, (event, reading) in enumerate(history):
        lines.append(f"  {number}  {_json(event)}")
        if reading is not None:
            size = f" of at most {reading.max_bytes} bytes" if reading.max_bytes else ""
            done = "all" if reading.processed is None else f"the first {reading.processed}"
            lines.append(f"     the client reads an answer{size} and processes {done}")
    lines += ["", "processed by the client:"]
    for event in given_out:
        lines.append(f"  {event['id']}  {_json({key: event[key] for key in event if key != 'id'})}")
    return "\n".join(lines)


def _json(event: Mapping[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False)
