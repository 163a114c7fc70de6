"""Applying events to a state, and apply functions for the usual kinds of state: a value, a table, a set.

An apply function may see the same change twice and must then change nothing.
"""

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


REMOVE = "remove"


def latest(member: str, *, event_type: str, value: str) -> Apply:
    """A value that each event brings anew, in its key `value`."""

    def apply(state: State, event: Event) -> State:
        if event.get("type") != event_type or value not in event:
            return state
        return {**state, member: event[value]}

    return apply


def keyed(member: str, *, event_type: str, item: str, key: str = "id") -> Apply:
    """A table of objects by their `key`, which is a string in the state since it is one in JSON.

    With `op` `remove` an event takes the object out; otherwise the members that it brings replace those of the
    object, which is put in if it is new. The object stands in the event's key `item`.
    """

    def apply(state: State, event: Event) -> State:
        if event.get("type") != event_type:
            return state
        brought = event[item]
        name, table = str(brought[key]), dict(state.get(member, {}))
        if event.get("op") == REMOVE:
            table.pop(name, None)
        else:
            table[name] = {**table.get(name, {}), **brought}
        return {**state, member: table}

    return apply


def members(member: str, *, event_type: str, items: str) -> Apply:
    """A sorted list of unlike values, into which events put those in their key `items`, or take them out."""

    def apply(state: State, event: Event) -> State:
        if event.get("type") != event_type:
            return state
        held: set[Any] = set(state.get(member, ()))
        brought: Iterable[Any] = event[items]
        changed = held.difference(brought) if event.get("op") == REMOVE else held.union(brought)
        return {**state, member: sorted(changed)}

    return apply
