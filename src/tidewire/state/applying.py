"""Taking events into a state."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

State: TypeAlias = Mapping[str, Any]
Event: TypeAlias = Mapping[str, Any]
Apply: TypeAlias = Callable[[State, Event], State]


def apply_event(apply: Mapping[str, Apply], state: State, event: Event) -> State:
    """Returns the state after one event; `apply` has a function for each fetch type."""
    for function in apply.values():
        state = function(state, event)
    return state


def apply_events(apply: Mapping[str, Apply], state: State, events: Iterable[Event]) -> State:
    """Returns the state after events, in their order."""
    for event in events:
        state = apply_event(apply, state, event)
    return state
